"""Sentences about trainings: how many seeds there are, and what another page shows of them."""

import pytest

from cnnlab.comparison import MIN_SEEDS
from cnnlab.explanations.training_progress import describe_seeds


@pytest.mark.parametrize(
    ("seeds", "is_compared", "ends"),
    [
        ((0,), True, "One seed does not show how much another one would differ."),
        ((0, 1), True, f"The page Compare shows a mean from {MIN_SEEDS} seeds on."),
        ((0, 1, 2), True, "The page Compare shows their mean and interval."),
        ((0, 1, 2), False, "Finished seeds: 0, 1, 2 (3)."),
    ],
)
def test_a_mean_is_promised_only_where_the_page_compare_shows_one(seeds, is_compared, ends):
    assert describe_seeds(seeds, is_compared).endswith(ends)
