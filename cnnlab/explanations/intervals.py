"""Estimates as text: a figure with the ends of its interval."""

from cnnlab.analysis.statistics import Estimate
from cnnlab.formatting import percent, points


def format_interval(estimate: Estimate) -> str:
    """'75.6 to 80.7', in percent: the ends of the interval of a share."""
    return f"{100 * estimate.low:.1f} to {100 * estimate.high:.1f}"


def format_signed_interval(estimate: Estimate) -> str:
    """'+1.9 to +4.2', in points: the ends of the interval of a difference."""
    return f"{100 * estimate.low:+.1f} to {100 * estimate.high:+.1f}"


def format_margin(estimate: Estimate) -> str:
    """'± 0.9', in points: half the interval; with two decimals where one would say that there is no uncertainty."""
    margin = f"{100 * estimate.margin:.1f}"
    return f"± {margin}" if float(margin) else f"± {100 * estimate.margin:.2f}"


def share_with_interval(estimate: Estimate) -> str:
    """'78.3 % (75.6 to 80.7)'."""
    return f"{percent(estimate.value, 1)} ({format_interval(estimate)})"


def difference_with_interval(estimate: Estimate) -> str:
    """'+2.1 points (+0.3 to +3.9)'."""
    return f"{points(estimate.value, sign=True)} ({format_signed_interval(estimate)})"
