"""Conditions on the results of a run: "gap < 5 and validation > 72 and dataset = shapes".

Accuracies and the gap are per cent and points after the last epoch, the training accuracy in inference mode.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cnnlab.analysis.curve_summary import summarize_curves
from cnnlab.formatting import format_value
from cnnlab.models.architecture import network_layers, parameter_count
from cnnlab.storage.run import Run

NUMBERS = ("gap", "validation", "training", "best_validation", "epochs", "depth", "parameters", "seconds", "seed")
WORDS = ("dataset", "regularizer")
TERM = re.compile(r"\s*([a-z_]+)\s*(<=|>=|<|>|=)\s*([\w.-]+)\s*")


class ConditionError(ValueError):
    """Not a condition. The message is one sentence."""


@dataclass(frozen=True)
class Term:
    """One comparison of a figure with a limit."""

    name: str
    operator: str
    limit: float | str

    def holds(self, value: float | str) -> bool:
        """Whether a run whose figure is `value` satisfies it."""
        if isinstance(self.limit, str) or isinstance(value, str):
            return value == self.limit
        return {
            "<": value < self.limit,
            ">": value > self.limit,
            "<=": value <= self.limit,
            ">=": value >= self.limit,
            "=": value == self.limit,
        }[self.operator]


def parse_condition(text: str) -> tuple[Term, ...]:
    """The terms of a condition, all of which have to hold. Raises ConditionError."""
    return tuple(_parse_term(part) for part in text.split(" and "))


def _parse_term(text: str) -> Term:
    match = TERM.fullmatch(text)
    if match is None or match[1] not in (*NUMBERS, *WORDS):
        raise ConditionError(
            f"A condition compares {', '.join((*NUMBERS, *WORDS))} with a limit, like 'gap < 5 and validation > 72'."
            f" Received: {text.strip()[:40]!r}"
        )
    name, operator, limit = match.groups()
    if name in WORDS:
        if operator != "=":
            raise ConditionError(f"{name} takes the sign =. Received: {text.strip()[:40]!r}")
        return Term(name, operator, limit)
    try:
        number = float(limit)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConditionError(f"{name} is compared with a number. Received: {text.strip()[:40]!r}")
    return Term(name, operator, number)


def run_figures(run: Run) -> dict[str, float | str]:
    """The figures of a run that a condition may name; empty before its first epoch. Raises DamagedRun."""
    summary, experiment = summarize_curves(run.history()), run.experiment
    if summary is None:
        return {}
    return {
        "gap": 100 * summary.gap,
        "validation": 100 * summary.validation,
        "training": 100 * summary.training,
        "best_validation": 100 * summary.best,
        "epochs": float(summary.epoch),
        "depth": float(experiment.depth),
        "parameters": float(parameter_count(network_layers(experiment))),
        "seconds": run.record.seconds,
        "seed": float(experiment.seed),
        "dataset": experiment.dataset,
        "regularizer": experiment.regularizer,
    }


def check_terms(condition: str, figures: Mapping[str, float | str]) -> list[tuple[str, bool]]:
    """Each term with the run's figure, 'gap 3.20 < 5' or 'dataset shapes', and whether it holds.

    A word that differs is followed by the expected one: 'dataset cifar10 instead of shapes'. Raises ConditionError.
    """
    results = []
    for term in parse_condition(condition):
        value = figures.get(term.name, "unknown")
        shown, limit = (operand if isinstance(operand, str) else _short(operand) for operand in (value, term.limit))
        holds, expected = term.holds(value), f" {term.operator} {limit}"
        if isinstance(term.limit, str):
            expected = "" if holds else f" instead of {limit}"
        results.append((f"{term.name.replace('_', ' ')} {shown}{expected}", holds))
    return results


def _short(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else format_value(value)
