"""The question of the class's step: how many have answered, the tally, reveal and vote again."""

import streamlit as st

from cnnlab.explanations.lesson_evidence import is_own
from cnnlab.formatting import pluralize
from cnnlab.lessons import classes, tally
from cnnlab.lessons.classes import LessonClass, Vote
from cnnlab.lessons.sheet import Sheet, Step, fits
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.ui import app_shell, lesson_charts, lesson_results, lesson_store
from cnnlab.ui.streamlit_internals import rerun_fragment


@app_shell.errors_as_sentences()
def live_vote(code: str, sheet: Sheet, drawn_step: str, presenter: bool = False) -> None:
    """The step's question, how many have answered, the tally of a prediction, reveal and vote again.

    drawn_step: what the rest of the board shows; where another board has gone on, all of it is drawn again.
    presenter: the class sees the board, so the votes are hidden until they are asked for or the result is revealed.
    """
    file = lesson_store.lesson_file()
    lesson_class = classes.find_class(file, code)
    if lesson_class is None:
        return
    if lesson_class.step != drawn_step:
        st.rerun()
    step = sheet.steps[sheet.index(lesson_class.step)]
    vote = classes.vote_of(file, code, step.id)
    given = fitting_contents(lesson_class, step, vote.round)
    count = len(classes.members(file, lesson_class))
    st.markdown(step.question)
    st.markdown(f"**{len(given)} of {count}** have answered, round {vote.round + 1}.")
    if step.is_prediction:
        prediction_vote(lesson_class, step, vote, given, presenter)


def prediction_vote(lesson_class: LessonClass, step: Step, vote: Vote, given: list[object], presenter: bool) -> None:
    """Reveal and vote again; the tally, or the options alone while the votes are hidden."""
    file = lesson_store.lesson_file()
    with st.container(horizontal=True):
        if st.button("Reveal", key="lesson_board_reveal", type="primary", disabled=vote.revealed):
            classes.reveal(file, lesson_class.code, step.id)
            rerun_fragment()
        if st.button("Vote again", key="lesson_board_again", disabled=not given):
            classes.vote_again(file, lesson_class.code, step.id)
            rerun_fragment()
        is_hidden = presenter and not vote.revealed and not votes_toggle(step, vote)
    if is_hidden:
        st.markdown("\n".join(f"- {escape_markdown(option)}" for option in step.options))
        return
    show_tally(step, vote, given)
    if vote.round:
        previous = fitting_contents(lesson_class, step, vote.round - 1)
        st.caption(f"Round {vote.round}: {describe_tally(step, previous)}")


def fitting_contents(lesson_class: LessonClass, step: Step, round_number: int) -> list[object]:
    """The answers of the class in a round that fit the step as it is now."""
    given = classes.answer_contents(lesson_store.lesson_file(), lesson_class, step.id, round_number)
    return [content for content in given if fits(step, content)]


def votes_toggle(step: Step, vote: Vote) -> bool:
    """Whether the class may see how it votes: off at first in each round, so that nobody follows the majority."""
    help_ = "Off: nobody sees how the others vote before the result is revealed."
    return st.toggle("Show the votes", key=f"lesson_board_votes_{step.id}_{vote.round}", help=help_)


def show_tally(step: Step, vote: Vote, given: list[object]) -> None:
    """The votes: bars for options, the median for a sketch; with the measured result once it is revealed."""
    for row in tally.tally(step, given):
        first = " first" if step.kind == "order" else ""
        st.progress(row.share, text=f"{escape_markdown(row.label)}{first}: {row.count} ({100 * row.share:.0f} %)")
    if step.kind == "sketch" and given:
        curve = lesson_results.computed(step.result).curve if vote.revealed and step.result else ()
        key = f"lesson_board_sketch_{step.id}_{vote.round}_{vote.revealed}"
        lesson_charts.sketch_chart(step, tally.median_sketch(step, given), curve, key=key)
        st.caption("The median of the class.")
    if vote.revealed:
        show_result(step)


def show_result(step: Step) -> None:
    """What the evidence supports, and the computed sentences; those of a student's own training are on their panels."""
    result = lesson_results.computed(step.result) if step.result else None
    expected = step.answer or (result.answer if result else "")
    if step.kind == "choice" and expected:
        st.markdown(f":material/check_circle: The evidence supports: **{escape_markdown(expected)}**")
    if step.kind == "order" and result and result.ranking:
        st.markdown(f":material/check_circle: Measured order: **{escape_markdown(', '.join(result.ranking))}**")
    lesson_results.evidence_sentences([one for one in step.evidence if not is_own(one)], None)


def describe_tally(step: Step, given: list[object]) -> str:
    """A tally in one line."""
    rows = [f"{escape_markdown(row.label)} {row.count}" for row in tally.tally(step, given)]
    return ", ".join(rows) or pluralize(len(given), "answer")
