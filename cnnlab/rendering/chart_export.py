"""A chart as a picture file: PNG and SVG, drawn by vl-convert, which needs no browser and no internet."""

import io
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped,unused-ignore]

from cnnlab.rendering.charts import Spec
from cnnlab.rendering.palette import BACKGROUND

EXPORT_WIDTH = 900  # pixels, before PNG_SCALE
PNG_SCALE = 2.0
VEGA_LITE_VERSION = "6.1"  # the version that Altair 6 writes
FONT = "Liberation Sans, Arial, sans-serif"


def to_svg(spec: Spec, title: str = "", width: int = EXPORT_WIDTH) -> str:
    """The chart as SVG on a white background, below `title`, which says what the page says beside it.

    width: pixels of the drawing, without the numbers and titles of its axes.
    """
    import vl_convert  # with its JavaScript engine 0.1 GB: only where somebody downloads

    return str(
        vl_convert.vegalite_to_svg(
            standalone_spec(spec, title, width), vl_version=VEGA_LITE_VERSION, allowed_base_urls=[]
        )
    )


def to_png(spec: Spec, title: str = "", width: int = EXPORT_WIDTH) -> bytes:
    """The chart as a PNG file."""
    import vl_convert

    drawn = standalone_spec(spec, title, width)
    return bytes(vl_convert.vegalite_to_png(drawn, vl_version=VEGA_LITE_VERSION, scale=PNG_SCALE, allowed_base_urls=[]))


def standalone_spec(spec: Spec, title: str = "", width: int = EXPORT_WIDTH) -> dict[str, Any]:
    """The specification with its data as plain rows, a width, and the background that its colors adapt to.

    A specification whose layers hold their data has no data sets.
    """
    arrow = {name: io.BytesIO(table) for name, table in spec.get("datasets", {}).items()}
    datasets = {name: pa.ipc.open_stream(table).read_all().to_pylist() for name, table in arrow.items()}
    config = {**spec.get("config", {}), "font": FONT}
    named = {"title": {"text": title, "anchor": "start", "fontSize": 13, "fontWeight": "normal"}} if title else {}
    return {
        **spec,
        **named,
        "datasets": datasets,
        "width": width,
        "background": BACKGROUND["light"],
        "config": config,
    }
