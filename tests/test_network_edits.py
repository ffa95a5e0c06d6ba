"""Filters that are off and changed kernels as a text of a URL: what is written is read again, all else is refused."""

import base64

import numpy as np
import pytest

from cnnlab.analysis.network_edits import MAX_CHARACTERS, format_filters, format_kernels, parse_filters, parse_kernels

COUNTS = {"conv1": 64, "conv2": 64}
SHAPE = (3, 3, 3, 64)


def test_consecutive_filters_are_written_as_a_range():
    assert format_filters({"conv1": {0, 1, 2, 7}, "conv2": {5}, "conv3": set()}) == "conv1.0-2.7~conv2.5"
    assert format_filters({}) == ""


@pytest.mark.parametrize("seed", range(20))
def test_any_set_of_filters_is_read_as_it_was_written(seed):
    random = np.random.default_rng(seed)
    filters = {name: frozenset(np.flatnonzero(random.random(64) < random.random()).tolist()) for name in COUNTS}
    filters = {name: numbers for name, numbers in filters.items() if numbers}
    assert parse_filters(format_filters(filters), COUNTS) == filters


@pytest.mark.parametrize(
    "text", ["conv1", "conv1.", "conv3.1", "conv1.64", "conv1.5-2", "conv1.1~conv1.2", "~", "conv1.-1", "conv1.1" * 999]
)
def test_a_text_that_names_no_filters_of_the_network_is_refused(text):
    with pytest.raises(ValueError, match="Received"):
        parse_filters(text, COUNTS)


def test_a_kernel_keeps_its_values_to_half_precision():
    values = np.random.default_rng(0).normal(size=(3, 3, 3)).astype(np.float32)
    text = format_kernels({17: values, 3: values[::-1]})
    found = parse_kernels(text, SHAPE)
    assert list(found) == [17, 3]
    np.testing.assert_array_equal(found[17], values.astype(np.float16).astype(np.float32))
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e4])
def test_a_weight_that_is_no_number_or_too_large_is_refused_both_ways(value):
    kernel = np.zeros((3, 3, 3), np.float32)
    ours = format_kernels({0: kernel})
    kernel[1, 1, 1] = value
    with pytest.raises(ValueError, match="weights"):
        format_kernels({0: kernel})
    words = kernel.astype("<f2").tobytes()
    with pytest.raises(ValueError, match="finite"):
        parse_kernels("0." + base64.urlsafe_b64encode(words).decode(), SHAPE)
    assert parse_kernels(ours, SHAPE)[0].sum() == 0


@pytest.mark.parametrize("text", ["0", "0.", "0.AAAA", "64." + "A" * 72, "0.A~0.A", "x.AA", "0.A" * 2000])
def test_a_text_that_is_no_kernel_of_the_layer_is_refused(text):
    with pytest.raises(ValueError, match="Received"):
        parse_kernels(text, SHAPE)


def test_more_kernels_than_an_address_has_room_for_are_refused():
    kernels = {number: np.zeros((3, 3, 3), np.float32) for number in range(64)}
    with pytest.raises(ValueError, match="room for"):
        format_kernels(kernels)
    assert len(format_kernels(dict(list(kernels.items())[:25]))) <= MAX_CHARACTERS
