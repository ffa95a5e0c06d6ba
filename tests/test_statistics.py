"""Statistics against published examples, tables, brute force and simulations."""

import importlib
import inspect
import math
import re

import numpy as np
import pytest

from cnnlab.analysis import metrics, statistics
from cnnlab.analysis.statistics import distributions
from cnnlab.analysis.statistics.images import tango_statistic

COVERAGE = pytest.approx(0.95, abs=0.02)  # 95 % intervals cover 93 to 97 % of the time


def outcomes(both, first, second, neither):
    """Two arrays of outcomes with these counts."""
    pairs = [(True, True)] * both + [(True, False)] * first + [(False, True)] * second + [(False, False)] * neither
    return np.array(pairs).T


# -- the rules ---------------------------------------------------------------------------------------------------------

RULED = re.findall(r"^\| [^|]+ \| `([\w.]+)` \| [^|]+ \|$", statistics.__doc__, re.MULTILINE)


def test_the_page_of_rules_has_a_row_for_every_interval_that_the_package_makes():
    makes = {
        name
        for name in statistics.__all__
        if inspect.isfunction(made := getattr(statistics, name))
        and inspect.signature(made).return_annotation is statistics.Estimate
    }
    assert len(makes) > 6 and makes <= set(RULED)


def test_every_function_that_the_page_of_rules_names_exists():
    for name in RULED:
        module, _, function = name.rpartition(".")
        owner = importlib.import_module(f"cnnlab.{module}") if module else statistics
        assert callable(getattr(owner, function)), name


# -- distributions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probability", "degrees", "tabulated"),
    [  # NIST/SEMATECH e-Handbook, 1.3.6.7.2
        (0.90, 1, 3.078),
        (0.95, 1, 6.314),
        (0.975, 1, 12.706),
        (0.99, 1, 31.821),
        (0.90, 2, 1.886),
        (0.975, 2, 4.303),
        (0.995, 2, 9.925),
        (0.975, 3, 3.182),
        (0.95, 4, 2.132),
        (0.975, 4, 2.776),
        (0.995, 5, 4.032),
        (0.975, 7, 2.365),
        (0.975, 9, 2.262),
        (0.975, 10, 2.228),
        (0.99, 15, 2.602),
        (0.975, 29, 2.045),
        (0.975, 30, 2.042),
        (0.975, 100, 1.984),
        (0.001, 10, -4.144),
    ],
)
def test_t_quantiles_are_those_of_the_published_table(probability, degrees, tabulated):
    assert distributions.t_quantile(probability, degrees) == pytest.approx(tabulated, abs=6e-4)


@pytest.mark.parametrize("probability", [0.0005, 0.2, 0.6, 0.975, 0.9999])
def test_t_quantiles_of_one_and_two_degrees_equal_their_closed_forms(probability):
    centered = 2 * probability - 1
    assert distributions.t_quantile(probability, 1) == pytest.approx(math.tan(math.pi * centered / 2), rel=1e-9)
    two = centered * math.sqrt(2 / (1 - centered**2))
    assert distributions.t_quantile(probability, 2) == pytest.approx(two, rel=1e-9)


def test_t_with_many_degrees_is_normal():
    assert distributions.t_quantile(0.975, 1e7) == pytest.approx(distributions.normal_quantile(0.975), abs=1e-6)
    assert distributions.normal_quantile(0.975) == pytest.approx(1.959964, abs=1e-6)


@pytest.mark.parametrize(("a", "b", "x"), [(2, 3, 0.4), (5, 1, 0.9), (1, 1, 0.3), (7, 9, 0.05), (40, 61, 0.5)])
def test_the_incomplete_beta_function_sums_a_binomial_distribution(a, b, x):
    n = a + b - 1
    tail = sum(math.comb(n, k) * x**k * (1 - x) ** (n - k) for k in range(a, n + 1))
    assert distributions.incomplete_beta(a, b, x) == pytest.approx(tail, rel=1e-10)


@pytest.mark.parametrize(("probability", "degrees"), [(0, 3), (1, 3), (0.5, 0), (-1, 2)])
def test_a_quantile_that_does_not_exist_is_refused(probability, degrees):
    with pytest.raises(ValueError, match="Received"):
        distributions.t_quantile(probability, degrees)


# -- images ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [  # Newcombe 1998, "Two-sided confidence intervals for the single proportion", Table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_of_an_accuracy_is_that_of_newcombes_examples(correct, n, low, high):
    estimate = statistics.accuracy_interval(correct / n, n)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=6e-5)
    assert estimate.n == (n,) and estimate.chance == "images" and estimate.p_value is None


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [  # Newcombe 1998, "... the difference between independent proportions", Table II, method 10
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
    ],
)
def test_the_interval_of_an_unpaired_difference_is_that_of_newcombes_examples(first, second, low, high):
    (a, n), (b, m) = first, second
    estimate = statistics.unpaired_difference(a / n, n, b / m, m)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=6e-5)
    assert estimate.value == pytest.approx(a / n - b / m) and estimate.n == (n, m)


def test_the_interval_of_a_paired_difference_is_that_of_a_published_example():
    """Airway hyper-responsiveness, Bentur et al. 2009, as given by Fagerland, Lydersen and Laake 2014."""
    estimate = statistics.paired_difference(*outcomes(1, 1, 7, 12))
    assert estimate.value == pytest.approx(-0.286, abs=5e-4)
    assert (estimate.low, estimate.high) == pytest.approx((-0.517, -0.026), abs=6e-4)
    assert estimate.p_value == pytest.approx(0.034, abs=5e-4)


@pytest.mark.parametrize(
    ("first", "second", "n"), [(1, 7, 21), (40, 20, 160), (0, 0, 44), (5, 0, 30), (900, 850, 9000)]
)
def test_tangos_statistic_is_that_of_a_maximum_likelihood_search(first, second, n):
    for difference in (-0.4, -0.05, 0.001, 0.1, 0.5):
        lowest, highest = max(0.0, -difference), (1 - difference) / 2
        q = np.linspace(lowest, highest, 2_000_001)[1:-1]  # the share that only the second classifies correctly
        same = np.maximum(1 - 2 * q - difference, 1e-300)
        likelihood = first * np.log(q + difference) + second * np.log(q) + (n - first - second) * np.log(same)
        best = q[np.argmax(likelihood)]
        expected = (first - second - n * difference) / math.sqrt(n * (2 * best + difference * (1 - difference)))
        assert tango_statistic(first, second, n, difference) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("first", "second"), [(10, 3), (12, 3), (30, 17), (31, 17), (500, 440), (502, 440), (0, 4)])
def test_a_paired_interval_excludes_zero_exactly_where_mcnemars_test_rejects(first, second):
    estimate = statistics.paired_difference(*outcomes(5000, first, second, 1000))
    statistic = (first - second) ** 2 / (first + second)
    assert estimate.is_significant == (statistic >= 1.959964**2) == (estimate.low > 0 or estimate.high < 0)


def test_two_equal_runs_differ_by_nothing_within_a_symmetrical_interval():
    estimate = statistics.paired_difference(*outcomes(60, 0, 0, 40))
    assert estimate.value == 0 and estimate.p_value == 1 and not estimate.is_significant
    assert estimate.low == pytest.approx(-estimate.high) and 0 < estimate.high < 0.05


def test_pairing_narrows_the_interval_of_two_runs_that_mostly_agree():
    paired = statistics.paired_difference(*outcomes(6800, 500, 400, 2300))
    unpaired = statistics.unpaired_difference(0.73, 10_000, 0.72, 10_000)
    assert paired.value == pytest.approx(unpaired.value) and paired.margin < unpaired.margin / 2
    assert paired.is_significant and not unpaired.is_significant


def test_the_interval_of_a_gap_is_that_of_a_difference_on_different_images():
    gap = statistics.generalization_gap(0.9114, 5000, 0.6866, 10_000)
    wald = 1.96 * math.sqrt(0.9114 * 0.0886 / 5000 + 0.6866 * 0.3134 / 10_000)
    assert gap.value == pytest.approx(0.2248) and gap.margin == pytest.approx(wald, rel=0.01)
    assert gap.n == (5000, 10_000) and gap.is_significant


def test_the_interval_of_a_difference_of_gaps_covers_at_least_95_percent():
    """Two networks on the same images: the interval takes the images for different ones, so it is rather too wide."""
    rng, covered = np.random.default_rng(3), 0
    shares = {"train": (0.9, 0.8), "validation": (0.7, 0.65)}
    for _ in range(400):
        gaps = []
        easy = {name: rng.random(500) for name in shares}  # one threshold of difficulty for both networks
        for network in (0, 1):
            train, validation = (float((easy[name] < share[network]).mean()) for name, share in shares.items())
            gaps.append(statistics.generalization_gap(train, 500, validation, 500))
        one = statistics.gap_difference(*gaps)
        covered += one.low <= (0.9 - 0.7) - (0.8 - 0.65) <= one.high
    assert covered / 400 >= 0.95


@pytest.mark.parametrize(("accuracy", "n"), [(1.2, 100), (-0.1, 100), (float("nan"), 100), (0.5, 0)])
def test_an_accuracy_that_is_no_share_is_refused(accuracy, n):
    with pytest.raises(ValueError, match="Received"):
        statistics.accuracy_interval(accuracy, n)


@pytest.mark.parametrize(("first", "second"), [([True], [True, False]), ([], []), ([[True]], [[True]])])
def test_outcomes_that_are_no_pairs_are_refused(first, second):
    with pytest.raises(ValueError, match="Received"):
        statistics.paired_difference(first, second)


def test_wilsons_interval_covers_95_percent_on_average_over_all_accuracies():
    """No simulation: every count's probability, for accuracies from 0.05 to 0.95."""
    n, counts = 60, np.arange(61)
    intervals = [statistics.accuracy_interval(k / n, n) for k in counts]
    low, high = np.array([e.low for e in intervals]), np.array([e.high for e in intervals])
    weights = np.array([math.comb(n, k) for k in counts], float)
    coverage = [
        (weights * p**counts * (1 - p) ** (n - counts))[(low <= p) & (p <= high)].sum()
        for p in np.linspace(0.05, 0.95, 181)
    ]
    assert np.mean(coverage) == pytest.approx(0.95, abs=0.01) and min(coverage) > 0.9


@pytest.mark.parametrize(("p", "n"), [(0.7, 10_000), (0.99, 5_000), (0.1, 100)])
def test_the_interval_of_an_accuracy_covers_95_percent_of_simulated_image_sets(p, n):
    drawn = np.random.default_rng(1).binomial(n, p, 4000) / n
    intervals = [statistics.accuracy_interval(share, n) for share in drawn]
    assert np.mean([e.low <= p <= e.high for e in intervals]) == COVERAGE


@pytest.mark.parametrize(
    ("p", "n", "q", "m"), [(0.91, 5000, 0.69, 10_000), (0.7, 10_000, 0.7, 10_000), (0.9, 60, 0.5, 40)]
)
def test_the_interval_of_an_unpaired_difference_covers_95_percent(p, n, q, m):
    rng = np.random.default_rng(2)
    drawn = zip(rng.binomial(n, p, 4000) / n, rng.binomial(m, q, 4000) / m, strict=True)
    intervals = [statistics.unpaired_difference(a, n, b, m) for a, b in drawn]
    assert np.mean([e.low <= p - q <= e.high for e in intervals]) == COVERAGE


@pytest.mark.parametrize(("only_first", "only_second", "n"), [(0.08, 0.06, 10_000), (0.2, 0.1, 50), (0.05, 0.05, 200)])
def test_the_interval_of_a_paired_difference_covers_95_percent(only_first, only_second, n):
    rng, covered = np.random.default_rng(3), []
    for counts in rng.multinomial(n, [0.6, only_first, only_second, 0.4 - only_first - only_second], 2000):
        estimate = statistics.paired_difference_from_counts(int(counts[1]), int(counts[2]), n)
        covered.append(estimate.low <= only_first - only_second <= estimate.high)
    assert np.mean(covered) == COVERAGE


def test_counts_give_the_estimate_of_the_outcomes_and_must_fit_the_images():
    assert statistics.paired_difference_from_counts(7, 1, 21) == statistics.paired_difference(*outcomes(1, 7, 1, 12))
    for counts in ((-1, 2, 10), (6, 5, 10), (0, 0, 0)):
        with pytest.raises(ValueError, match="Received"):
            statistics.paired_difference_from_counts(*counts)


# -- seeds -------------------------------------------------------------------------------------------------------------


STUDENT = {  # hours of sleep gained by two drugs, ten patients (Student 1908; R's data set `sleep`)
    "second": (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4),
    "first": (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0),
}


def test_the_difference_of_two_series_is_that_of_students_sleep_data():
    first, second = (dict(enumerate(STUDENT[name])) for name in ("second", "first"))
    estimate = statistics.seed_difference(first, second)
    assert estimate.value == pytest.approx(1.58) and estimate.n == (10,) and estimate.chance == "seeds"
    assert (estimate.low, estimate.high) == pytest.approx((0.7001142, 2.4598858), abs=1e-6)
    assert estimate.p_value == pytest.approx(0.002833, abs=1e-6)


def test_series_are_paired_by_seed_and_other_seeds_are_left_out():
    estimate = statistics.seed_difference({0: 0.7, 1: 0.8, 2: 0.6, 9: 0.1}, {2: 0.5, 0: 0.6, 1: 0.7, 5: 0.9})
    assert estimate.n == (3,) and estimate.value == pytest.approx(0.1)
    assert estimate.high - estimate.low == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("seeds", "low", "high"), [((3,), 0.02, 0.02), ((3, 4), -0.01, 0.02)])
def test_one_or_two_seeds_give_a_range_that_is_never_significant(seeds, low, high):
    first, second = {3: 0.72, 4: 0.70}, {3: 0.70, 4: 0.71}
    estimate = statistics.seed_difference({seed: first[seed] for seed in seeds}, second)
    assert estimate.method == "range" and estimate.n == (len(seeds),)
    assert (estimate.low, estimate.high) == pytest.approx((low, high)) and not estimate.is_significant


def test_series_without_a_common_seed_are_refused():
    with pytest.raises(statistics.InsufficientData, match="n=0"):
        statistics.seed_difference({0: 0.7}, {1: 0.7})
    with pytest.raises(statistics.InsufficientData, match="n=0"):
        statistics.seed_mean({0: float("nan")})


@pytest.mark.parametrize("n", [3, 5, 12])
def test_the_interval_of_a_difference_of_series_covers_95_percent(n):
    rng, covered = np.random.default_rng(4), []
    for _ in range(3000):
        by_seed = rng.normal(0, 0.03, n)
        first = dict(enumerate(0.72 + by_seed + rng.normal(0, 0.005, n)))
        second = dict(enumerate(0.70 + by_seed + rng.normal(0, 0.005, n)))
        estimate = statistics.seed_difference(first, second)
        covered.append(estimate.low <= 0.02 <= estimate.high)
    assert np.mean(covered) == COVERAGE


@pytest.mark.parametrize("n", [3, 10])
def test_the_interval_of_a_mean_over_seeds_covers_95_percent(n):
    rng = np.random.default_rng(5)
    drawn = [statistics.seed_mean(dict(enumerate(rng.normal(0.7, 0.01, n)))) for _ in range(3000)]
    assert np.mean([e.low <= 0.7 <= e.high for e in drawn]) == COVERAGE


def test_a_slope_and_its_error_are_those_of_a_regression_by_hand():
    """y = 1, 3, 2, 5: slope 1.1, residuals -0.1 0.8 -1.3 0.6, error sqrt(2.7 / 2 / 5), t(2) = 4.302653."""
    estimate = statistics.trend([1, 3, 2, 5])
    assert estimate.value == pytest.approx(1.1) and estimate.n == (4,) and estimate.chance == "epochs"
    assert estimate.margin == pytest.approx(4.302653 * math.sqrt(2.7 / 2 / 5), rel=1e-6)
    assert not estimate.is_significant


def test_a_straight_line_rises_beyond_chance_and_noise_around_a_level_does_not():
    assert statistics.trend(np.arange(10) * 0.01).is_significant
    assert not statistics.trend([0.7, 0.72] * 5).is_significant
    with pytest.raises(statistics.InsufficientData, match="n=2"):
        statistics.trend([1, 2])


def test_the_interval_of_a_slope_covers_95_percent():
    rng = np.random.default_rng(6)
    drawn = [statistics.trend(0.002 * np.arange(10) + rng.normal(0, 0.02, 10)) for _ in range(3000)]
    assert np.mean([e.low <= 0.002 <= e.high for e in drawn]) == COVERAGE


# -- several comparisons -----------------------------------------------------------------------------------------------


def test_holms_adjustment_is_that_of_a_worked_example():
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])
    assert statistics.holm([]) == []


@pytest.mark.parametrize("p_value", [-0.1, 1.1, float("nan")])
def test_a_p_value_outside_0_to_1_is_refused(p_value):
    with pytest.raises(ValueError, match="Received"):
        statistics.holm([0.5, p_value])


def test_holm_rejects_a_true_hypothesis_in_at_most_5_percent_of_families():
    rng = np.random.default_rng(7)
    families = rng.uniform(size=(4000, 6))
    assert np.mean([min(statistics.holm(list(family))) <= 0.05 for family in families]) < 0.06
    assert np.mean([family.min() <= 0.05 for family in families]) > 0.2


def test_estimates_are_adjusted_together_and_ranges_left_alone():
    strong = statistics.paired_difference(*outcomes(100, 20, 5, 10))
    weak = statistics.paired_difference(*outcomes(100, 14, 5, 10))
    one_seed = statistics.seed_mean({0: 0.1})
    adjusted = statistics.adjust_for_multiple_comparisons([weak, one_seed, strong])
    assert [one.p_value for one in adjusted] == pytest.approx([weak.p_value, None, 2 * strong.p_value])
    assert (adjusted[2].low, adjusted[1]) == (strong.low, one_seed)


# -- calibration, ensembles --------------------------------------------------------------------------------------------


def drawn_from(logits, rng):
    """Labels drawn with the probabilities that the logits state: a perfectly calibrated network."""
    return (metrics.probabilities(logits).cumsum(axis=1) > rng.uniform(size=(len(logits), 1))).argmax(axis=1)


def test_the_calibration_error_is_the_one_counted_by_hand():
    """Confidence 0.92, 0.94, 0.94 (2 of 3 correct), 0.55 (wrong), 0.43 (correct)."""
    rows = [(0.92, 0.06, 0.02), (0.55, 0.30, 0.15), (0.05, 0.94, 0.01), (0.35, 0.22, 0.43), (0.05, 0.94, 0.01)]
    by_hand = (3 * abs(2.8 / 3 - 2 / 3) + 0.55 + 0.57) / 5
    assert statistics.expected_calibration_error(np.log(rows), [0, 1, 1, 2, 0]) == pytest.approx(by_hand)


def test_a_calibrated_network_has_the_small_error_that_the_docstring_states():
    rng, found = np.random.default_rng(8), []
    for _ in range(20):
        logits = rng.normal(0, 1.5, (10_000, 10))
        found.append(statistics.expected_calibration_error(logits, drawn_from(logits, rng)))
    assert 0.004 < np.mean(found) < 0.012


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_spoiled_the_logits_is_found_again(temperature):
    rng = np.random.default_rng(9)
    logits = rng.normal(0, 2, (20_000, 10))
    labels = drawn_from(logits, rng)
    assert statistics.fit_temperature(logits * temperature, labels) == pytest.approx(temperature, rel=0.04)


@pytest.mark.slow
def test_the_interval_of_a_change_of_loss_is_that_of_the_differences_by_image():
    """Three images; -log of the true class's probability before: ln 2 each, after: ln 2 - 0.3, ln 2, ln 2 + 0.6."""
    even, labels = np.zeros((3, 2)), np.zeros(3, int)
    shares = 0.5 * np.exp([0.3, 0.0, -0.6])
    changed = np.log(np.stack([shares, 1 - shares], axis=1))
    change = statistics.loss_difference(changed, even, labels)
    assert change.value == pytest.approx(0.1) and change.n == (3,) and change.chance == "images"
    error = math.sqrt((0.4**2 + 0.1**2 + 0.5**2) / 2 / 3)
    assert change.high - change.value == pytest.approx(4.3027 * error, rel=1e-4)  # t of 2 degrees


def test_the_fitted_temperature_is_the_best_of_a_fine_grid():
    rng = np.random.default_rng(10)
    logits, labels = rng.normal(0, 3, (500, 10)), rng.integers(0, 10, 500)
    grid = np.geomspace(0.5, 100, 4000)
    losses = [metrics.cross_entropy(logits / t, labels) for t in grid]
    found = statistics.fit_temperature(logits, labels)
    assert metrics.cross_entropy(logits / found, labels) <= min(losses) + 1e-9


def test_temperature_scaling_repairs_other_images_than_it_was_fitted_on():
    rng = np.random.default_rng(11)
    fit, test = rng.normal(0, 2, (5000, 10)), rng.normal(0, 2, (5000, 10))
    result = statistics.temperature_scaling(fit * 3, drawn_from(fit, rng), test * 3, drawn_from(test, rng))
    assert result.temperature == pytest.approx(3, rel=0.1) and result.n == 5000
    assert result.ece_after < 0.03 < 0.1 < result.ece_before and result.loss_after < result.loss_before


def test_agreement_counts_equal_predictions_correct_or_not():
    first, second = np.eye(4)[[0, 1, 2, 3]], np.eye(4)[[0, 1, 3, 2]]
    estimate = statistics.agreement(first, second)
    assert estimate.value == 0.5 and estimate.n == (4,) and estimate.method == "wilson"
    with pytest.raises(ValueError, match="Received"):
        statistics.agreement(first, second[:3])


def test_an_ensemble_has_the_mean_probabilities_and_one_vote_a_network():
    shares = np.array([[[0.9, 0.1]], [[0.2, 0.8]], [[0.4, 0.6]]])
    combined = statistics.ensemble_logits(list(np.log(shares)))
    assert metrics.probabilities(combined)[0] == pytest.approx([0.5, 0.5])
    certain = statistics.ensemble_logits([[[1e4, 0.0]], [[0.0, 1.0]], [[0.0, 1.0]]])
    assert np.argmax(certain) == 1 - int(np.exp(certain[0, 0]) > 0.5)
    with pytest.raises(ValueError, match="Received"):
        statistics.ensemble_logits([])
