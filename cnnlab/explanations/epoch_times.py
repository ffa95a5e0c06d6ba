"""Sentences about the measured times of an epoch (`storage.epoch_times`) and about what a network costs."""

import statistics
from collections.abc import Mapping, Sequence

from cnnlab.explanations.conclusions import model_label
from cnnlab.formatting import format_date, pluralize
from cnnlab.models.architecture import find_layer, network_layers, parameter_count
from cnnlab.models.network_cost import TRAIN_STEP_COST
from cnnlab.report_models import REPORT
from cnnlab.storage.epoch_times import EpochTimes


def describe_measurement(times: EpochTimes) -> str:
    """How the seconds were measured: machine, threads, n, load, versions."""
    versions = f"Keras {times.versions.get('keras', '?')}, {times.versions.get('backend', '?')}"
    return (
        f"Processor time of one process with {pluralize(times.threads, 'thread')} on one core; the networks took turns,"
        f" n = {times.rounds} each, {times.batches} of {times.epoch_batches} batches timed and scaled to an epoch,"
        f" without the evaluation after it. Machine: {times.machine}; load up to {times.load:.1f} on"
        f" {pluralize(times.cores, 'core')};"
        f" {versions} {times.versions.get('backend_version', '')}; {format_date(times.finished)}. Dots: the medians."
    )


def describe_cost(which: str, times: EpochTimes | None) -> str:
    """How a cost of `report.network_costs` was measured or counted."""
    if which == "seconds" and times:
        return describe_measurement(times)
    if which == "multiply_adds":
        return (
            "Multiply-adds of the convolution and dense layers, forward, one image. A step of training costs about"
            f" {TRAIN_STEP_COST} times as much."
        )
    return describe_parameters()


def describe_parameters() -> str:
    """How many parameters the plain networks of the two depths have, and how large the maps behind them are."""
    networks = [network_layers(REPORT[name].experiment) for name in ("2conv-none", "3conv-none")]
    few, many = (f"{parameter_count(layers):,}" for layers in networks[::-1])
    sides = [find_layer(layers, "flatten").inputs[0] for layers in networks]
    shapes = [find_layer(layers, name).output_shape for layers, name in zip(networks, sides, strict=True)]
    shallow, deep = (f"{height}x{width}" for height, width, *_ in shapes)
    return (
        f"Without a regularizer 2-conv has {many} parameters and 3-conv {few}: the first dense layer of 2-conv reads"
        f" maps of {shallow} values, that of 3-conv maps of {deep}."
    )


def describe_depth_time(times: EpochTimes, names: Sequence[str]) -> str:
    """How many times as long an epoch takes with three convolutions as with two; "" without a pair of networks.

    In each round the geometric mean over the regularizers that were measured with both depths; the median and the
    range of the rounds.
    """
    pairs = [(f"2{name[1:]}", name) for name in names if name.startswith("3conv") and f"2{name[1:]}" in names]
    pairs = [pair for pair in pairs if all(name in times.seconds for name in pair)]
    if not pairs:
        return ""
    by_pair = [round_ratios(times, deep, shallow) for shallow, deep in pairs]
    ratios = [statistics.geometric_mean(of_round) for of_round in zip(*by_pair, strict=True)]
    undecided = min(ratios) <= 1 <= max(ratios)
    verdict = "in some rounds longer, in some shorter" if undecided else f"in all rounds {_direction(ratios[0])}"
    return (
        f"With a third convolution an epoch takes **{statistics.median(ratios):.2f} times** as long as with two"
        f" ({min(ratios):.2f} to {max(ratios):.2f} in {pluralize(len(ratios), 'round')}, mean of"
        f" {pluralize(len(pairs), 'regularizer')}): {verdict}."
    )


def _direction(ratio: float) -> str:
    return "longer" if ratio > 1 else "shorter"


def round_ratios(times: EpochTimes, name: str, other: str) -> list[float]:
    """How many times as long `name` took as `other`, in each round that measured both."""
    return [seconds / others for seconds, others in zip(times.seconds[name], times.seconds[other], strict=False)]


def describe_extremes(times: EpochTimes, names: Sequence[str]) -> str:
    """The fastest and the slowest network of these; how many times as long, round by round, and its range.

    Networks that were at least as fast, or as slow, in one of the rounds are named: the order may be chance.
    """
    medians = {name: seconds for name, seconds in times.median_seconds.items() if name in names}
    if len(medians) < 2:
        return ""
    fastest, slowest = (choose(medians, key=lambda name: medians[name]) for choose in (min, max))
    ratios = round_ratios(times, slowest, fastest)
    as_fast = [name for name in medians if name != fastest and min(round_ratios(times, name, fastest)) <= 1]
    as_slow = [name for name in medians if name != slowest and max(round_ratios(times, name, slowest)) >= 1]
    return (
        f"An epoch of **{model_label(fastest)}** takes the least time, {medians[fastest]:.0f} s, one of"
        f" **{model_label(slowest)}** the most, {medians[slowest]:.0f} s: {statistics.median(ratios):.1f} times as long"
        f" ({min(ratios):.1f} to {max(ratios):.1f} in {pluralize(len(ratios), 'round')})."
        f"{_describe_ties('fast', as_fast)}{_describe_ties('slow', as_slow)}"
    )


def _describe_ties(word: str, names: Sequence[str]) -> str:
    return f" As {word} in some rounds: {', '.join(map(model_label, names))}." if names else ""


def describe_cost_chart(title: str, costs: Mapping[str, tuple[float, float]]) -> str:
    """The alt text of the scatter: cost and accuracy of each network by title."""
    listed = "; ".join(f"{name} {cost:,.4g}, {100 * accuracy:.1f} %" for name, (cost, accuracy) in costs.items())
    return f"Validation accuracy against {title}: {listed}."
