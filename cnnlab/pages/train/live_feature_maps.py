"""The feature maps of one test image in a network that is being trained, after its latest saved epoch."""

from contextlib import suppress
from html import escape

import streamlit as st

from cnnlab.inspect.context import InspectContext
from cnnlab.rendering.color_scale import png_data_uri, upscaled_png
from cnnlab.rendering.feature_map_grid import render_feature_maps
from cnnlab.storage.runs import DamagedRun, Run, UnknownRun
from cnnlab.ui import cache, image_source

STYLE = """<style>
.live-maps { display: flex; flex-wrap: wrap; gap: 0.6rem; align-items: flex-start; }
.live-maps figure { margin: 0; font-size: 0.8rem; flex: 1 1 120px; max-width: 220px; }
.live-maps figure.input { flex: 0 0 72px; }
.live-maps img { width: 100%; image-rendering: pixelated; border-radius: 3px; }
</style>"""


def live_feature_maps(run: Run) -> None:
    """The image and one grid of maps for each convolution; nothing where no weights can be read at the moment."""
    with suppress(UnknownRun, DamagedRun, OSError):  # the worker may remove a snapshot at any time
        if epochs := run.snapshot_epochs():
            epoch = max(epochs)
            st.markdown(f"**Feature maps** of one test image, after epoch {epoch}")
            moment = cache.modified_ns(run.path / "weights" / f"{epoch:03}.npz")
            st.html(STYLE + feature_maps_html(run.name, epoch, moment, run))


@st.cache_data(max_entries=32, show_spinner=False)
def feature_maps_html(name: str, epoch: int, moment: int, _run: Run) -> str:
    """The image and the grids as HTML; `moment` is when the weights were written."""
    pictures = image_source.load_image_set(_run.experiment.dataset)
    image = image_source.select_image(pictures.image_name(0), pictures)
    context = InspectContext(run=_run, epoch=epoch, selected_image=image)
    name = pictures.classes[image.true_class or 0]
    figures = [figure_html("input", upscaled_png(image.pixels, 1), name, "")]
    for conv in context.convolution_names:
        maps = context.activations[context.relu_name(conv)][0]
        grid = render_feature_maps(maps, "map")
        alt = f"{maps.shape[-1]} feature maps of {conv}, {maps.shape[0]} x {maps.shape[1]} values each"
        figures.append(figure_html("maps", grid.png, conv, alt))
    return f"<div class='live-maps'>{''.join(figures)}</div>"


def figure_html(kind: str, png: bytes, caption: str, alt: str) -> str:
    """One image with its caption."""
    return (
        f'<figure class="{kind}"><img src="{png_data_uri(png)}" alt="{escape(alt or caption)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
