"""The colors of lines and regularizers, and the key that names them, the same on every page.

Training is blue and solid, validation red and dashed; each regularizer has one color and its name beside it. The
colors are Okabe and Ito's, which the color-blind can tell apart; no number is told by color alone.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cnnlab.regularizers import REGULARIZERS

TRAINING, VALIDATION = "#0072B2", "#D93B24"
REGULARIZER_COLORS = {name: regularizer.color for name, regularizer in REGULARIZERS.items()}
GREY = "#8a939e"
SELECTED = "#ff4b4b"  # what is selected: an outline, the line at an epoch
PREDICTED, TRUE_CLASS = "#26828e", "#b35806"  # bars of probabilities
FULL_NETWORK = "#D55E00"  # the network without dropout, among its samples
TEXT = {"light": "#10161e", "dark": "#e8edf2"}  # by theme, as in .streamlit/config.toml
BACKGROUND = {"light": "#ffffff", "dark": "#12171d"}  # by theme, as in .streamlit/config.toml
TEXT_ON_PRIMARY = {"light": "#ffffff", "dark": "#0b1622"}  # the words of a primary button, by theme
BLACK, WHITE = "#000000", "#ffffff"
# The themes of .streamlit/config.toml, for what is drawn outside of Streamlit's elements.
PAGE_TEXT, SOFT_TEXT, ACCENT = "#10161e", "#47525e", "#0a5c8f"
SOFT_BACKGROUND, BORDER = "#f2f5f8", "#d3dae2"
PANEL_BACKGROUND, PANEL_BORDER = f"light-dark({SOFT_BACKGROUND}, #1e2630)", f"light-dark({BORDER}, #36414d)"
SHADOW = "rgb(0 0 0 / 30%)"  # of what lies over the page
LINE_STYLES = {  # name: (color, dash)
    "training": (TRAINING, [1, 0]),
    "validation": (VALIDATION, [6, 3]),
    "reported": (TRAINING, [2, 3]),
}
LABEL_NOISE_LINES = {  # name: (color, dash)
    "clean": (TRAINING, [1, 0]),
    "changed": ("#CC4499", [8, 3, 2, 3]),
    "true": ("#96760A", [2, 3]),
    "validation": (VALIDATION, [6, 3]),
}
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 4], [4, 4])


def legend_html(training: str, validation: str, reported: str | None = None, band: str | None = None) -> str:
    """The lines and what each is called, as HTML, once for all charts of a page; `reported`: Keras's own figure.

    With `band`, "" for none, the shaded area is that over the seeds and a ring marks the best epoch; else the gap.
    """
    names = {"training": training, "validation": validation, "reported": reported}
    shown = "".join(f'<span><i class="{line}"></i>{name}</span>' for line, name in names.items() if name)
    area = "the gap" if band is None else band
    shown += f'<span><i class="gap"></i>{area}</span>' if area else ""
    shown += "" if band is None else '<span><i class="best"></i>best epoch</span>'
    return f'<div class="legend">{LEGEND_STYLE}{shown}</div>'


def label_noise_titles(split: str) -> dict[str, str]:
    """What each of LABEL_NOISE_LINES is called; `split`: "validation" or "test", what the red one is measured on."""
    return {
        "clean": "training images with a clean label",
        "changed": "training images with a changed label: the changed label",
        "true": "the same images: their true class",
        "validation": f"{split} images",
    }


def label_noise_words(split: str) -> str:
    """LABEL_NOISE_LINES for a figure in a file, where the page's legend is missing."""
    return f"blue, clean labels; pink, changed labels; dotted, their true class; red dashed, {split}"


def label_noise_legend_html(split: str) -> str:
    """The lines of a training with noisy labels and what each is called, as HTML."""
    titles = label_noise_titles(split)
    styles = {"clean": "solid", "changed": "double", "true": "dotted", "validation": "dashed"}
    shown = "".join(
        f'<span><i style="border-top: 3px {styles[name]} {color}"></i>{titles[name]}</span>'
        for name, (color, _) in LABEL_NOISE_LINES.items()
    )
    return f'<div class="legend">{LEGEND_STYLE}{shown}</div>'


def regularizer_legend_html(names: Sequence[str]) -> str:
    """The colors of these regularizers and what each is called, as HTML."""
    shown = "".join(
        f'<span><i style="border-top: 10px solid {REGULARIZER_COLORS[name]}"></i>{REGULARIZERS[name].title}</span>'
        for name in names
    )
    return f'<div class="legend">{LEGEND_STYLE}{shown}</div>'


def text_color_on(ground: NDArray[np.uint8]) -> str:
    """Black or white, whichever has the higher contrast (WCAG 2.2) with this sRGB color (3,); at least 4.58."""
    share = ground / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    return BLACK if (luminance + 0.05) ** 2 > 1.05 * 0.05 else WHITE


LEGEND_STYLE = f"""<style>.legend {{ display: flex; flex-wrap: wrap; gap: 0.2rem 1.4rem; font-size: 0.9rem; }}
.legend i {{ display: inline-block; width: 34px; margin-right: 0.5rem; vertical-align: middle; border-top: 3px solid; }}
.legend .training {{ border-color: {TRAINING}; }}
.legend .validation {{ border-top: 3px dashed {VALIDATION}; }}
.legend .reported {{ border-top: 3px dotted {TRAINING}; }}
.legend .best {{ width: 9px; height: 9px; border: 2px solid {VALIDATION}; border-radius: 50%; }}
.legend .gap {{ border-top: 12px solid {GREY}; opacity: 0.35; }}</style>"""
