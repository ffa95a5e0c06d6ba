"""A grid of images, each a link to Look inside with a caption and an alt text; reachable by keyboard."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnlab.rendering.color_scale import upscaled_png
from cnnlab.rendering.palette import SELECTED

SIDE = 96  # pixels on the screen: every pixel of the image is a square of 3
STYLE = f"""<style>
.gallery {{ display: grid; grid-template-columns: repeat(auto-fill, minmax({SIDE + 4}px, 1fr)); gap: 0.8rem 0.4rem;
  padding: 0.25rem; font-size: 0.8rem; line-height: 1.25; }}
.gallery a {{ color: inherit; text-decoration: none; display: block; border-radius: 4px; }}
.gallery a:hover img, .gallery a:focus-visible {{ outline: 3px solid {SELECTED}; outline-offset: 1px; }}
.gallery img {{ width: {SIDE}px; height: {SIDE}px; image-rendering: pixelated; display: block;
  border-radius: 2px; margin-bottom: 0.2rem; }}
</style>"""


@dataclass(frozen=True, kw_only=True, eq=False)
class GridImage:
    """One image, uint8 (32, 32, 3): the URL parameters of its link, the lines of its caption, and its alt text."""

    pixels: NDArray[np.uint8]
    params: Mapping[str, str]
    caption: Sequence[str]
    alt: str


def image_grid(images: Sequence[GridImage]) -> None:
    """Draw the images as one HTML grid of links."""
    st.html(f'{STYLE}<div class="gallery" role="list">{"".join(image_html(image) for image in images)}</div>')


def image_html(image: GridImage) -> str:
    """One image as HTML. The first line of its caption is bold."""
    first, *rest = (escape(line).replace(" %", "&nbsp;%") for line in image.caption)
    caption = "<br>".join([f"<b>{first}</b>", *rest])
    address = escape("look_inside?" + urlencode(image.params))
    source = base64.b64encode(upscaled_png(image.pixels, 1)).decode()
    picture = f'<img src="data:image/png;base64,{source}" alt="{escape(image.alt)}">'
    return f'<div role="listitem"><a href="{address}" target="_self">{picture}{caption}</a></div>'
