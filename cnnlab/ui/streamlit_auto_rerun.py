"""A patch of the automatic reruns of fragments (`run_every`); `streamlit_patches` installs it.

With each automatic rerun the browser sends the values of all widgets and the address as it knows them. While an answer
is on its way, they are older than the server's: Streamlit calls `on_change` for values that nobody changed, and takes
back the new address. With the patch an automatic rerun changes neither: the server's own values and address remain.

Where a whole class polls, or follows its teacher to another page, a click would share the processor with all of them.
With the patch MAX_AUTO_RERUNS automatic reruns run at the same time, and a click waits for none: where one of its own
session waits, that one goes on at once.
"""

from contextlib import nullcontext
from dataclasses import fields, replace
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from cnnlab.ui.fair_semaphore import FairSemaphore
from cnnlab.ui.streamlit_internals import UnknownStreamlit, unwrapped

MAX_AUTO_RERUNS, WAIT_SECONDS = 3, 5.0  # at the same time, and how long another one waits
auto_reruns = FairSemaphore(MAX_AUTO_RERUNS, WAIT_SECONDS)
RERUN_FIELDS = {
    "query_string", "widget_states", "page_script_hash", "page_name", "fragment_id_queue", "is_auto_rerun",
    "is_history_navigation",
}  # fmt: skip


def patch_auto_reruns() -> None:
    """Let ScriptRequests and ScriptRunner ignore what an automatic rerun says of widgets and of the address."""
    from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
    from streamlit.runtime.scriptrunner_utils.script_requests import RerunData, ScriptRequests

    Requests: Any = ScriptRequests  # noqa: N806
    Runner: Any = ScriptRunner  # noqa: N806
    request_rerun = unwrapped(Requests._request_rerun_locked, "new_data")
    run_script = unwrapped(Runner._run_script, "rerun_data")
    if missing := RERUN_FIELDS - {field.name for field in fields(RerunData)}:
        raise UnknownStreamlit(f"a rerun has no {' and no '.join(sorted(missing))}")
    if missing := {"_session_state", "_pages_manager", "_requests"} - set(Runner.__init__.__code__.co_names):
        raise UnknownStreamlit(f"a runner has no {' and no '.join(sorted(missing))}")

    @wraps(request_rerun)
    def request(requests: Any, new_data: Any) -> bool:
        if not new_data.is_auto_rerun:
            auto_reruns.release_waiter(requests)
        pending = requests._rerun_data if requests._state.name == "RERUN" else None
        return bool(request_rerun(requests, without_old_values(new_data, pending)))

    @wraps(run_script)
    def run(runner: Any, rerun_data: Any) -> None:
        if not rerun_data.is_auto_rerun:
            run_script(runner, rerun_data)
        else:
            with nullcontext() if is_click_waiting(runner._requests) else auto_reruns.slot(runner._requests):
                run_script(runner, at_current_address(runner, rerun_data))

    Requests._request_rerun_locked, Runner._run_script = request, run


def is_click_waiting(requests: Any) -> bool:
    """Whether a request that is not automatic waits for the end of what its runner is at."""
    return requests._state.name == "RERUN" and not requests._rerun_data.is_auto_rerun


def without_old_values(new_data: Any, pending: Any) -> Any:
    """An automatic rerun without values of widgets; its address is that of the request that waits, where one does."""
    if not new_data.is_auto_rerun:
        return new_data
    kept = ("query_string", "page_script_hash", "page_name", "is_auto_rerun", "is_history_navigation")
    return replace(new_data, widget_states=None, **{name: getattr(pending, name) for name in kept if pending})


def at_current_address(runner: Any, rerun_data: Any) -> Any:
    """The rerun, at the page and with the query string that the session has at this moment."""
    with runner._session_state.query_params() as params:
        query = urlencode(params._query_params, doseq=True)
    page = runner._pages_manager.current_page_script_hash
    return replace(rerun_data, query_string=query, page_script_hash=page, page_name="")
