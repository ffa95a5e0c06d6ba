"""Feature-map grids, decoded pixel by pixel: the position and the colors of each map."""

import io
import time

import numpy as np
import pytest
from PIL import Image

from cnnlab.experiment import Experiment
from cnnlab.models.architecture import network_layers
from cnnlab.rendering import color_scale, feature_map_grid
from cnnlab.rendering.color_scale import image_grid_png, palette
from cnnlab.rendering.feature_map_grid import render_feature_maps, render_layers, shared_vmax


def pixels(png: bytes) -> np.ndarray:
    """RGBA as any other program reads the file."""
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGBA"))


def map_colors(map_grid: feature_map_grid.FeatureMapGrid, number: int) -> np.ndarray:
    """The colors (h, w, 3) of one map in the grid."""
    row, column = map_grid.position(number)
    top, left = row * map_grid.cell_shape[0], column * map_grid.cell_shape[1]
    return pixels(map_grid.png)[
        top : top + map_grid.cell_shape[0] - map_grid.gap, left : left + map_grid.cell_shape[1] - map_grid.gap, :3
    ]


def some_maps(height: int = 15, width: int = 13, count: int = 64, seed: int = 0) -> np.ndarray:
    return np.maximum(np.random.default_rng(seed).normal(size=(height, width, count)), 0).astype(np.float32)


ZERO, TOP = palette(False)[1], palette(False)[255]


def test_every_map_hangs_at_its_place_in_its_own_resolution() -> None:
    maps = np.zeros((30, 25, 64), np.float32)
    maps[2, 1, 19] = 1.0  # the only number that is not zero
    picture = pixels(render_feature_maps(maps).png)
    assert picture.shape == (8 * 31, 8 * 26, 4)
    assert np.argwhere((picture[..., :3] == TOP).all(axis=-1)).tolist() == [[2 * 31 + 2, 3 * 26 + 1]]


def test_maps_of_a_few_pixels_are_written_larger_and_every_number_stays_one_square() -> None:
    maps = some_maps(4, 4)
    map_grid = render_feature_maps(maps)
    assert pixels(map_grid.png).shape == (8 * 17, 8 * 17, 4)
    colors = map_colors(map_grid, 20)
    np.testing.assert_array_equal(colors, colors[::4, ::4].repeat(4, axis=0).repeat(4, axis=1))
    np.testing.assert_array_equal(
        colors[::4, ::4], color_scale.colorize(maps[..., 20], map_grid.vmax[20], signed=False)
    )


def test_one_transparent_pixel_parts_the_maps() -> None:
    picture = pixels(render_feature_maps(some_maps()).png)
    assert (picture[15::16, :, 3] == 0).all() and (picture[:, 13::14, 3] == 0).all()
    assert (picture[0, :13, 3] == 255).all()


def test_a_palette_is_all_the_file_holds() -> None:
    with Image.open(io.BytesIO(render_feature_maps(some_maps()).png)) as image:
        assert image.mode == "P"


def test_the_grid_counts_its_maps() -> None:
    map_grid = render_feature_maps(some_maps(count=10), columns=8)
    assert (map_grid.count, map_grid.rows, map_grid.columns) == (10, 2, 8)
    assert (pixels(map_grid.png)[16:, 2 * 14 :, 3] == 0).all()  # cells without a map are transparent


@pytest.mark.parametrize(
    ("count", "columns"), [(1, 1), (2, 2), (3, 2), (7, 3), (8, 4), (16, 4), (32, 8), (64, 8), (100, 10), (256, 16)]
)
def test_a_grid_is_about_square_and_its_rows_are_full_where_they_can_be(count: int, columns: int) -> None:
    map_grid = render_feature_maps(some_maps(count=count))
    assert map_grid.columns == columns
    assert map_grid.columns <= 2.1 * map_grid.rows and map_grid.rows <= 1.5 * map_grid.columns


def test_an_order_decides_which_map_hangs_where() -> None:
    maps = some_maps(count=6)
    turned = render_feature_maps(maps, order=[5, 3])
    assert turned.count == 2 and turned.position(3) == (0, 1)
    np.testing.assert_array_equal(map_colors(turned, 3), map_colors(render_feature_maps(maps), 3))


def test_compare_strength_draws_a_map_half_as_strong_half_as_far_up_the_scale() -> None:
    maps = np.ones((3, 3, 2), np.float32) * np.array([2.0, 4.0], np.float32)
    map_grid = render_feature_maps(maps)
    np.testing.assert_array_equal(map_colors(map_grid, 0)[0, 0], palette(False)[1 + 127])
    np.testing.assert_array_equal(map_colors(map_grid, 1)[0, 0], TOP)
    assert map_grid.shares_scale and map_grid.vmax[0] == 4.0


def test_see_detail_gives_each_map_its_own_scale() -> None:
    maps = some_maps()
    maps[..., 3] *= 0.1
    map_grid = render_feature_maps(maps, "map")
    assert (map_colors(map_grid, 3) == TOP).all(axis=-1).any()  # weak as it is, its strongest pixel has the last colour
    assert not map_grid.shares_scale
    np.testing.assert_allclose(map_grid.vmax, maps.max(axis=(0, 1)))


@pytest.mark.parametrize("scale", feature_map_grid.SCALES)
@pytest.mark.parametrize("signed", [False, True])
def test_a_map_of_zeros_has_the_color_of_zero_and_is_inactive(scale: str, signed: bool) -> None:
    maps = some_maps()
    maps[..., 7] = 0
    map_grid = render_feature_maps(maps, scale, signed=signed)
    assert np.flatnonzero(map_grid.inactive).tolist() == [7]
    assert (map_colors(map_grid, 7) == (palette(True)[128] if signed else ZERO)).all()


@pytest.mark.parametrize("scale", feature_map_grid.SCALES)
def test_a_flat_map_stays_flat(scale: str) -> None:
    maps = some_maps()
    maps[..., 0] = 0.7
    colors = map_colors(render_feature_maps(maps, scale), 0)
    assert (colors == colors[0, 0]).all()
    assert not render_feature_maps(maps, scale).inactive[0]


def test_rounding_noise_is_not_blown_up_to_a_picture() -> None:
    noise = np.random.default_rng(1).normal(size=(15, 13)).astype(np.float32)
    maps = some_maps()
    maps[..., 0] = 0.7 + 1e-7 * noise  # nearly flat
    maps[..., 1] = 1e-7 * np.abs(noise)  # nearly zero beside strong maps
    for number in (0, 1):
        colors = map_colors(render_feature_maps(maps, "map"), number).astype(int)
        assert np.ptp(colors, axis=(0, 1)).max() <= 1
    alone = map_colors(
        render_feature_maps(1e-10 * np.abs(noise)[..., None], "map"), 0
    )  # no strong maps to compare with
    assert (alone == ZERO).all()


def test_a_grid_of_zeros_only_is_rendered_with_all_maps_inactive() -> None:
    map_grid = render_feature_maps(np.zeros((4, 4, 64), np.float32), "map")
    assert map_grid.inactive.all() and map_grid.zero_share == 1.0
    assert (map_colors(map_grid, 63) == ZERO).all()


def test_numbers_that_are_none_are_drawn_as_zero_and_said() -> None:
    maps = some_maps()
    maps[0, 0, 5], maps[1, 1, 6] = np.nan, np.inf
    map_grid = render_feature_maps(maps)
    assert np.flatnonzero(map_grid.non_finite).tolist() == [5, 6]
    assert (map_colors(map_grid, 5)[0, 0] == ZERO).all()
    assert np.isfinite(map_grid.vmax).all() and np.isfinite(map_grid.maximum).all()


def test_before_relu_zero_is_the_middle_and_signs_are_two_colours() -> None:
    maps = np.array([[-2.0, 0.0, 2.0]], np.float32)[..., None]
    colors = map_colors(render_feature_maps(maps, signed=True), 0)[0, ::5]
    np.testing.assert_array_equal(colors, palette(True)[[1, 128, 255]])
    lightness = palette(True)[1:].mean(axis=1)
    assert lightness.argmax() == 127  # zero is the lightest colour of all


def test_the_sequential_scale_only_becomes_lighter() -> None:
    red, green, blue = palette(False)[1:].astype(float).T
    assert (np.diff(0.2126 * red + 0.7152 * green + 0.0722 * blue) > -0.6).all()  # up to rounding to whole colours


def test_low_and_high_are_the_maps_own_numbers() -> None:
    maps = some_maps()
    map_grid = render_feature_maps(maps, "layer")
    np.testing.assert_array_equal(map_grid.minimum, maps.min(axis=(0, 1)))
    np.testing.assert_array_equal(map_grid.maximum, maps.max(axis=(0, 1)))


def test_several_grids_can_share_one_scale() -> None:
    first, second = some_maps(seed=1), 3 * some_maps(seed=2)
    shared = shared_vmax([first, second])
    assert shared[0] == second.max() and (shared == shared[0]).all()
    assert render_feature_maps(first, vmax=shared).vmax[0] == render_feature_maps(second, vmax=shared).vmax[0]
    per_map = shared_vmax([first, second], "map")
    np.testing.assert_allclose(per_map, np.maximum(first.max(axis=(0, 1)), second.max(axis=(0, 1))))


def test_layers_before_relu_are_signed_and_those_after_are_not() -> None:
    layers = network_layers(Experiment(depth=1, regularizer="batchnorm"))
    layers = [layer for layer in layers if layer.block]
    maps = {layer.name: some_maps()[None] for layer in layers}
    assert {name: grid.signed for name, grid in render_layers(maps, layers).items()} == {
        "conv1": True,
        "bn1": True,
        "relu1": False,
        "pool1": False,
    }


def test_all_grids_of_a_three_layer_run_take_less_than_15_ms() -> None:
    layers = [layer for layer in network_layers(Experiment(depth=3)) if layer.kind == "relu"]
    maps = {layer.name: some_maps(*layer.output_shape[:2])[None] for layer in layers}
    taken = []
    for _ in range(50):
        start = time.process_time()  # processor time, since other programs may run
        render_layers(maps, layers)
        taken.append(time.process_time() - start)
    assert np.median(taken) < 0.015


def test_pictures_side_by_side_keep_their_colours() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (5, 3, 3, 3), np.uint8)
    laid = pixels(image_grid_png(pictures, columns=2))
    assert laid.shape == (3 * 4, 2 * 4, 4)
    np.testing.assert_array_equal(laid[4:7, 4:7, :3], pictures[3])
    assert (laid[8:, 4:, 3] == 0).all()


def test_an_enlarged_picture_repeats_its_pixels() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (2, 3, 3), np.uint8)
    np.testing.assert_array_equal(pixels(color_scale.upscaled_png(picture, 4))[::4, ::4, :3], picture)


def test_where_there_is_no_heat_the_grey_image_shines_through() -> None:
    image = np.full((4, 4, 3), [30, 60, 90], np.uint8)
    heat = np.zeros((4, 4), np.float32)
    heat[0, 0] = 1
    laid = color_scale.overlay_heatmap(image, heat, vmax=1.0)
    assert (laid[1, 1] == 60).all()
    assert (laid[0, 0] != 60).any()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"maps": np.zeros((3, 3))}, r"\(h, w, f\)"),
        ({"maps": np.zeros((3, 3, 2)), "scale": "both"}, "scale='both'"),
        ({"maps": np.zeros((3, 3, 2)), "columns": 0}, "columns=0"),
        ({"maps": np.zeros((3, 3, 2)), "order": [2]}, "0 to 1"),
        ({"maps": np.zeros((3, 3, 2)), "order": []}, "order"),
        ({"maps": np.zeros((3, 3, 2)), "vmax": 0.0}, "above zero"),
    ],
)
def test_what_cannot_be_rendered_is_refused_in_one_sentence(arguments: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        render_feature_maps(**arguments)
