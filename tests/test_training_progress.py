"""Sentences about trainings: how many seeds there are, and what they say together."""

import pytest

from cnnlab.analysis.statistics import seed_mean
from cnnlab.explanations.training_progress import describe_pace, describe_seeds
from cnnlab.jobs.eta import EpochPace


@pytest.mark.parametrize(
    ("accuracies", "told"),
    [
        ({}, "No seed of this network has finished training yet."),
        ({0: 0.7}, "Finished seeds: 0. One seed does not show how much another one would differ."),
        ({0: 0.7, 2: 0.74}, "0, 2 (2). Validation accuracy: 72.0 % on average, 70.0 to 74.0; 3 seeds give a 95 %"),
    ],
)
def test_one_or_two_seeds_have_no_interval(accuracies, told):
    assert told in describe_seeds(accuracies, "validation")


def test_three_seeds_have_a_mean_with_the_interval_of_the_seeds():
    accuracies = {0: 0.70, 1: 0.72, 5: 0.77}
    mean = seed_mean(accuracies)
    told = describe_seeds(accuracies, "test")
    assert f"0, 1, 5 (3). Test accuracy: 73.0 % ± {100 * mean.margin:.1f}" in told and "chance of the seed" in told


@pytest.mark.parametrize(
    ("pace", "told"),
    [
        (None, ""),
        (EpochPace(2.0, 2.0, 2.0, 1, measured=True), "measured on this machine, in one training of this network."),
        (
            EpochPace(2.0, 1.5, 2.5, 4, measured=True),
            "measured on this machine, the median of 4 trainings of this network.",
        ),
        (EpochPace(2.0, 2.0, 2.0, 1, measured=False), "scaled by multiply-adds from 1 training on this machine."),
    ],
)
def test_an_expected_duration_names_what_was_measured(pace, told):
    assert describe_pace(pace, 30) == (f"Time: {told}" if told else "")


def test_measurements_that_differ_much_are_named_with_both_ends():
    """30 epochs of 60 and of 381 s, and 10 s for the start."""
    told = describe_pace(EpochPace(70.0, 60.0, 381.0, 4, measured=False), 30)
    assert "from 4 trainings on this machine, which give 30 min to 3 h 11 min: other work" in told
