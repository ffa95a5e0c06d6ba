"""What belongs to a session is computed once in a run of its script, and again in the next run."""

from cnnlab.ui.streamlit_internals import once_in_a_run
from cnnlab.ui.streamlit_script_context import run_without_browser


def test_a_value_of_the_session_is_computed_once_in_a_run_and_never_kept():
    calls = []

    @once_in_a_run
    def count() -> int:
        """How often it was called."""
        calls.append(1)
        return len(calls)

    seen = []

    def page() -> None:
        seen.append((count(), count()))

    for _ in range(2):
        run_without_browser(page)
    assert seen == [(1, 1), (2, 2)]
    assert (count(), count()) == (3, 4), "without a script nothing is kept"
    assert count.__doc__ == "How often it was called."
