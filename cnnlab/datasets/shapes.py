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
one run each; per cent after the last epoch, training in inference mode, validation on 1,000 images, so give or take
1.4 points):

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
from cnnlab.datasets import Dataset, store

Bytes = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]  # float32 throughout

CLASSES = ("circle", "ring", "crescent", "heart", "square", "triangle", "hexagon", "star", "cross", "arrow")
SIDE = 32
POOL, VALIDATION, TEST = 10_000, 1_000, 1_000
SEED = 2026
RECIPE = 2  # goes up when the pictures change, so that those kept from before are drawn again
CHUNK = 250  # pictures drawn together: few enough to stay in the processor's cache

# The difficulty. Lengths in pixels, colours from 0 to 1.
RADIUS = (9.0, 12.0)
SHIFT = 4.0  # away from the middle, at most, in x and in y
TURN = 0.4  # radians, at most, either way
CONTRAST = (0.5, 0.9)  # how far a shape's colour is from the average behind it, in RGB
SPOTS, STROKES, COVERING = 4, 2, 1  # how many are behind the shape, and how many strokes in front of it
NOISE = 0.06  # standard deviation

Corners = tuple[tuple[float, float], ...]


def load() -> Dataset:
    """Shapes: x_train uint8 (11000, 32, 32, 3), of which the last 1,000 are for validation, x_test (1000, 32, 32, 3).

    Drawn in about five seconds the first time and kept, memory-mapped; where they cannot be kept they are drawn again.
    """
    try:
        return _kept()
    except store.StoreError:
        arrays = _all_arrays()
    try:
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        store.write(folder(), arrays, {"source": f"drawn with seed {SEED}", "prepared": today, "recipe": RECIPE})
        return _kept()
    except store.StoreError:  # a full disk is no reason not to train
        return Dataset(name="shapes", classes=CLASSES, fingerprint=store.fingerprint(arrays), **arrays)


def available() -> bool:
    """Always: they are made on the spot."""
    return True


def folder() -> Path:
    """Where the drawn arrays are kept."""
    return settings.data_dir() / "shapes"


def _kept() -> Dataset:
    arrays, manifest = store.read(folder())
    if manifest.get("recipe") != RECIPE:
        raise store.StoreError("These shapes were drawn in another way.")
    return Dataset(name="shapes", classes=CLASSES, fingerprint=manifest["fingerprint"], **arrays)


def _all_arrays() -> store.Arrays:
    x_train, y_train = draw(POOL + VALIDATION, SEED)
    x_test, y_test = draw(TEST, SEED + 1)
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def draw(count: int, seed: int = 0) -> tuple[Bytes, Bytes]:
    """`count` pictures, uint8 (count, 32, 32, 3), RGB, and their labels, uint8 (count,), places in CLASSES.

    The kinds are mixed, equally many of each. The first pictures of a longer series are not those of a shorter one,
    unless both lengths are multiples of CHUNK.
    """
    chunks = [_draw_chunk(min(CHUNK, count - start), seed, start) for start in range(0, count, CHUNK)]
    images, labels = zip(*chunks, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def _draw_chunk(count: int, seed: int, start: int) -> tuple[Bytes, Bytes]:
    """One chunk. A canvas is float32 (n, 3, 32, 32): colour planes, because NumPy is fast along a long last axis."""
    random = _Random(count, seed, start)
    labels = (random.order() % len(CLASSES)).astype(np.uint8)
    canvas = _background(random)
    cover = _shape_cover(random, labels)
    _paint(canvas, cover, _colour_that_shows(random, canvas, cover))
    for _ in range(COVERING):
        _paint(canvas, _stroke_cover(random, thickness=0.9), random.numbers(3), random.between(0.0, 0.8))
    canvas += random.noise() * np.float32(NOISE)
    pixels = np.rint(np.clip(canvas, 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)), labels


class _Random:
    """The random numbers of one chunk of `count` pictures, made of nothing but uniform ones, float32 in 0..1."""

    def __init__(self, count: int, seed: int, start: int) -> None:
        self.count = count
        self._source = np.random.Generator(np.random.PCG64([seed, start]))

    def numbers(self, each: int) -> Floats:
        """(count, each) numbers in 0..1."""
        return self._source.random((self.count, each)).astype(np.float32)

    def between(self, low: float, high: float) -> Floats:
        """(count,) numbers in low..high."""
        return np.float32(low) + np.float32(high - low) * self.numbers(1)[:, 0]

    def noise(self) -> Floats:
        """(count, 3, 32, 32) numbers around 0 with standard deviation 1, nearly normal: a sum of three uniform ones."""
        total = sum(self._source.random((self.count, 3, SIDE, SIDE), dtype=np.float32) for _ in range(3))
        return np.asarray((total - np.float32(1.5)) * np.float32(2.0))

    def order(self) -> NDArray[np.intp]:
        """A permutation of 0..count-1."""
        return np.argsort(self._source.random(self.count), kind="stable")


# Painting

_CENTRES = np.arange(SIDE, dtype=np.float32) + np.float32(0.5)  # of the pixels, from the left or from the top


def _paint(canvas: Floats, cover: Floats, colour: Floats, opacity: Floats | float = 1.0) -> None:
    """Lay colour (n, 3) on the canvas where cover (n, 32, 32) is above 0."""
    weight = (cover * np.reshape(np.asarray(opacity, np.float32), (-1, 1, 1)))[:, None]
    canvas += weight * (colour[:, :, None, None] - canvas)


def _background(random: _Random) -> Floats:
    corners = (np.float32(0.1) + np.float32(0.8) * random.numbers(12)).reshape(-1, 3, 2, 2, 1, 1)
    across, down = _CENTRES / SIDE, (_CENTRES / SIDE)[:, None]
    top = corners[:, :, 0, 0] * (1 - across) + corners[:, :, 0, 1] * across
    bottom = corners[:, :, 1, 0] * (1 - across) + corners[:, :, 1, 1] * across
    canvas = top * (1 - down) + bottom * down
    for _ in range(SPOTS):
        _paint(canvas, _spot_cover(random), random.numbers(3), random.between(0.2, 0.7))
    for _ in range(STROKES):
        _paint(canvas, _stroke_cover(random, thickness=1.6), random.numbers(3), random.between(0.3, 0.9))
    return canvas


def _cover(distance: Floats) -> Floats:
    """How much of each pixel is covered, 0..1, from its signed distance in pixels."""
    return np.asarray(np.clip(np.float32(0.5) - distance, 0, 1))


def _spot_cover(random: _Random) -> Floats:
    x, y, radius = (random.numbers(3) * np.array([SIDE, SIDE, 5], np.float32)).T[:, :, None, None]
    return _cover(np.sqrt((_CENTRES - x) ** 2 + (_CENTRES[:, None] - y) ** 2) - (1 + radius))


def _stroke_cover(random: _Random, thickness: float) -> Floats:
    x, y, to_x, to_y = ((random.numbers(4) * np.float32(1.3) - np.float32(0.15)) * SIDE).T[:, :, None, None]
    squared = _to_segment(_CENTRES - x, _CENTRES[:, None] - y, to_x - x, to_y - y)
    return _cover(np.sqrt(squared) - np.float32(thickness / 2))


def _colour_that_shows(random: _Random, canvas: Floats, cover: Floats) -> Floats:
    """(n, 3): a colour in a random direction from the average behind the shape, as far from it as CONTRAST says."""
    weight = cover[:, None].astype(np.float64)
    behind = (canvas * weight).sum(axis=(2, 3)) / np.maximum(weight.sum(axis=(2, 3)), 1e-6)
    behind = np.round(behind, 3).astype(np.float32)  # sums depend on the processor in their last digits
    step = random.numbers(3) - np.float32(0.5)
    step = np.where((behind + step > 1) | (behind + step < 0), -step, step)
    length = np.sqrt(step[:, 0] ** 2 + step[:, 1] ** 2 + step[:, 2] ** 2) + np.float32(1e-6)
    return np.asarray(np.clip(behind + step / length[:, None] * random.between(*CONTRAST)[:, None], 0, 1))


# The shapes, as signed distances in a plane where a shape has a radius of about 1; x to the right, y down


def _on_circle(count: int, *radii: float) -> Corners:
    """`count` corners around the middle, clockwise from the top, at the given radii in turn."""
    angles = [2 * np.pi * index / count for index in range(count)]
    return tuple(
        (float(np.sin(angle)) * radii[index % len(radii)], -float(np.cos(angle)) * radii[index % len(radii)])
        for index, angle in enumerate(angles)
    )


_ARM, _TIP = 0.3, 0.92
POLYGONS: dict[str, Corners] = {
    "square": ((-0.74, -0.74), (0.74, -0.74), (0.74, 0.74), (-0.74, 0.74)),
    "triangle": tuple((x, y + 0.12) for x, y in _on_circle(3, 1.05)),
    "hexagon": _on_circle(6, 0.94),
    "star": _on_circle(10, 1.05, 0.44),
    "cross": (
        *((-_ARM, -_TIP), (_ARM, -_TIP), (_ARM, -_ARM), (_TIP, -_ARM), (_TIP, _ARM), (_ARM, _ARM)),
        *((_ARM, _TIP), (-_ARM, _TIP), (-_ARM, _ARM), (-_TIP, _ARM), (-_TIP, -_ARM), (-_ARM, -_ARM)),
    ),
    "arrow": ((0, -1.0), (0.82, -0.1), (0.3, -0.1), (0.3, 0.95), (-0.3, 0.95), (-0.3, -0.1), (-0.82, -0.1)),
}


def _shape_cover(random: _Random, labels: Bytes) -> Floats:
    """(n, 32, 32): how much of each pixel the shape covers, 0..1, at a random place, size and turn."""
    radius = random.between(*RADIUS)[:, None, None]
    x = (_CENTRES - (SIDE / 2 + random.between(-SHIFT, SHIFT))[:, None, None]) / radius
    y = (_CENTRES[:, None] - (SIDE / 2 + random.between(-SHIFT, SHIFT))[:, None, None]) / radius
    angle = random.between(-TURN, TURN).astype(np.float64)[:, None, None]
    sine, cosine = np.sin(angle).astype(np.float32), np.cos(angle).astype(np.float32)
    x, y = cosine * x + sine * y, cosine * y - sine * x
    distance = np.empty_like(x)
    for label, name in enumerate(CLASSES):
        of_this_kind = labels == label
        distance[of_this_kind] = signed_distance(name, x[of_this_kind], y[of_this_kind])
    return _cover(distance * radius)


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
            return _to_heart(x * np.float32(0.92), y * np.float32(0.92) - np.float32(0.08)) / np.float32(0.92)
        case _:
            return _to_polygon(x, y, POLYGONS[name])


def _to_heart(x: Floats, y: Floats) -> Floats:
    """A square on its corner, with half a disc on each of its upper sides."""
    half, quarter = np.float32(0.5**0.5), np.float32(0.125**0.5)
    square = (np.abs(x) + np.abs(y)) * half - np.float32(0.5)
    discs = np.sqrt((np.abs(x) - quarter) ** 2 + (y + quarter) ** 2) - np.float32(0.5)
    return np.asarray(np.minimum(square, discs))


def _to_polygon(x: Floats, y: Floats, corners: Corners) -> Floats:
    """The distance to the nearest side; inside are the points whose ray to the right crosses an odd number of sides."""
    nearest = np.full_like(x, np.inf)
    inside = np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        nearest = np.minimum(
            nearest, _to_segment(x - ax, y - ay, np.asarray(bx - ax, np.float32), np.asarray(by - ay, np.float32))
        )
        if ay != by:
            inside ^= ((y < ay) != (y < by)) & (x < (y - ay) * np.float32((bx - ax) / (by - ay)) + ax)
    return np.where(inside, -1, 1).astype(np.float32) * np.sqrt(nearest)


def _to_segment(x: Floats, y: Floats, dx: Floats, dy: Floats) -> Floats:
    """The squared distance of (x, y) to the segment from (0, 0) to (dx, dy)."""
    along = np.clip((x * dx + y * dy) / (dx * dx + dy * dy + np.float32(1e-9)), 0, 1)
    return np.asarray((x - along * dx) ** 2 + (y - along * dy) ** 2)
