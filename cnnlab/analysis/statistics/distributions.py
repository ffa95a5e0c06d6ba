"""The normal distribution and Student's t distribution, without SciPy."""

import math
from functools import cache
from statistics import NormalDist

MAX_TERMS = 10_000  # of the continued fraction: about sqrt(max(a, b)) are needed
TOLERANCE = 1e-15
TINY = 1e-300  # replaces a denominator of 0


def normal_quantile(probability: float) -> float:
    """The point below which a standard normal value lies with this probability, 0 < probability < 1.

    The standard library's: Wichura, algorithm AS 241, 1988, about 16 digits.
    """
    return NormalDist().inv_cdf(probability)


def two_sided_normal_p(z: float) -> float:
    """The probability that a standard normal value is at least as far from 0 as z; no digits are lost far out."""
    return math.erfc(abs(z) / math.sqrt(2))


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularized incomplete beta function I_x(a, b), for a, b > 0 and 0 <= x <= 1.

    The continued fraction 8.17.22 of the NIST Digital Library of Mathematical Functions, evaluated by Lentz's method
    (Press et al., "Numerical Recipes", 6.4). It converges fast for x < (a + 1) / (a + b + 2); beyond, by symmetry,
    1 - I_{1-x}(b, a).
    """
    if x in (0.0, 1.0):
        return x
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) * _beta_continued_fraction(a, b, x) / a


def _beta_continued_fraction(a: float, b: float, x: float) -> float:
    """1 / (1 + d1 / (1 + d2 / (1 + ...))) with the d of the incomplete beta function, from the front (Lentz)."""
    c, d = 1.0, 1 / _nonzero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, MAX_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _nonzero(1 + term * d)
            c = _nonzero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < TOLERANCE:
            break
    return value


def _nonzero(value: float) -> float:
    return value if abs(value) > TINY else TINY


def two_sided_t_p(t: float, degrees: float) -> float:
    """The probability that a t value of so many degrees of freedom is at least as far from 0 as t.

    I_x(degrees / 2, 1/2) at x = degrees / (degrees + t^2): Abramowitz and Stegun, 26.5.27 and 26.7.1.
    """
    return incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t))


@cache
def t_quantile(probability: float, degrees: float) -> float:
    """The point below which a t value lies with this probability, 0 < probability < 1, by bisection of `two_sided_t_p`.

    11 significant digits for degrees >= 1 and probabilities from 0.0001 to 0.9999. Raises ValueError outside.
    """
    if not (0 < probability < 1 and degrees > 0):
        raise ValueError(
            f"Expected a probability between 0 and 1 and positive degrees. Received: {probability=}, {degrees=}"
        )
    if probability == 0.5:
        return 0.0
    tails = 2 * min(probability, 1 - probability)
    low, high = 0.0, 1.0
    while two_sided_t_p(high, degrees) > tails:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided_t_p(middle, degrees) > tails else (low, middle)
    return math.copysign((low + high) / 2, probability - 0.5)
