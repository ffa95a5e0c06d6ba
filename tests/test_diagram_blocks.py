"""The picture of a network: its blocks against the layers, its masks against the rate, its bars against the formula."""

import base64
import math

import numpy as np
import pytest
from run_factories import some_weights

from cnnlab.analysis import diagram_blocks
from cnnlab.data.samples import sample_images
from cnnlab.experiment import REGULARIZERS, Experiment
from cnnlab.explanations.notices import network_notice
from cnnlab.models import numpy_forward
from cnnlab.models.architecture import INPUT, Layer, network_layers, parameter_count, weight_shapes
from cnnlab.ui import architecture_diagram


def blocks_of(**choices):
    return diagram_blocks.diagram_blocks(network_layers(Experiment(**choices)))


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("regularizer", REGULARIZERS)
def test_every_layer_is_in_one_block_and_the_parameters_add_up(depth, regularizer):
    experiment = Experiment(depth=depth, regularizer=regularizer)
    layers = network_layers(experiment)
    blocks = diagram_blocks.diagram_blocks(layers)
    assert [layer for block in blocks for layer in block.layers] == list(layers)
    assert sum(block.parameters for block in blocks) == sum(map(math.prod, weight_shapes(layers).values()))
    told = [one["parameters"] for one in architecture_diagram.diagram_data(layers, None)["blocks"]]
    numbers = [int(text.split()[0].replace(",", "").replace("no", "0")) for text in told]
    assert sum(numbers) == parameter_count(layers)
    assert f"**{parameter_count(layers):,}**" in architecture_diagram.layer_table(layers).splitlines()[-1]


def test_the_report_s_network_shrinks_from_32_to_2_pixels():
    blocks = blocks_of(depth=3, regularizer="dropout")
    assert [block.grid_shape[0] for block in blocks if len(block.shape) == 3] == [32, 30, 15, 13, 6, 4, 2]
    assert [(block.name, block.grid_shape) for block in blocks if len(block.shape) == 1] == [
        ("dense1", (10, 10)),
        ("dense2", (10, 10)),
        ("logits", (3, 4)),
    ]
    assert sum(block.parameters for block in blocks) == 112_458
    assert "**256** before the dense layers" in network_notice(blocks)


def test_a_square_of_units_has_room_for_each_and_no_empty_row():
    for units in (1, 2, 10, 97, 100, 1024):
        block = diagram_blocks.DiagramBlock(name="dense1", kind="dense", shape=(units,), layers=())
        rows, columns = block.grid_shape
        assert rows * columns >= units > (rows - 1) * columns and columns - rows in (0, 1)


def decoded(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind)


def test_the_cells_that_go_dark_are_a_random_mask_at_the_network_s_rate():
    layers = network_layers(Experiment(depth=3, regularizer="dropout", strength=0.3, dense=97))
    data = architecture_diagram.diagram_data(layers, None)["blocks"]
    drops = [(block, decoded("".join(block["dropout"]["masks"]), "u1")) for block in data if block["dropout"]]
    assert [block["dropout"]["name"] for block, _ in drops] == [one.name for one in layers if one.kind == "dropout"]
    shares = {}
    for block, _ in drops:
        masks = np.stack([decoded(mask, "u1") for mask in block["dropout"]["masks"]])
        assert masks.shape == (architecture_diagram.MASKS, block["rows"] * block["columns"]) and masks.max() <= 1
        assert not masks[:, block["units"] :].any()
        shares[block["name"]] = (masks.sum(), len(masks) * block["units"])
    dropped, all_cells = (sum(column) for column in zip(*shares.values(), strict=True))
    assert abs(dropped / all_cells - 0.3) < 4 * math.sqrt(0.3 * 0.7 / all_cells)
    assert len({tuple(decoded(mask, "u1")) for mask in drops[0][0]["dropout"]["masks"]}) == architecture_diagram.MASKS
    with pytest.raises(ValueError, match="Received: 'conv1'"):
        diagram_blocks.dropout_masks(blocks_of()[1], 1)


def test_the_bars_are_the_values_before_and_after_the_batch_normalization():
    layers = network_layers(experiment := Experiment(depth=2, regularizer="batchnorm", filters=1))
    weights = some_weights(experiment, seed=2)
    activations = numpy_forward.compute_activations(layers, weights, sample_images()[0][:1])
    data = architecture_diagram.diagram_data(layers, activations)["blocks"]
    shown = next(block["bn"] for block in data if block["name"] == "conv2")
    before, after = (decoded(values, "<f4").astype(float) for values in shown["values"])
    gamma, beta, mean, variance = (
        weights[f"bn2/{role}"][0] for role in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    np.testing.assert_allclose(after, (before - mean) / np.sqrt(variance + 1e-3) * gamma + beta, atol=1e-5)
    assert len(before) == 13 * 13
    assert shown["moments"][0] == pytest.approx([before.mean(), before.std()], abs=1e-5)
    assert [block["name"] for block in data if block["bn"]] == ["conv1", "conv2"]
    assert not any(block["bn"] for block in architecture_diagram.diagram_data(layers, None)["blocks"])


def test_only_convolutions_and_poolings_open_a_view():
    data = architecture_diagram.diagram_data(network_layers(Experiment(depth=2)), None, clickable=True)["blocks"]
    assert [block["name"] for block in data if block["opens"]] == ["conv1", "pool1", "conv2", "pool2"]


def test_each_block_shows_an_activation_of_its_own_shape():
    layers = network_layers(experiment := Experiment(depth=3, regularizer="dropout"))
    activations = numpy_forward.compute_activations(layers, some_weights(experiment, 1), sample_images()[0][:1])
    names = [
        architecture_diagram.shown_layer(layers, block, activations)
        for block in diagram_blocks.diagram_blocks(layers)
        if block.kind != INPUT
    ]
    assert names == ["relu1", "pool1", "relu2", "pool2", "relu3", "pool3", "dense1", "dense2", "logits"]


def test_the_table_says_which_convolution_is_padded_because_its_maps_are_too_small():
    rows = architecture_diagram.layer_table(network_layers(Experiment(depth=4))).splitlines()
    assert [row.split()[1] for row in rows if "zeros around" in row] == ["conv4"]
    assert "zeros around" not in architecture_diagram.layer_table(network_layers(Experiment(depth=3)))


def test_the_table_spells_out_every_parameter():
    network = network_layers(Experiment(depth=3, regularizer="batchnorm"))
    shown = architecture_diagram.layer_table(network)
    assert "1,792 = (3\u00b73\u00b73 + 1)\u00b764" in shown and "256 = 4\u00b764" in shown
    assert all(f"| {layer.name} |" in shown for layer in network)
    spelled = [
        architecture_diagram.format_parameter_count(layer).replace("\u00b7", "*").split(" = ")
        for layer in network
        if layer.parameters
    ]
    assert all(int(total.replace(",", "")) == eval(sums) for total, sums in spelled)
    assert sum(eval(sums) for _, sums in spelled) == parameter_count(network)


def test_the_table_names_what_a_layer_of_an_unlisted_kind_reads():
    total = Layer(name="add2", kind="add", inputs=("conv2", "pool1"), output_shape=(15, 15, 64))
    assert "of conv2 and pool1" in architecture_diagram.layer_table((total,))
