"""Draws the images of the data set Shapes: one of ten shapes on a cluttered background, 32x32 pixels in color.

How an image is made: four corner colors blend into a background; spots and strokes clutter it; one shape, shifted,
rotated and of random size within limits, gets a color that differs from the background behind it; a stroke may occlude
part of it; noise is added everywhere. A shape is given as a *signed distance*: the distance of each pixel from its
outline, negative inside. A pixel half a pixel outside is not covered, one half a pixel inside is covered, and coverage
is linear between the two, which smooths the edges. (Formulas: Inigo Quilez,
https://iquilezles.org/articles/distfunctions2d/.)

The same seed gives the same images on every machine: per pixel only + - * / and square roots in float32 are used, which
every processor rounds alike.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab.array_types import PixelArray
from cnnlab.datasets import DATASETS

Floats = NDArray[np.floating[Any]]  # float32 throughout
Corners = tuple[tuple[float, float], ...]

CLASSES = DATASETS["shapes"].classes
IMAGE_SIZE = 32
CHUNK_SIZE = 250  # images drawn together: few enough to stay in the processor's cache

# The difficulty. Lengths in pixels, colors from 0 to 1.
RADIUS = (9.0, 12.0)
MAX_SHIFT = 4.0  # from the center, in x and in y
MAX_ROTATION = 0.4  # radians, in both directions
CONTRAST = (0.5, 0.9)  # distance of the shape's color from the mean color behind it, in RGB
SPOT_COUNT, STROKE_COUNT = 4, 2  # behind the shape
OCCLUDING_STROKES = 1  # in front of the shape
NOISE_STD = 0.06


def generate(count: int, seed: int = 0) -> tuple[PixelArray, PixelArray]:
    """`count` images, uint8 (count, 32, 32, 3), RGB, and their labels, uint8 (count,), indices into CLASSES.

    Classes are shuffled and equally frequent. The first images of a longer series equal those of a shorter one only if
    both lengths are multiples of CHUNK_SIZE.
    """
    chunks = [_generate_chunk(min(CHUNK_SIZE, count - start), seed, start) for start in range(0, count, CHUNK_SIZE)]
    images, labels = zip(*chunks, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def _generate_chunk(count: int, seed: int, start: int) -> tuple[PixelArray, PixelArray]:
    """One chunk: images uint8 (count, 32, 32, 3), labels uint8 (count,).

    The canvas is float32 (n, 3, 32, 32), channels first, because NumPy is faster along a long last axis.
    """
    rng = _ChunkRandom(count, seed, start)
    labels = (rng.permutation() % len(CLASSES)).astype(np.uint8)
    canvas = _background(rng)
    coverage = _shape_coverage(rng, labels)
    _blend(canvas, coverage, _contrasting_color(rng, canvas, coverage))
    for _ in range(OCCLUDING_STROKES):
        _blend(canvas, _stroke_coverage(rng, thickness=0.9), rng.uniform(3), rng.uniform_between(0.0, 0.8))
    canvas += rng.noise() * np.float32(NOISE_STD)
    pixels = np.rint(np.clip(canvas, 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)), labels


def shape_mask(index: int, count: int, seed: int = 0) -> Floats:
    """The fraction of each pixel that the shape of image `index` of `generate(count, seed)` covers, float32 (32, 32).

    A stroke drawn over the shape is not left out. Raises ValueError for an image that is not among them.
    """
    if not 0 <= index < count:
        raise ValueError(f"Expected an image from 0 to {count - 1}. Received: index={index}")
    start = index // CHUNK_SIZE * CHUNK_SIZE
    rng = _ChunkRandom(min(CHUNK_SIZE, count - start), seed, start)
    labels = (rng.permutation() % len(CLASSES)).astype(np.uint8)
    _background(rng)  # takes its random numbers
    return np.asarray(_shape_coverage(rng, labels)[index - start])


class _ChunkRandom:
    """The random numbers of one chunk of `count` images, all derived from uniform float32 numbers in 0..1."""

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
        """(count, 3, 32, 32) numbers, mean 0, standard deviation 1, nearly normal: sums of three uniform numbers."""
        total = sum(self._source.random((self.count, 3, IMAGE_SIZE, IMAGE_SIZE), dtype=np.float32) for _ in range(3))
        return np.asarray((total - np.float32(1.5)) * np.float32(2.0))

    def permutation(self) -> NDArray[np.intp]:
        """A permutation of 0..count-1."""
        return np.argsort(self._source.random(self.count), kind="stable")


# Drawing on the canvas

_PIXEL_CENTERS = np.arange(IMAGE_SIZE, dtype=np.float32) + np.float32(0.5)


def _blend(canvas: Floats, coverage: Floats, color: Floats, opacity: Floats | float = 1.0) -> None:
    """Blend color (n, 3) into canvas (n, 3, 32, 32), in place, with weight coverage (n, 32, 32) * opacity, 0..1."""
    weight = (coverage * np.reshape(np.asarray(opacity, np.float32), (-1, 1, 1)))[:, None]
    canvas += weight * (color[:, :, None, None] - canvas)


def _background(rng: _ChunkRandom) -> Floats:
    corners = (np.float32(0.1) + np.float32(0.8) * rng.uniform(12)).reshape(-1, 3, 2, 2, 1, 1)
    across, down = _PIXEL_CENTERS / IMAGE_SIZE, (_PIXEL_CENTERS / IMAGE_SIZE)[:, None]
    top = corners[:, :, 0, 0] * (1 - across) + corners[:, :, 0, 1] * across
    bottom = corners[:, :, 1, 0] * (1 - across) + corners[:, :, 1, 1] * across
    canvas = top * (1 - down) + bottom * down
    for _ in range(SPOT_COUNT):
        _blend(canvas, _spot_coverage(rng), rng.uniform(3), rng.uniform_between(0.2, 0.7))
    for _ in range(STROKE_COUNT):
        _blend(canvas, _stroke_coverage(rng, thickness=1.6), rng.uniform(3), rng.uniform_between(0.3, 0.9))
    return canvas


def _coverage(distance: Floats) -> Floats:
    """The fraction of each pixel that is covered, 0..1, from its signed distance in pixels."""
    return np.asarray(np.clip(np.float32(0.5) - distance, 0, 1))


def _spot_coverage(rng: _ChunkRandom) -> Floats:
    x, y, radius = (rng.uniform(3) * np.array([IMAGE_SIZE, IMAGE_SIZE, 5], np.float32)).T[:, :, None, None]
    return _coverage(np.sqrt((_PIXEL_CENTERS - x) ** 2 + (_PIXEL_CENTERS[:, None] - y) ** 2) - (1 + radius))


def _stroke_coverage(rng: _ChunkRandom, thickness: float) -> Floats:
    x, y, to_x, to_y = ((rng.uniform(4) * np.float32(1.3) - np.float32(0.15)) * IMAGE_SIZE).T[:, :, None, None]
    squared = _squared_segment_distance(_PIXEL_CENTERS - x, _PIXEL_CENTERS[:, None] - y, to_x - x, to_y - y)
    return _coverage(np.sqrt(squared) - np.float32(thickness / 2))


def _contrasting_color(rng: _ChunkRandom, canvas: Floats, coverage: Floats) -> Floats:
    """(n, 3): a color at a distance within CONTRAST, in a random direction, from the mean color behind the shape."""
    weight = coverage[:, None].astype(np.float64)
    behind = (canvas * weight).sum(axis=(2, 3)) / np.maximum(weight.sum(axis=(2, 3)), 1e-6)
    behind = np.round(behind, 3).astype(np.float32)  # the last digits of sums depend on the processor
    step = rng.uniform(3) - np.float32(0.5)
    step = np.where((behind + step > 1) | (behind + step < 0), -step, step)
    length = np.sqrt(step[:, 0] ** 2 + step[:, 1] ** 2 + step[:, 2] ** 2) + np.float32(1e-6)
    return np.asarray(np.clip(behind + step / length[:, None] * rng.uniform_between(*CONTRAST)[:, None], 0, 1))


# The shapes, as signed distances, with a radius of about 1; x to the right, y down


def _regular_polygon(count: int, *radii: float) -> Corners:
    """`count` corners around the center, clockwise from the top, at alternating `radii`."""
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


def _shape_coverage(rng: _ChunkRandom, labels: PixelArray) -> Floats:
    """(n, 32, 32): the fraction of each pixel that the shape covers, at a random position, size and rotation."""
    radius = rng.uniform_between(*RADIUS)[:, None, None]
    x = (_PIXEL_CENTERS - (IMAGE_SIZE / 2 + rng.uniform_between(-MAX_SHIFT, MAX_SHIFT))[:, None, None]) / radius
    y = (
        _PIXEL_CENTERS[:, None] - (IMAGE_SIZE / 2 + rng.uniform_between(-MAX_SHIFT, MAX_SHIFT))[:, None, None]
    ) / radius
    angle = rng.uniform_between(-MAX_ROTATION, MAX_ROTATION).astype(np.float64)[:, None, None]
    sine, cosine = np.sin(angle).astype(np.float32), np.cos(angle).astype(np.float32)
    x, y = cosine * x + sine * y, cosine * y - sine * x
    distance = np.empty_like(x)
    for label, name in enumerate(CLASSES):
        in_class = labels == label
        distance[in_class] = signed_distance(name, x[in_class], y[in_class])
    return _coverage(distance * radius)


def signed_distance(name: str, x: Floats, y: Floats) -> Floats:
    """The distance of the points (x, y) from the outline of a shape from CLASSES, negative inside; same shape as x."""
    from_center = np.sqrt(x * x + y * y)
    match name:
        case "circle":
            return from_center - np.float32(0.88)
        case "ring":
            return np.asarray(np.abs(from_center - np.float32(0.7)) - np.float32(0.22))
        case "crescent":  # the difference of two discs
            other = np.sqrt((x - np.float32(0.45)) ** 2 + y * y)
            return np.asarray(np.maximum(from_center - np.float32(0.95), np.float32(0.8) - other))
        case "heart":
            return _heart_distance(x * np.float32(0.92), y * np.float32(0.92) - np.float32(0.08)) / np.float32(0.92)
        case _:
            return _polygon_distance(x, y, POLYGONS[name])


def _heart_distance(x: Floats, y: Floats) -> Floats:
    """A square standing on a corner, with half a disc on each of its upper sides."""
    half, quarter = np.float32(0.5**0.5), np.float32(0.125**0.5)
    square = (np.abs(x) + np.abs(y)) * half - np.float32(0.5)
    discs = np.sqrt((np.abs(x) - quarter) ** 2 + (y + quarter) ** 2) - np.float32(0.5)
    return np.asarray(np.minimum(square, discs))


def _polygon_distance(x: Floats, y: Floats, corners: Corners) -> Floats:
    """The distance to the nearest side, negative for points whose ray to the right crosses an odd number of sides."""
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
