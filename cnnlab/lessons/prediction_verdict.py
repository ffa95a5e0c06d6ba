"""How a prediction compares with what was measured, in words: on the panel and in the report."""

from collections.abc import Callable, Sequence

from cnnlab.explanations.lesson_evidence import Evidence
from cnnlab.lessons.sheet import Step
from cnnlab.lessons.tally import agreeing_pairs, sketch_distance


def describe_prediction(
    step: Step, content: object, result: Evidence | None, escape: Callable[[str], str]
) -> tuple[bool | None, str]:
    """Whether a choice agrees with the evidence (None: no choice, or nothing to compare with), and the Markdown of it.

    result: the evidence that the step lays over a prediction, None where it names none. escape: of texts in Markdown.
    """
    expected = step.answer or (result.answer if result else "")
    if step.kind == "choice" and expected:
        agrees = content == expected
        words = "Your prediction agrees with the evidence" if agrees else "The evidence supports another option"
        return agrees, f"{words}: **{escape(expected)}**"
    if step.kind == "order" and result and result.ranking and isinstance(content, list):
        return None, describe_order(content, result, escape)
    if step.kind == "sketch" and result and isinstance(content, list):
        return None, describe_distance(step, content, result.curve)
    return None, ""


def describe_order(content: Sequence[str], result: Evidence, escape: Callable[[str], str]) -> str:
    """The measured order, and how many of the pairs that are not chance are ordered alike."""
    same, pairs = agreeing_pairs(content, result.ranking, result.undecided)
    chance = "; ".join(escape(" and ".join(pair)) for pair in result.undecided)
    left_out = f" Not counted, since chance may exchange them: {chance}." if chance else ""
    measured = ", ".join(map(escape, result.ranking))
    return f"Measured order: **{measured}**. In your order, {same} of {pairs} pairs agree with it.{left_out}"


def describe_distance(step: Step, sketch: Sequence[float], curve: Sequence[tuple[float, float]]) -> str:
    """How far a sketch is from a measured curve on average, with its unit; "" where they have no x in common."""
    distance = sketch_distance(step, sketch, curve)
    unit = " points" if step.sketch and "%" in step.sketch.y_label else ""
    return "" if distance is None else f"Your curve is {distance:.1f}{unit} away from the measured one on average."
