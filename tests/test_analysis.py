"""Questions asked of a forward pass, against Keras, TensorFlow's gradients, and the images themselves."""

import numpy as np
import pytest
from keras_reference import keras_reference, some_images

from cnnlab.analysis import (
    activation_stats,
    attribution,
    filter_ablation,
    filter_matching,
    kernels,
    pixel_trace,
    receptive_field,
    regularizer_effects,
    top_activations,
)
from cnnlab.experiment import REGULARIZERS, Experiment
from cnnlab.models import architecture, numpy_forward
from cnnlab.models.architecture import LayerOrder, network_layers
from cnnlab.storage import runs

PLAIN = Experiment(depth=2, filters=8)
NORMED = Experiment(depth=3, regularizer="batchnorm", filters=6)
PADDED = Experiment(depth=4, kernel=5, filters=7, regularizer="batchnorm")
DROPPING = Experiment(depth=3, regularizer="dropout", strength=0.3, filters=6)
EXPERIMENTS = {"plain": PLAIN, "normed": NORMED, "padded": PADDED, "dropping": DROPPING}
each_experiment = pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=EXPERIMENTS.keys())


def looked_at(experiment, count=2, placement=None):
    network = keras_reference(experiment, placement)
    images = some_images(count)
    return network, images, numpy_forward.compute_activations(network.layers, network.weights, images)


def convolutions(network):
    return [layer.name for layer in network.layers if layer.kind == "conv"]


# ---- field ----------------------------------------------------------------------------------------------------------


def pixels_that_matter(network, stage):
    """Change one pixel of a black image after the other in a network where every weight is positive, so that no
    change can be lost on the way; bool (32, 32, ...) with the shape of the stage behind."""
    weights, source = {}, 3
    for layer in network:
        if layer.kind in ("conv", "dense"):
            shape = (layer.kernel, layer.kernel) if layer.kind == "conv" else ()
            weights[f"{layer.name}/kernel"] = np.full((*shape, source, layer.output_shape[-1]), 0.1, np.float32)
            weights[f"{layer.name}/bias"] = np.zeros(layer.output_shape[-1], np.float32)
        source = layer.output_shape[-1]
    images = np.zeros((1024, 32, 32, 3), np.uint8)
    images[np.arange(1024), np.arange(1024) // 32, np.arange(1024) % 32] = 255
    changed = numpy_forward.compute_activations(network, weights, images)[stage] > 0
    return changed.reshape(32, 32, *changed.shape[1:])


def box_around(matters):
    rows, columns = np.flatnonzero(matters.any(axis=1)), np.flatnonzero(matters.any(axis=0))
    assert matters[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    return (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)


@pytest.mark.parametrize("depth, kernel", [(2, 3), (3, 3), (4, 3), (4, 5), (3, 7), (2, 1)])
@pytest.mark.slow
def test_exactly_the_pixels_of_the_receptive_field_can_change_a_pixel(depth, kernel):
    network = network_layers(Experiment(depth=depth, kernel=kernel, filters=1, dense=1))
    for layer in network:
        if layer.kind in ("conv", "pool"):
            matters = pixels_that_matter(network, layer.name)[..., 0]
            for row in range(layer.output_shape[0]):
                for column in {0, layer.output_shape[1] // 2, layer.output_shape[1] - 1}:
                    expected = box_around(matters[:, :, row, column])
                    assert receptive_field.receptive_field(network, layer.name, row, column) == expected, (
                        layer.name,
                        row,
                        column,
                    )


def test_the_receptive_field_of_the_logits_leaves_out_what_pooling_dropped():
    network = network_layers(Experiment(depth=3, filters=1, dense=1))
    expected = box_around(pixels_that_matter(network, "logits")[..., 0])
    assert (
        receptive_field.receptive_field(network, "logits")
        == receptive_field.receptive_field(network, "flatten")
        == expected
    )


def test_the_receptive_fields_of_the_reports_network():
    network = network_layers(Experiment(depth=3))
    sizes = [receptive_field.receptive_field(network, name, 1, 1) for name in ("conv1", "pool1", "conv2", "conv3")]
    assert [(box.bottom - box.top) for box in sizes] == [3, 4, 8, 18]
    assert receptive_field.receptive_field(network, "input", 5, 6) == (5, 6, 6, 7)


def test_a_pixel_outside_the_map_is_refused():
    network = network_layers(PLAIN)
    with pytest.raises(ValueError, match="Received: row=30, column=0"):
        receptive_field.receptive_field(network, "conv1", 30, 0)


# ---- maps -----------------------------------------------------------------------------------------------------------


def test_maps_are_ranked_by_their_mean_and_by_their_maximum():
    maps = np.zeros((2, 2, 4), np.float32)
    maps[..., 1] = 1
    maps[0, 0, 2] = 3
    assert activation_stats.rank_feature_maps(maps, "mean").tolist() == [1, 2, 0, 3]
    assert activation_stats.rank_feature_maps(maps, "max").tolist() == [2, 1, 0, 3]
    assert activation_stats.feature_map_stats(maps, 2) == activation_stats.FeatureMapStats(0.0, 3.0, 0.75, 2, 1, False)
    assert activation_stats.feature_map_stats(maps, 3).inactive
    assert activation_stats.inactive_feature_maps(maps).tolist() == [True, False, False, True]


def test_a_filter_inactive_on_one_image_is_not_dead():
    maxima = np.float32([[0, 0, 1], [0, 2, 1]])
    assert activation_stats.dead_filters(maxima).tolist() == [True, False, False]


def test_selectivity_is_one_for_a_filter_that_answers_one_class_alone():
    labels = np.array([3, 3, 5, 7])
    activity = np.float32([[2, 0, 1, 0, 3], [4, 0, 1, 0, 3], [0, 5, 1, 0, 1], [0, 1, 1, 0, 1]])
    np.testing.assert_allclose(activation_stats.class_selectivity(activity, labels, 3), [1, -1, 0, 0, 0.5])
    with pytest.raises(ValueError, match="Received: 0 of 4"):
        activation_stats.class_selectivity(activity, labels, 9)


# ---- pixel ----------------------------------------------------------------------------------------------------------


@each_experiment
@pytest.mark.slow
def test_the_parts_of_a_pixel_add_up_to_the_value_that_keras_computes(experiment):
    network, images, maps = looked_at(experiment)
    keras = network.stages(images)
    rng = np.random.default_rng(0)
    for name in convolutions(network):
        height, width, filters = receptive_field.layer_shape(network.layers, name)
        spots = [(0, 0), (height - 1, width - 1), (int(rng.integers(height)), int(rng.integers(width)))]
        for row, column in spots:
            chosen = int(rng.integers(filters))
            result = pixel_trace.trace_pixel(network.layers, network.weights, maps, name, row, column, chosen, image=1)
            shown, others = result.top_channels(3)
            total = sum(value for _, value in shown) + others + result.bias
            assert total == pytest.approx(float(keras[name][1, row, column, chosen]), abs=1e-4)
            assert result.products.sum() + result.bias == pytest.approx(result.value, abs=1e-4)
            assert result.total == pytest.approx(result.value, abs=1e-4)


def test_a_pixels_products_are_patch_times_kernel_number_by_number():
    network, images, maps = looked_at(PLAIN)
    result = pixel_trace.trace_pixel(network.layers, network.weights, maps, "conv1", 4, 20, 5)
    by_hand = 0.0
    for i in range(3):
        for j in range(3):
            for channel in range(3):
                product = images[0, 4 + i, 20 + j, channel] / 255 * network.weights["conv1/kernel"][i, j, channel, 5]
                assert result.products[i, j, channel] == pytest.approx(float(product), abs=1e-6)
                by_hand += float(product)
    assert result.channel_sums.sum() == pytest.approx(by_hand, abs=1e-5)
    assert (result.input_name, result.input_box) == ("rescale", (4, 20, 7, 23))


def test_the_strongest_channels_come_first_whether_they_push_up_or_down():
    network, _, maps = looked_at(NORMED)
    result = pixel_trace.trace_pixel(network.layers, network.weights, maps, "conv2", 3, 3, 1)
    shown, _ = result.top_channels(2)
    sizes = [abs(value) for _, value in shown]
    rest = [abs(value) for channel, value in enumerate(result.channel_sums) if channel not in dict(shown)]
    assert sizes == sorted(sizes, reverse=True)
    assert min(sizes) >= max(rest)
    assert result.top_channels(99)[1] == 0


def test_the_patch_of_a_padded_convolution_has_zeros_outside():
    network, _, maps = looked_at(PADDED)
    padded = next(layer.name for layer in network.layers if layer.padding == "same" and layer.kind == "conv")
    result = pixel_trace.trace_pixel(network.layers, network.weights, maps, padded, 0, 0, 0)
    assert result.patch.shape == result.kernel.shape
    assert not result.patch[:2].any() and not result.patch[:, :2].any()


def test_batch_normalization_and_relu_of_a_pixel_can_be_followed_by_hand():
    network, images, maps = looked_at(NORMED)
    result = pixel_trace.trace_pixel(network.layers, network.weights, maps, "conv2", 5, 6, 2)
    norm, relu = result.steps
    numbers = norm.parameters
    scaled = (result.total - numbers["mean"]) / np.sqrt(numbers["variance"] + numbers["epsilon"])
    by_hand = numbers["gamma"] * scaled + numbers["beta"]
    keras = network.stages(images)
    assert by_hand == pytest.approx(norm.after, abs=1e-4) == float(keras["bn2"][0, 5, 6, 2])
    assert max(by_hand, 0) == pytest.approx(relu.after, abs=1e-4) == float(keras["relu2"][0, 5, 6, 2])


def test_the_steps_of_a_pixel_follow_the_networks_order():
    network, _, maps = looked_at(NORMED, placement=LayerOrder(batchnorm="after_relu"))
    result = pixel_trace.trace_pixel(network.layers, network.weights, maps, "conv1", 5, 6, 2)
    assert [step.kind for step in result.steps] == ["relu", "bn"]


@each_experiment
def test_a_pooled_pixel_is_the_largest_of_its_square(experiment):
    network, images, maps = looked_at(experiment)
    keras = network.stages(images)
    for row, column in ((0, 0), (2, 3), (13, 13)):
        result = pixel_trace.trace_pool(network.layers, maps, "pool1", row, column, 4)
        assert result.value == pytest.approx(float(keras["pool1"][0, row, column, 4]), abs=1e-5)
        assert result.value == result.values.max() == maps[result.input_name][0, *result.winner, 4]
        assert result.values.shape == (2, 2)


def test_questions_about_what_is_not_there_are_refused():
    network, _, maps = looked_at(PLAIN)
    with pytest.raises(ValueError, match=r"of kind conv: conv1, conv2. Received: 'pool1'"):
        pixel_trace.trace_pixel(network.layers, network.weights, maps, "pool1", 0, 0, 0)
    with pytest.raises(ValueError, match="Received: filter=8"):
        pixel_trace.trace_pixel(network.layers, network.weights, maps, "conv1", 0, 0, 8)
    with pytest.raises(ValueError, match="Received: row=0, column=-1"):
        pixel_trace.trace_pool(network.layers, maps, "pool1", 0, -1, 0)


# ---- kernels --------------------------------------------------------------------------------------------------------


def test_a_kernels_picture_is_grey_at_zero_bright_above_and_dark_below():
    kernel = np.zeros((3, 3, 3, 2), np.float32)
    kernel[0, 0, 0, 0], kernel[1, 1, 2, 0], kernel[0, 0, 0, 1] = 2, -2, 1
    result = kernels.kernel_images(kernel)
    assert result.pixels.shape == (2, 3, 3, 3)
    assert result.pixels[0, 0, 0].tolist() == [255, 128, 128]
    assert result.pixels[0, 1, 1].tolist() == [128, 128, 0]
    assert result.pixels[1, 0, 0, 0] == 191
    assert kernels.kernel_images(kernel, "filter").pixels[1, 0, 0, 0] == 255
    assert result.vmax.tolist() == [2, 2]


def test_kernels_of_zeros_stay_grey():
    assert (kernels.kernel_images(np.zeros((3, 3, 3, 4), np.float32), "filter").pixels == 128).all()


def test_only_first_layer_kernels_are_pictures():
    with pytest.raises(ValueError, match=r"Received: shape=\(3, 3, 8, 8\)"):
        kernels.kernel_images(keras_reference(PLAIN).weights["conv2/kernel"])


def test_an_edited_kernel_changes_its_map_alone_and_leaves_the_run_as_it_was():
    network, images, maps = looked_at(PLAIN)
    before = network.weights["conv1/kernel"].copy()
    sobel = [[1, 0, -1], [2, 0, -2], [1, 0, -1]]
    edited = numpy_forward.compute_activations(
        network.layers, kernels.replace_kernel(network.weights, 3, sobel), images
    )
    others = filter_ablation.all_filters_except(8, [3])
    np.testing.assert_array_equal(edited["conv1"][..., others], maps["conv1"][..., others])
    brightness = images[0, 10:13, 20:23].sum(axis=2) / 255
    expected = (brightness * sobel).sum() + network.weights["conv1/bias"][3]
    assert edited["conv1"][0, 10, 20, 3] == pytest.approx(float(expected), abs=1e-4)
    np.testing.assert_array_equal(network.weights["conv1/kernel"], before)


def test_a_kernel_with_its_own_numbers_put_back_changes_nothing():
    network = keras_reference(PLAIN)
    same = kernels.replace_kernel(network.weights, 2, network.weights["conv1/kernel"][..., 2])
    np.testing.assert_array_equal(same["conv1/kernel"], network.weights["conv1/kernel"])


@pytest.mark.parametrize("values", [np.zeros((5, 5)), np.full((3, 3), np.nan), np.zeros((3, 3, 4))])
def test_kernels_of_another_shape_or_without_numbers_are_refused(values):
    with pytest.raises(ValueError, match="Expected finite numbers of shape"):
        kernels.replace_kernel(keras_reference(PLAIN).weights, 0, values)


# ---- ablation -------------------------------------------------------------------------------------------------------


@each_experiment
@pytest.mark.parametrize("off", [{"conv1": [2]}, {"conv2": [0, 1, 5]}, {"conv1": [0], "conv2": [1, 2, 3, 4, 5]}])
def test_switching_filters_off_is_zeroing_their_maps_in_keras(experiment, off):
    network, images, _ = looked_at(experiment)

    def zeroed(name, values):
        filters = off.get(name.replace("relu", "conv"), ()) if name.startswith("relu") else ()
        return values * np.float32([number not in filters for number in range(values.shape[-1])]) if filters else values

    ours = filter_ablation.ablate_filters(network.layers, network.weights, images, off)
    for name, expected in network.stages(images, zeroed).items():
        np.testing.assert_allclose(ours[name], expected, rtol=0, atol=1e-5, err_msg=name)


def test_switching_nothing_off_changes_nothing():
    network, images, maps = looked_at(DROPPING)
    same = filter_ablation.ablate_filters(network.layers, network.weights, images, {"conv1": []})
    assert list(same) == list(maps)
    np.testing.assert_array_equal(same["logits"], maps["logits"])


def test_the_strongest_filters_and_all_but_one():
    maps = np.zeros((2, 2, 4), np.float32)
    maps[0, 0] = [1, 4, 2, 3]
    assert filter_ablation.top_filters(maps, 2) == [1, 3]
    assert filter_ablation.top_filters(maps, 0) == []
    assert filter_ablation.all_filters_except(4, [1]) == [0, 2, 3]


def test_filters_and_layers_that_are_not_there_cannot_be_switched_off():
    network, images, _ = looked_at(PLAIN)
    with pytest.raises(ValueError, match=r"Received: \[8\]"):
        filter_ablation.ablate_filters(network.layers, network.weights, images, {"conv1": [3, 8]})
    with pytest.raises(ValueError, match=r"of kind conv: conv1, conv2\. Received: 'dense1'"):
        filter_ablation.ablate_filters(network.layers, network.weights, images, {"dense1": [0]})


# ---- evidence -------------------------------------------------------------------------------------------------------


def test_occlusion_is_the_probability_lost_when_keras_sees_the_covered_image():
    network, images, _ = looked_at(NORMED, 1)
    result = attribution.occlusion(network.layers, network.weights, images[0], 4, patch=12, stride=5, gray=100)
    assert result.tops.tolist() == result.lefts.tolist() == [0, 5, 10, 15, 20]
    covered = np.repeat(images, 26, axis=0)
    for number, (top, left) in enumerate((top, left) for top in result.tops for left in result.lefts):
        covered[number, top : top + 12, left : left + 12] = 100
    sure = numpy_forward.softmax(network.stages(covered)["logits"])[:, 4]
    assert result.probability == pytest.approx(float(sure[-1]), abs=1e-5)
    np.testing.assert_allclose(result.drop.ravel(), sure[-1] - sure[:-1], atol=1e-5)
    assert result.drop[
        result.tops.tolist().index(result.worst_patch.top), result.lefts.tolist().index(result.worst_patch.left)
    ] == (result.drop.max())


@pytest.mark.parametrize("patch, stride", [(8, 2), (7, 5), (32, 1), (1, 1), (3, 3)])
@pytest.mark.slow
def test_every_pixel_is_covered_and_gets_the_mean_over_the_patches_that_covered_it(patch, stride):
    network, images, _ = looked_at(PLAIN, 1)
    result = attribution.occlusion(network.layers, network.weights, images[0], 0, patch, stride)
    assert result.heatmap.shape == (32, 32) and np.isfinite(result.heatmap).all()
    assert result.heatmap[0, 0] == pytest.approx(float(result.drop[0, 0]), abs=1e-6)
    assert result.heatmap[-1, -1] == pytest.approx(float(result.drop[-1, -1]), abs=1e-6)
    row = [i for i, top in enumerate(result.tops) if top <= 15 < top + patch]
    column = [j for j, left in enumerate(result.lefts) if left <= 20 < left + patch]
    assert result.heatmap[15, 20] == pytest.approx(float(result.drop[np.ix_(row, column)].mean()), abs=1e-6)


@pytest.mark.parametrize("wrong", [{"patch": 0}, {"patch": 33}, {"stride": 0}, {"stride": 9}, {"gray": 256}])
def test_occlusion_refuses_what_makes_no_sense(wrong):
    network, images, _ = looked_at(PLAIN, 1)
    with pytest.raises(ValueError, match=f"Received: {next(iter(wrong))}"):
        attribution.occlusion(network.layers, network.weights, images[0], 0, **wrong)


def grad_cam_by_tensorflow(network, image, target, at):
    import tensorflow as tf

    model = network.model
    values, passed = tf.constant(image[None]), False
    with tf.GradientTape() as tape:
        for layer in model.layers[1:]:
            values = layer(values, training=False)
            if layer.name == at:
                tape.watch(values)
                maps, passed = values, True
        score = values[0, target]
    assert passed
    slope = tape.gradient(score, maps)
    return tf.nn.relu(tf.reduce_sum(tf.reduce_mean(slope, axis=(1, 2))[0] * maps[0], axis=-1)).numpy()


@each_experiment
@pytest.mark.slow
def test_grad_cam_is_tensorflows_for_every_convolution_and_class(experiment):
    network, images, _ = looked_at(experiment, 1)
    for conv in convolutions(network):
        for at in (conv, architecture.relu_after(network.layers, conv)):
            for target in (0, 4, 9):
                ours = attribution.grad_cam(network.layers, network.weights, images[0], target, at)
                theirs = grad_cam_by_tensorflow(network, images[0], target, at)
                np.testing.assert_allclose(ours.coarse, theirs, rtol=0, atol=1e-4)
                assert ours.has_evidence == bool(theirs.max() > 0)


def test_grad_cam_says_when_nothing_speaks_for_a_class():
    network, images, _ = looked_at(PLAIN, 1)
    against = {**network.weights, "logits/kernel": network.weights["logits/kernel"].copy()}
    against["dense1/kernel"] = np.abs(against["dense1/kernel"])
    against["logits/kernel"][:, 6] = -1
    result = attribution.grad_cam(network.layers, against, images[0], 6, "relu2")
    assert not result.has_evidence
    assert not result.heatmap.any()
    assert result.signed.min() < 0


@pytest.mark.parametrize("at", ["relu1", "pool1", "relu2", "pool2", "relu3"])
def test_evidence_is_enlarged_around_the_middle_of_its_receptive_field(at):
    network = network_layers(Experiment(depth=3))
    height, width, _ = receptive_field.layer_shape(network, at)
    for row, column in ((1, 1), (height - 2, width - 2), (height // 2, 1)):
        coarse = np.zeros((height, width), np.float32)
        coarse[row, column] = 1
        heat = attribution.upsample_to_image(network, at, coarse)
        assert heat.shape == (32, 32) and heat.dtype == np.float32
        box = receptive_field.receptive_field(network, at, row, column)
        balance = [float((heat * place).sum() / heat.sum()) for place in np.indices((32, 32))]
        assert balance == pytest.approx([(box.top + box.bottom - 1) / 2, (box.left + box.right - 1) / 2], abs=1e-3)


def test_grad_cam_refuses_a_layer_without_rows_and_columns():
    network, images, _ = looked_at(PLAIN, 1)
    with pytest.raises(ValueError, match="Expected a layer with feature maps"):
        attribution.grad_cam(network.layers, network.weights, images[0], 0, "dense1")
    with pytest.raises(ValueError, match="Received: target=-1"):
        attribution.grad_cam(network.layers, network.weights, images[0], -1, "relu1")


# ---- regularizers ---------------------------------------------------------------------------------------------------


def test_thinned_networks_are_what_keras_computes_with_the_same_masks():
    network, images, _ = looked_at(DROPPING, 1)
    result = regularizer_effects.dropout_samples(network.layers, network.weights, images[0], count=5)

    def thinned(name, values):
        return values * result.masks[name] / 0.7 if name in result.masks else values

    expected = network.stages(np.repeat(images, 5, axis=0), thinned)["logits"]
    np.testing.assert_allclose(result.probabilities, numpy_forward.softmax(expected), atol=1e-5)
    np.testing.assert_allclose(
        result.full_network, numpy_forward.softmax(network.stages(images)["logits"])[0], atol=1e-5
    )


def test_masks_drop_their_rate_and_the_seed_decides_which():
    network, images, maps = looked_at(DROPPING, 1)
    first, again, other = (
        regularizer_effects.dropout_samples(network.layers, network.weights, images[0], seed=s) for s in (0, 0, 1)
    )
    assert first.masks["dropout1"].shape == (30, 15, 15, 6)
    assert first.masks["dropout1"].mean() == pytest.approx(0.7, abs=0.01)
    np.testing.assert_array_equal(first.probabilities, again.probabilities)
    assert (first.masks["dropout1"] != other.masks["dropout1"]).any()
    kept = first.masks["dropout1"][0]
    np.testing.assert_allclose(first.activations["dropout1"][0][kept], maps["pool1"][0][kept] / 0.7, rtol=1e-5)
    assert not first.activations["dropout1"][0][~kept].any()


def test_dropout_samples_are_summed_up_in_mean_and_agreement():
    probabilities = np.float32([[0.8, 0.2], [0.4, 0.6], [0.9, 0.1], [0.7, 0.3]])
    result = regularizer_effects.DropoutSamples(
        full_network=np.float32([0.9, 0.1]), probabilities=probabilities, masks={}, activations={}
    )
    assert result.agreement == 0.75
    np.testing.assert_allclose(result.mean, [0.7, 0.3], atol=1e-6)


def test_a_network_without_dropout_has_no_mask_to_draw():
    network, images, _ = looked_at(PLAIN, 1)
    with pytest.raises(ValueError, match="Open a run trained with dropout"):
        regularizer_effects.dropout_samples(network.layers, network.weights, images[0])


def test_the_norms_give_the_penalty_that_keras_adds_to_the_loss():
    network = keras_reference(Experiment(depth=3, regularizer="l2", filters=6, strength=0.01))
    result = regularizer_effects.weight_stats(network.weights)
    assert [one.layer for one in result] == ["conv1", "conv2", "conv3", "dense1", "dense2", "logits"]
    penalty = 0.01 * sum(one.norm**2 for one in result)
    assert penalty == pytest.approx(sum(float(loss) for loss in network.model.losses), rel=1e-5)


def test_two_runs_histograms_lie_on_the_same_edges_and_lose_no_weight():
    one, two = keras_reference(PLAIN).weights, keras_reference(DROPPING).weights
    for mine, theirs in zip(
        regularizer_effects.weight_stats(one, two), regularizer_effects.weight_stats(two, one), strict=False
    ):
        if mine.layer.startswith("conv"):
            np.testing.assert_array_equal(mine.edges, theirs.edges)
        assert mine.counts.sum() == mine.count == one[f"{mine.layer}/kernel"].size
        assert mine.edges[0] == -mine.edges[-1]


@pytest.mark.parametrize("place", ["before_relu", "after_pool"])
def test_batch_normalization_is_shown_as_keras_has_it_before_and_after(place):
    network, images, maps = looked_at(NORMED, 4, LayerOrder(batchnorm=place))
    keras = network.stages(images)
    result = regularizer_effects.batchnorm_stats(network.layers, network.weights, maps)
    assert [one.input_name for one in result] == [("conv" if place == "before_relu" else "pool") + n for n in "123"]
    for one in result:
        before, after = keras[one.input_name], keras[one.layer]
        np.testing.assert_allclose(one.std_before, before.std(axis=(0, 1, 2)), atol=1e-5)
        np.testing.assert_allclose(one.std_after, after.std(axis=(0, 1, 2)), atol=1e-5)
        np.testing.assert_allclose(one.quantiles_after[2], np.median(after, axis=(0, 1, 2)), atol=1e-5)
        np.testing.assert_allclose(one.negative_after, (after < 0).mean(axis=(0, 1, 2)), atol=1e-3)
        np.testing.assert_array_equal(one.learned["gamma"], network.weights[f"{one.layer}/gamma"])


@pytest.mark.parametrize("regularizer", [name for name in REGULARIZERS if name != "batchnorm"])
def test_without_batch_normalization_there_is_nothing_to_show(regularizer):
    network, _, maps = looked_at(Experiment(depth=1, regularizer=regularizer, filters=3), 1)
    assert regularizer_effects.batchnorm_stats(network.layers, network.weights, maps) == []


# ---- responses ------------------------------------------------------------------------------------------------------


def test_the_strongest_pixel_of_every_image_is_found_whatever_the_batch():
    network, images, _ = looked_at(NORMED, 11)
    keras = network.stages(images)
    updates = []
    result = top_activations.max_activations(
        network.layers, network.weights, images, batch=4, progress=lambda done, of: updates.append((done, of))
    )
    assert list(result) == ["relu1", "relu2", "relu3"]
    assert updates == [(4, 11), (8, 11), (11, 11)]
    for name, responses in result.items():
        np.testing.assert_allclose(responses.values, keras[name].max(axis=(1, 2)), atol=1e-5)
        for image in range(11):
            for chosen in range(6):
                place = (image, responses.rows[image, chosen], responses.columns[image, chosen], chosen)
                assert keras[name][place] == pytest.approx(float(responses.values[image, chosen]), abs=1e-5)


def test_only_the_activations_asked_for_are_kept():
    network, images, _ = looked_at(PLAIN)
    assert list(top_activations.max_activations(network.layers, network.weights, images, layer_names=["pool2"])) == [
        "pool2"
    ]


def test_the_gallery_shows_the_top_and_the_middle_of_a_filters_range():
    values = np.float32([[0, 0], [10, 0], [5, 0], [4, 0], [9, 0], [0, 0]])
    rows = np.arange(12, dtype=np.uint8).reshape(6, 2)
    result = top_activations.select_examples(top_activations.MaxActivations(values, rows, rows + 1), count=2)
    assert result.top.images[0].tolist() == [1, 4]
    assert result.middle.images[0].tolist() == [2, 3]
    assert result.top.values[0].tolist() == [10, 9]
    assert result.top.rows[0].tolist() == [2, 8]
    assert result.top.columns[0].tolist() == [3, 9]
    assert (result.minimum.tolist(), result.maximum.tolist()) == ([0, 0], [10, 0])
    assert result.dead.tolist() == [False, True]


# ---- pairing --------------------------------------------------------------------------------------------------------


def some_kernels(seed, filters=16):
    return np.random.default_rng(seed).normal(0, 0.1, (3, 3, 3, filters)).astype(np.float32)


def test_shipped_runs_started_from_the_same_kernels_and_most_filters_still_match():
    one, two = (runs.open_run(name) for name in ("final-3conv-dropout", "2conv-batchnorm"))
    before, after = ([run.weights(epoch)["conv1/kernel"] for run in (one, two)] for epoch in (0, 30))
    assert filter_matching.same_initialization(*before) and filter_matching.count_same_index_matches(*before) == 64
    correlation = np.corrcoef(*[kernel.reshape(27, 64).T for kernel in after])[:64, 64:]
    assert 32 < filter_matching.count_same_index_matches(*after) == (correlation.argmax(axis=1) == np.arange(64)).sum()


def test_a_start_is_the_same_though_the_disk_has_rounded_it():
    first = some_kernels(0)
    assert filter_matching.same_initialization(first, first.astype(np.float16))
    assert not filter_matching.same_initialization(first, some_kernels(1))
    assert not filter_matching.same_initialization(first, some_kernels(0, filters=8))


def test_each_filter_finds_its_like_wherever_it_hangs_and_however_strong_it_is():
    first, turned = some_kernels(0), np.random.default_rng(1).permutation(16)
    other = 3 * first[..., turned] + 0.5
    np.testing.assert_array_equal(turned[filter_matching.match_filters(first, other)], np.arange(16))
    assert filter_matching.count_same_index_matches(first, other) == (turned == np.arange(16)).sum()
    assert filter_matching.count_same_index_matches(first, 2 * first) == 16


def test_kernels_of_equal_numbers_and_of_no_numbers_resemble_none():
    first = some_kernels(0)
    first[..., 3], first[..., 5] = 0.25, np.nan
    assert filter_matching.count_same_index_matches(first, some_kernels(0)) == 14


def test_kernels_of_two_shapes_cannot_be_paired():
    with pytest.raises(ValueError, match="of one shape"):
        filter_matching.match_filters(some_kernels(0), some_kernels(0, filters=8))
