"""The figures of a report: learning curves as SVG and PNG, feature maps as PNG, from the state that was pinned."""

import io
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
from PIL import Image

from cnnlab.analysis import network_edits
from cnnlab.analysis.filter_ablation import ablate_filters
from cnnlab.analysis.kernels import replace_kernel
from cnnlab.array_types import PixelArray
from cnnlab.data import cifar10, load_dataset
from cnnlab.data.samples import sample_images
from cnnlab.datasets import DATASETS, is_own_dataset
from cnnlab.explanations.curves import describe_accuracy
from cnnlab.formatting import pluralize
from cnnlab.lessons.answers import Answer
from cnnlab.lessons.sheet import Step
from cnnlab.models.architecture import find_layer, layer_names, network_layers
from cnnlab.rendering import chart_export, charts
from cnnlab.rendering.charts import Spec
from cnnlab.rendering.color_scale import png_data_uri
from cnnlab.rendering.feature_map_grid import render_feature_maps
from cnnlab.rendering.sketch_chart import LEGEND, sketch_chart
from cnnlab.storage.run import Run

MIN_GRID_PIXELS = 600  # of the longer side of an enlarged grid
CHART_WIDTH = 560  # pixels: with its axis it is as wide as the text on paper, so its letters are not made smaller
CURVES_LEGEND = (
    "Solid blue: training after the epoch. Dotted blue: training averaged during the epoch (Keras)."
    " Dashed red: {split}. Gray: the gap."
)


@dataclass(frozen=True)
class Figure:
    """A figure: the name of its files, a caption, SVG and PNG; the SVG of feature maps holds their PNG.

    The PNG is drawn by `draw_png` when it is first asked for: the page of the report holds the SVG only.
    """

    name: str
    caption: str
    svg: str
    draw_png: Callable[[], bytes] = field(compare=False, repr=False)

    @cached_property
    def png(self) -> bytes:
        """The bytes of the PNG file."""
        return self.draw_png()


def chart_figure(name: str, caption: str, spec: Spec) -> Figure:
    """A chart as a figure; the caption without the marks of Markdown."""
    svg = chart_export.to_svg(spec, width=CHART_WIDTH)
    return Figure(name, caption.replace("**", ""), svg, partial(chart_export.to_png, spec, width=CHART_WIDTH))


def run_figure(run: Run) -> Figure:
    """The accuracy curves of a run. Raises DamagedRun."""
    history = run.history()
    spec = charts.accuracy_chart(history, run.experiment.epochs, run.experiment.split)
    caption = describe_accuracy(history, run.title, run.experiment.split)
    caption += f" {CURVES_LEGEND.format(split=run.experiment.split)}"
    return chart_figure(f"curves-{run.name}", caption, spec)


def sketch_figure(step: Step, answer: Answer, curve: Sequence[tuple[float, float]], name: str = "") -> Figure | None:
    """A curve that was sketched, with the measured one over it where there is one; None for another kind of step.

    name: that of its files, without one made from the step and the round.
    """
    axes = step.sketch
    if axes is None:
        return None
    measured = axes.within(curve)
    points = list(zip(axes.x, answer.content, strict=True))
    spec = sketch_chart(points, measured, (axes.low, axes.high), axes.x_label)
    caption = f"{axes.y_label[:1].upper()}{axes.y_label[1:]}. {LEGEND if measured else 'The prediction.'}"
    name = name or f"sketch-{step.id}" + (f"-{answer.round + 1}" if answer.round else "")
    return chart_figure(name, caption, spec)


def maps_figure(run: Run, params: Mapping[str, str]) -> Figure:
    """All maps of the pinned layer for the pinned image, with the filters off and the kernels changed of the pin.

    Raises UnknownRun, DatasetMissing, ValueError.
    """
    layers = network_layers(run.experiment)
    names = [layer.name for layer in layers if layer.has_feature_maps and layer.kind in ("conv", "bn", "relu", "pool")]
    asked = params.get("layer", "")
    layer = asked if asked in names else "relu1"
    epochs = run.snapshot_epochs()
    epoch = int(params["epoch"]) if params.get("epoch", "").isdigit() and int(params["epoch"]) in epochs else epochs[-1]
    reference = params.get("image", "sample-0")
    pixels = read_image(reference, run.dataset)
    weights = run.weights(epoch)
    counts = {conv: find_layer(layers, conv).output_shape[-1] for conv in layer_names(layers, "conv")}
    off = network_edits.parse_filters(params.get("off", ""), counts)
    first = next(iter(counts))
    edited = network_edits.parse_kernels(params.get("edited", ""), weights[f"{first}/kernel"].shape)
    for number, values in edited.items():
        weights = replace_kernel(weights, number, values, first)
    activations = ablate_filters(layers, weights, pixels[None], off)
    grid = render_feature_maps(activations[layer][0], signed=find_layer(layers, layer).signed)
    shown = f"all maps of {layer} for {describe_image(reference)}{describe_changes(off, edited)}"
    caption = f"{run.title}, epoch {epoch}: {shown}."
    png = enlarge(grid.png)
    return Figure(f"maps-{run.name}-{layer}-{reference}", caption, image_svg(png), lambda: png)


def describe_image(reference: str) -> str:
    """'test image 0 (cat)' for a picture that comes along; else the image's name in the URL."""
    kind, _, number = reference.partition("-")
    if kind != "sample":
        return reference
    return f"test image {number} ({cifar10.CLASSES[sample_images()[1][int(number)]]})"


def describe_changes(off: Mapping[str, Collection[int]], edited: Collection[int]) -> str:
    """', with 3 filters of conv1 off, 1 kernel changed'; "" where the network is as trained."""
    parts = [f"{pluralize(len(numbers), 'filter')} of {name} off" for name, numbers in off.items()]
    parts += [f"{pluralize(len(edited), 'kernel')} of the first layer changed"] if edited else []
    return f", with {', '.join(parts)}" if parts else ""


def read_image(reference: str, dataset: str) -> PixelArray:
    """The image of a URL's name, uint8 (32, 32, 3), for a run on this data set.

    Raises ValueError, DatasetMissing, IndexError.
    """
    kind, _, number = reference.partition("-")
    if kind == "sample":
        return np.asarray(sample_images()[0][int(number)])
    prefixes = {name: info.image_prefix for name, info in DATASETS.items()}
    prefixes |= {dataset: "own"} if is_own_dataset(dataset) else {}
    for name, prefix in prefixes.items():
        if kind == prefix:
            return np.asarray(load_dataset(name).x_test[int(number)])
    raise ValueError(f"Expected an image of a data set. Received: {reference[:40]!r}")


def enlarge(png: bytes) -> bytes:
    """A grid of maps enlarged without smoothing."""
    with Image.open(io.BytesIO(png)) as image:
        scale = max(1, MIN_GRID_PIXELS // max(image.size))
        large = image.convert("RGBA").resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    output = io.BytesIO()
    large.save(output, "PNG")
    return output.getvalue()


def image_svg(png: bytes) -> str:
    """An SVG of the size of this image that holds it and loads nothing; its pixels stay squares at any size."""
    with Image.open(io.BytesIO(png)) as image:
        size = f'width="{image.width}" height="{image.height}"'
        box = f"0 0 {image.width} {image.height}"
    picture = f'<image {size} style="image-rendering: pixelated" href="{png_data_uri(png)}"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="{box}">{picture}</svg>'
