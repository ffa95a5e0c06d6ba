"""The parts of a whole map: what each incoming channel adds, against the forward pass and one pixel at a time."""

import base64

import numpy as np
import pytest
from run_factories import some_weights, write_run

from cnnlab.analysis import convolution_trace, pixel_trace
from cnnlab.data.samples import sample_images
from cnnlab.experiment import Experiment
from cnnlab.inspect import convolution_animation
from cnnlab.inspect.context import InspectContext
from cnnlab.models import numpy_forward
from cnnlab.models.architecture import layer_names, network_layers
from cnnlab.ui import script_component, streamlit_component_files
from cnnlab.ui.image_source import load_image_set, select_image

EXPERIMENTS = {
    "dropout": Experiment(depth=3, regularizer="dropout"),
    "batchnorm": Experiment(depth=3, regularizer="batchnorm"),
    "padded": Experiment(depth=4, kernel=5, filters=8, regularizer="batchnorm"),
}
each_experiment = pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=EXPERIMENTS.keys())


def forward(experiment: Experiment):
    layers, weights = network_layers(experiment), some_weights(experiment, seed=4)
    return layers, weights, numpy_forward.compute_activations(layers, weights, sample_images()[0][:1])


def random_pixels(layers, count: int):
    """Convolutions with a random filter and a random pixel of it."""
    rng = np.random.default_rng(7)
    for name in layer_names(layers, "conv"):
        height, width, filters = next(layer.output_shape for layer in layers if layer.name == name)
        for _ in range(count):
            yield name, int(rng.integers(filters)), int(rng.integers(height)), int(rng.integers(width))


@each_experiment
def test_the_channels_and_the_bias_add_up_to_every_pixel_of_the_map(experiment):
    layers, weights, activations = forward(experiment)
    for name, filter, row, column in random_pixels(layers, 3):
        trace = convolution_trace.trace_convolution(layers, weights, activations, name, filter, (row, column))
        np.testing.assert_allclose(trace.total, activations[name][0, ..., filter], atol=1e-4)
        pixel = pixel_trace.trace_pixel(layers, weights, activations, name, row, column, filter)
        parts = [pixel.channel_sums[channel] for channel in trace.channels]
        np.testing.assert_allclose(trace.channel_sums[:, row, column], parts, atol=1e-12)
        assert len(trace.channels) + trace.other_count == len(pixel.channel_sums)
        rest = pixel.channel_sums.sum() - sum(parts)
        assert trace.other_sum[row, column] == pytest.approx(rest, abs=1e-12)
        assert trace.total[row, column] == pytest.approx(pixel.total, abs=1e-12)


def test_the_channels_shown_are_those_that_add_most_to_the_pixel():
    layers, weights, activations = forward(EXPERIMENTS["dropout"])
    trace = convolution_trace.trace_convolution(layers, weights, activations, "conv2", 5, (12, 3), shown=4)
    patch = activations["pool1"][0, 12:15, 3:6]
    each = [abs((patch[..., at] * weights["conv2/kernel"][..., at, 5]).sum()) for at in range(64)]
    assert list(trace.channels) == np.argsort(each)[::-1][:4].tolist() and trace.other_count == 60


def test_the_first_layer_shows_its_three_colors_in_their_order_and_no_rest():
    layers, weights, activations = forward(EXPERIMENTS["dropout"])
    trace = convolution_trace.trace_convolution(layers, weights, activations, "conv1", 5, (0, 0))
    assert (trace.channels, trace.other_count) == ((0, 1, 2), 0) and not trace.other_sum.any()
    with pytest.raises(ValueError, match="of kind conv"):
        convolution_trace.trace_convolution(layers, weights, activations, "relu1", 5, (0, 0))


def decoded(text: str, kind: str, *shape: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind).reshape(shape).astype(np.float64)


def value_from(data: dict, row: int, column: int) -> float:
    """A pixel computed from nothing but what the browser gets."""
    size, border = data["kernelSize"], data["padding"]
    total = data["bias"]
    for channel in data["channels"]:
        values = decoded(channel["values"], "<f4", data["input"]["height"], data["input"]["width"])
        patch = np.pad(values, border)[row : row + size, column : column + size]
        total += float((patch * decoded(channel["kernel"], "<f4", size, size)).sum())
    if data["others"]:
        total += decoded(data["others"]["sums"], "<f8", data["output"]["height"], data["output"]["width"])[row, column]
    for step in data["steps"]:
        scaled = (total - step.get("mean", 0)) / np.sqrt(step.get("variance", 1) + step.get("epsilon", 0))
        total = scaled * step["gamma"] + step["beta"] if step["kind"] == "bn" else max(total, 0.0)
    return float(total)


@each_experiment
def test_the_browser_gets_what_it_needs_to_compute_any_pixel(experiment, tmp_path):
    run = write_run(tmp_path / "run", experiment)
    image = select_image("sample-0", load_image_set("cifar10"))
    context = InspectContext(run=run, epoch=2, selected_image=image)
    for conv, filter, row, column in random_pixels(context.layers, 2):
        trace = convolution_trace.trace_convolution(
            context.layers, context.weights, context.activations, conv, filter, (row, column)
        )
        for layer in context.block_layers(conv):
            if layer.kind == "pool":
                continue
            data = convolution_animation.animation_data(context, trace, layer)
            expected = float(context.activations[layer.name][0, row, column, filter])
            assert data["output"]["name"] == layer.name
            assert value_from(data, row, column) == pytest.approx(expected, abs=1e-4)


def test_a_map_whose_weights_are_not_numbers_is_not_animated():
    layers, weights, activations = forward(EXPERIMENTS["batchnorm"])
    trace = convolution_trace.trace_convolution(layers, weights, activations, "conv1", 0, (0, 0))
    broken = weights | {"conv1/bias": np.full(64, np.nan, np.float32)}
    assert trace.finite
    assert not convolution_trace.trace_convolution(layers, broken, activations, "conv1", 0, (0, 0)).finite


def test_every_component_has_its_page_style_and_script_in_the_package():
    names = {path.stem for path in script_component.STATIC.glob("*.html")}
    assert "convolution" in names
    for name in names:
        assert all((script_component.STATIC / f"{name}.{kind}").is_file() for kind in ("css", "js"))


def test_where_streamlit_registers_no_component_it_is_left_out_with_one_line(monkeypatch, caplog):
    def missing():
        raise ImportError("no module named streamlit.components.v2.manifest_scanner")

    monkeypatch.setattr(streamlit_component_files, "_internals", missing)
    script_component._log_missing.cache_clear()
    for _ in range(2):
        script_component.script_component("convolution", {}, key="any")
    assert ["manifest_scanner" in record.getMessage() for record in caplog.records] == [True]
