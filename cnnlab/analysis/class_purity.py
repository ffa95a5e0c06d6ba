"""How often the images that activate a filter most belong to one class, beside what chance gives."""

import math

import numpy as np

from cnnlab.array_types import Array


def most_frequent_class(labels: Array) -> tuple[int, int]:
    """The most frequent of the labels (n,), and how often it occurs; of equally frequent ones the smallest."""
    counts = np.bincount(np.asarray(labels, np.int64))
    return int(counts.argmax()), int(counts.max())


def class_purity(labels: Array, images: Array) -> float:
    """The mean over filters of the count of the most frequent class among each filter's images.

    labels: (n,) of all images; images: indices (f, count). Between count / classes, rounded up, and count.
    """
    return float(np.mean([most_frequent_class(labels[chosen])[1] for chosen in images]))


def expected_purity(count: int, classes: int) -> float:
    """What `class_purity` is on average for `count` random images of `classes` equally frequent classes.

    The expectation of the largest count of a multinomial distribution: P(max <= m) is count! / classes ** count times
    the coefficient of x ** count in (sum of x ** k / k! for k <= m) ** classes. Raises ValueError for less than one.
    """
    if count < 1 or classes < 1:
        raise ValueError(f"Expected at least one image and one class. Received: count={count}, classes={classes}")
    total = math.factorial(count) / classes**count
    below = [total * _coefficient(count, classes, most) for most in range(count + 1)]
    return float(sum(1 - probability for probability in below[:-1]))


def _coefficient(count: int, classes: int, most: int) -> float:
    terms = np.array([1 / math.factorial(k) for k in range(most + 1)])
    product = np.ones(1)
    for _ in range(classes):
        product = np.convolve(product, terms)[: count + 1]
    return float(product[count]) if len(product) > count else 0.0
