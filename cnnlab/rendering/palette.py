"""The colors and dashes of lines and regularizers, the same on every page, and the HTML legend.

Training is blue and solid, validation red and dashed; each regularizer has one color. The colors are those of Okabe and
Ito, which color-blind readers can distinguish; color is never the only carrier of a value.
"""

from cnnlab.regularizers import REGULARIZERS

TRAINING, VALIDATION = "#0072B2", "#D93B24"
REGULARIZER_COLORS = {name: regularizer.color for name, regularizer in REGULARIZERS.items()}
GREY = "#8a939e"
SELECTED = "#ff4b4b"  # outlines of the selection, the line at the selected epoch
PREDICTED, TRUE_CLASS = "#26828e", "#b35806"  # bars of probabilities
WEIGHTS = TRAINING  # the layers with kernels
FULL_NETWORK = "#D55E00"  # the network without dropout, among its samples
REPORT_TICK = ("#1b2430", "#ffffff")  # a dark line with a light one in it: visible on any background
TEXT = {"light": "#1b2430", "dark": "#e8edf2"}  # by theme, as in .streamlit/config.toml
TEXT_IN_UNKNOWN_THEME = "#767676"
TEXT_ON_PRIMARY = {"light": "#ffffff", "dark": "#0b1622"}  # the words of a primary button, by theme
BLACK, WHITE = "#000000", "#ffffff"
LINE_STYLES = {  # name: (color, dash)
    "training": (TRAINING, [1, 0]),
    "validation": (VALIDATION, [6, 3]),
    "reported": (TRAINING, [2, 3]),
}
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 4], [4, 4])


def legend_html(training: str, validation: str, reported: str | None = None) -> str:
    """The legend of the learning curves as HTML; the arguments are the labels of the lines, `reported` is Keras's."""
    names = {"training": training, "validation": validation, "reported": reported}
    shown = "".join(f'<span><i class="{line}"></i>{name}</span>' for line, name in names.items() if name)
    return f'<div class="legend">{LEGEND_STYLE}{shown}<span><i class="gap"></i>the gap</span></div>'


LEGEND_STYLE = f"""<style>.legend {{ display: flex; flex-wrap: wrap; gap: 0.2rem 1.4rem; font-size: 0.9rem; }}
.legend i {{ display: inline-block; width: 34px; margin-right: 0.5rem; vertical-align: middle; border-top: 3px solid; }}
.legend .training {{ border-color: {TRAINING}; }}
.legend .validation {{ border-top: 3px dashed {VALIDATION}; }}
.legend .reported {{ border-top: 3px dotted {TRAINING}; }}
.legend .gap {{ border-top: 12px solid {GREY}; opacity: 0.35; }}</style>"""
