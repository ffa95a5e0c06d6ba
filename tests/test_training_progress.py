"""Sentences about trainings: how many seeds there are, and what they say together."""

import pytest

from cnnlab.analysis.statistics import seed_mean
from cnnlab.explanations.training_progress import describe_seeds


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
