"""Shapes: ten kinds of shapes, 32x32 pixels in colour, drawn on the spot on cluttered backgrounds.

For a lesson without a download, and without patience: a training takes seconds where CIFAR-10 takes minutes. The
pictures have CIFAR-10's form and count of classes, so every network, page and question works on them unchanged.

How a picture is made: four corner colours blend into a background; spots and strokes clutter it; one shape, shifted,
turned and of any size within limits, gets a colour that differs from what is behind it; a stroke may cover part of it;
noise covers everything. A shape is a *signed distance*: how far each pixel lies outside its outline (negative inside).
A pixel half a pixel outside is clear, half a pixel inside is filled, and between the two it blends, which is all there
is to smooth edges. (The formulas: Inigo Quilez, https://iquilezles.org/articles/distfunctions2d/.)

The same seed gives the same pictures everywhere: per pixel there is nothing but + - * / and square roots in float32,
which every processor rounds alike.

How hard they are was tuned so that 2,000 training images show quickly what CIFAR-10 shows slowly: a plain network
learns them by heart, regularizers close part of the gap. Measured with `python -m cnnlab train --dataset shapes` and
the report's settings (30 epochs, batch 64, Adam; Keras 3.15, TensorFlow 2.21, one AMD EPYC core, float32, seed 0,
one run each; per cent after the last epoch, training in inference mode, validation on 1,000 images, so with a 95 %
interval of 2.8 points at 73 and of 2.3 at 83 per cent):

    network                 training   validation   gap
    2-conv, none                99.9         72.9   27.0
    2-conv, L2 0.00001          98.6         72.4   26.2
    2-conv, dropout 0.1         97.7         76.9   20.8
    2-conv, batch norm         100.0         78.0   22.0
    3-conv, none                96.7         79.2   17.5
    3-conv, L2 0.00001          96.9         80.0   16.9
    3-conv, dropout 0.1         91.7         83.5    8.2
    3-conv, batch norm         100.0         82.7   17.3

As in the report: dropout leaves the smallest gap, L2 this small shows no effect, three layers beat two. On two cores
with nothing else to do, each of the 3-conv networks took 54 to 59 seconds, its start and the drawing included.
"""

import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab import settings
from cnnlab.array_types import PixelArray
from cnnlab.data import Dataset, array_store

Floats = NDArray[np.floating[Any]]  # float32 throughout

CLASSES = ("circle", "ring", "crescent", "heart", "square", "triangle", "hexagon", "star", "cross", "arrow")
IMAGE_SIZE = 32
TRAIN_POOL, VALIDATION, TEST = 10_000, 1_000, 1_000
SEED = 2026
VERSION = 2  # goes up when the pictures change, so that those kept from before are drawn again
CHUNK_SIZE = 250  # pictures drawn together: few enough to stay in the processor's cache

# The difficulty. Lengths in pixels, colours from 0 to 1.
RADIUS = (9.0, 12.0)
MAX_SHIFT = 4.0  # away from the middle, at most, in x and in y
MAX_ROTATION = 0.4  # radians, at most, either way
CONTRAST = (0.5, 0.9)  # how far a shape's colour is from the average behind it, in RGB
SPOT_COUNT, STROKE_COUNT, OCCLUDING_STROKES = (
    4,
    2,
    1,
)  # how many are behind the shape, and how many strokes in front of it
NOISE_STD = 0.06  # standard deviation

Corners = tuple[tuple[float, float], ...]


def load() -> Dataset:
    """Shapes: x_train uint8 (11000, 32, 32, 3), of which the last 1,000 are for validation, x_test (1000, 32, 32, 3).

    Drawn in about five seconds the first time and kept, memory-mapped; where they cannot be kept they are drawn again.
    """
    try:
        return _load_stored()
    except array_store.ArrayStoreError:
        arrays = _generate_arrays()
    try:
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        array_store.write(
            directory(), arrays, {"source": f"drawn with seed {SEED}", "prepared": today, "recipe": VERSION}
        )
        return _load_stored()
    except array_store.ArrayStoreError:  # a full disk is no reason not to train
        return Dataset(name="shapes", classes=CLASSES, fingerprint=array_store.fingerprint(arrays), **arrays)


def is_available() -> bool:
    """Always: they are made on the spot."""
    return True


def directory() -> Path:
    """Where the drawn arrays are kept."""
    return settings.data_dir() / "shapes"


def _load_stored() -> Dataset:
    arrays, manifest = array_store.read(directory())
    if manifest.get("recipe") != VERSION:
        raise array_store.ArrayStoreError("These shapes were drawn in another way.")
    return Dataset(name="shapes", classes=CLASSES, fingerprint=manifest["fingerprint"], **arrays)


def _generate_arrays() -> array_store.Arrays:
    x_train, y_train = generate(TRAIN_POOL + VALIDATION, SEED)
    x_test, y_test = generate(TEST, SEED + 1)
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def generate(count: int, seed: int = 0) -> tuple[PixelArray, PixelArray]:
    """`count` pictures, uint8 (count, 32, 32, 3), RGB, and their labels, uint8 (count,), places in CLASSES.

    The kinds are mixed, equally many of each. The first pictures of a longer series are not those of a shorter one,
    unless both lengths are multiples of CHUNK.
    """
    chunks = [_generate_chunk(min(CHUNK_SIZE, count - start), seed, start) for start in range(0, count, CHUNK_SIZE)]
    images, labels = zip(*chunks, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def _generate_chunk(count: int, seed: int, start: int) -> tuple[PixelArray, PixelArray]:
    """One chunk. A canvas is float32 (n, 3, 32, 32): colour planes, because NumPy is fast along a long last axis."""
    random = _ChunkRandom(count, seed, start)
    labels = (random.permutation() % len(CLASSES)).astype(np.uint8)
    canvas = _background(random)
    cover = _shape_coverage(random, labels)
    _blend(canvas, cover, _contrasting_color(random, canvas, cover))
    for _ in range(OCCLUDING_STROKES):
        _blend(canvas, _stroke_coverage(random, thickness=0.9), random.uniform(3), random.uniform_between(0.0, 0.8))
    canvas += random.noise() * np.float32(NOISE_STD)
    pixels = np.rint(np.clip(canvas, 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)), labels


class _ChunkRandom:
    """The random numbers of one chunk of `count` pictures, made of nothing but uniform ones, float32 in 0..1."""

    def __init__(self, count: int, seed: int, start: int) -> None:
        self.count = count
        self._source = np.random.Generator(np.random.PCG64([seed, start]))

    def uniform(self, each: int) -> Floats:
        """(count, each) numbers in 0..1."""
        return self._source.random((self.count, each)).astype(np.float32)

    def uniform_between(self, low: float, high: float) -> Floats:
        """(count,) numbers in low..high."""
        return np.float32(low) + np.float32(high - low) * self.uniform(1)[:, 0]

    def noise(self) -> Floats:
        """(count, 3, 32, 32) numbers around 0 with standard deviation 1, nearly normal: a sum of three uniform ones."""
        total = sum(self._source.random((self.count, 3, IMAGE_SIZE, IMAGE_SIZE), dtype=np.float32) for _ in range(3))
        return np.asarray((total - np.float32(1.5)) * np.float32(2.0))

    def permutation(self) -> NDArray[np.intp]:
        """A permutation of 0..count-1."""
        return np.argsort(self._source.random(self.count), kind="stable")


# Painting

_PIXEL_CENTERS = np.arange(IMAGE_SIZE, dtype=np.float32) + np.float32(
    0.5
)  # of the pixels, from the left or from the top


def _blend(canvas: Floats, cover: Floats, colour: Floats, opacity: Floats | float = 1.0) -> None:
    """Lay colour (n, 3) on the canvas where cover (n, 32, 32) is above 0."""
    weight = (cover * np.reshape(np.asarray(opacity, np.float32), (-1, 1, 1)))[:, None]
    canvas += weight * (colour[:, :, None, None] - canvas)


def _background(random: _ChunkRandom) -> Floats:
    corners = (np.float32(0.1) + np.float32(0.8) * random.uniform(12)).reshape(-1, 3, 2, 2, 1, 1)
    across, down = _PIXEL_CENTERS / IMAGE_SIZE, (_PIXEL_CENTERS / IMAGE_SIZE)[:, None]
    top = corners[:, :, 0, 0] * (1 - across) + corners[:, :, 0, 1] * across
    bottom = corners[:, :, 1, 0] * (1 - across) + corners[:, :, 1, 1] * across
    canvas = top * (1 - down) + bottom * down
    for _ in range(SPOT_COUNT):
        _blend(canvas, _spot_coverage(random), random.uniform(3), random.uniform_between(0.2, 0.7))
    for _ in range(STROKE_COUNT):
        _blend(canvas, _stroke_coverage(random, thickness=1.6), random.uniform(3), random.uniform_between(0.3, 0.9))
    return canvas


def _coverage(distance: Floats) -> Floats:
    """How much of each pixel is covered, 0..1, from its signed distance in pixels."""
    return np.asarray(np.clip(np.float32(0.5) - distance, 0, 1))


def _spot_coverage(random: _ChunkRandom) -> Floats:
    x, y, radius = (random.uniform(3) * np.array([IMAGE_SIZE, IMAGE_SIZE, 5], np.float32)).T[:, :, None, None]
    return _coverage(np.sqrt((_PIXEL_CENTERS - x) ** 2 + (_PIXEL_CENTERS[:, None] - y) ** 2) - (1 + radius))


def _stroke_coverage(random: _ChunkRandom, thickness: float) -> Floats:
    x, y, to_x, to_y = ((random.uniform(4) * np.float32(1.3) - np.float32(0.15)) * IMAGE_SIZE).T[:, :, None, None]
    squared = _squared_segment_distance(_PIXEL_CENTERS - x, _PIXEL_CENTERS[:, None] - y, to_x - x, to_y - y)
    return _coverage(np.sqrt(squared) - np.float32(thickness / 2))


def _contrasting_color(random: _ChunkRandom, canvas: Floats, cover: Floats) -> Floats:
    """(n, 3): a colour in a random direction from the average behind the shape, as far from it as CONTRAST says."""
    weight = cover[:, None].astype(np.float64)
    behind = (canvas * weight).sum(axis=(2, 3)) / np.maximum(weight.sum(axis=(2, 3)), 1e-6)
    behind = np.round(behind, 3).astype(np.float32)  # sums depend on the processor in their last digits
    step = random.uniform(3) - np.float32(0.5)
    step = np.where((behind + step > 1) | (behind + step < 0), -step, step)
    length = np.sqrt(step[:, 0] ** 2 + step[:, 1] ** 2 + step[:, 2] ** 2) + np.float32(1e-6)
    return np.asarray(np.clip(behind + step / length[:, None] * random.uniform_between(*CONTRAST)[:, None], 0, 1))


# The shapes, as signed distances in a plane where a shape has a radius of about 1; x to the right, y down


def _regular_polygon(count: int, *radii: float) -> Corners:
    """`count` corners around the middle, clockwise from the top, at the given radii in turn."""
    angles = [2 * np.pi * index / count for index in range(count)]
    return tuple(
        (float(np.sin(angle)) * radii[index % len(radii)], -float(np.cos(angle)) * radii[index % len(radii)])
        for index, angle in enumerate(angles)
    )


_ARM, _TIP = 0.3, 0.92
POLYGONS: dict[str, Corners] = {
    "square": ((-0.74, -0.74), (0.74, -0.74), (0.74, 0.74), (-0.74, 0.74)),
    "triangle": tuple((x, y + 0.12) for x, y in _regular_polygon(3, 1.05)),
    "hexagon": _regular_polygon(6, 0.94),
    "star": _regular_polygon(10, 1.05, 0.44),
    "cross": (
        *((-_ARM, -_TIP), (_ARM, -_TIP), (_ARM, -_ARM), (_TIP, -_ARM), (_TIP, _ARM), (_ARM, _ARM)),
        *((_ARM, _TIP), (-_ARM, _TIP), (-_ARM, _ARM), (-_TIP, _ARM), (-_TIP, -_ARM), (-_ARM, -_ARM)),
    ),
    "arrow": ((0, -1.0), (0.82, -0.1), (0.3, -0.1), (0.3, 0.95), (-0.3, 0.95), (-0.3, -0.1), (-0.82, -0.1)),
}


def _shape_coverage(random: _ChunkRandom, labels: PixelArray) -> Floats:
    """(n, 32, 32): how much of each pixel the shape covers, 0..1, at a random place, size and turn."""
    radius = random.uniform_between(*RADIUS)[:, None, None]
    x = (_PIXEL_CENTERS - (IMAGE_SIZE / 2 + random.uniform_between(-MAX_SHIFT, MAX_SHIFT))[:, None, None]) / radius
    y = (
        _PIXEL_CENTERS[:, None] - (IMAGE_SIZE / 2 + random.uniform_between(-MAX_SHIFT, MAX_SHIFT))[:, None, None]
    ) / radius
    angle = random.uniform_between(-MAX_ROTATION, MAX_ROTATION).astype(np.float64)[:, None, None]
    sine, cosine = np.sin(angle).astype(np.float32), np.cos(angle).astype(np.float32)
    x, y = cosine * x + sine * y, cosine * y - sine * x
    distance = np.empty_like(x)
    for label, name in enumerate(CLASSES):
        of_this_kind = labels == label
        distance[of_this_kind] = signed_distance(name, x[of_this_kind], y[of_this_kind])
    return _coverage(distance * radius)


def signed_distance(name: str, x: Floats, y: Floats) -> Floats:
    """How far the points (x, y) lie outside the outline of a shape from CLASSES; negative inside."""
    from_middle = np.sqrt(x * x + y * y)
    match name:
        case "circle":
            return from_middle - np.float32(0.88)
        case "ring":
            return np.asarray(np.abs(from_middle - np.float32(0.7)) - np.float32(0.22))
        case "crescent":  # a disc without another one
            other = np.sqrt((x - np.float32(0.45)) ** 2 + y * y)
            return np.asarray(np.maximum(from_middle - np.float32(0.95), np.float32(0.8) - other))
        case "heart":
            return _heart_distance(x * np.float32(0.92), y * np.float32(0.92) - np.float32(0.08)) / np.float32(0.92)
        case _:
            return _polygon_distance(x, y, POLYGONS[name])


def _heart_distance(x: Floats, y: Floats) -> Floats:
    """A square on its corner, with half a disc on each of its upper sides."""
    half, quarter = np.float32(0.5**0.5), np.float32(0.125**0.5)
    square = (np.abs(x) + np.abs(y)) * half - np.float32(0.5)
    discs = np.sqrt((np.abs(x) - quarter) ** 2 + (y + quarter) ** 2) - np.float32(0.5)
    return np.asarray(np.minimum(square, discs))


def _polygon_distance(x: Floats, y: Floats, corners: Corners) -> Floats:
    """The distance to the nearest side; inside are the points whose ray to the right crosses an odd number of sides."""
    nearest = np.full_like(x, np.inf)
    inside = np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        nearest = np.minimum(
            nearest,
            _squared_segment_distance(x - ax, y - ay, np.asarray(bx - ax, np.float32), np.asarray(by - ay, np.float32)),
        )
        if ay != by:
            inside ^= ((y < ay) != (y < by)) & (x < (y - ay) * np.float32((bx - ax) / (by - ay)) + ax)
    return np.where(inside, -1, 1).astype(np.float32) * np.sqrt(nearest)


def _squared_segment_distance(x: Floats, y: Floats, dx: Floats, dy: Floats) -> Floats:
    """The squared distance of (x, y) to the segment from (0, 0) to (dx, dy)."""
    along = np.clip((x * dx + y * dy) / (dx * dx + dy * dy + np.float32(1e-9)), 0, 1)
    return np.asarray((x - along * dx) ** 2 + (y - along * dy) ** 2)
