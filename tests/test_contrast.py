"""Every text is told from its background: WCAG 2.2 asks for a contrast of 4.5, in light and in dark."""

import tomllib

import numpy as np
import pytest
from contrast import contrast, over

from cnnlab import settings
from cnnlab.rendering import color_scale, mistake_charts, palette
from cnnlab.rendering.charts import cached_spec

THEMES = tomllib.loads((settings.REPOSITORY / ".streamlit/config.toml").read_text())["theme"]
ENOUGH = 4.5
FADED = 0.6  # Streamlit writes captions in the text color with this opacity
TINT = 0.1  # and fills a selected segment with the primary color, this opaque

both_themes = pytest.mark.parametrize("name", ["light", "dark"])
both_grounds = pytest.mark.parametrize("ground", ["backgroundColor", "secondaryBackgroundColor"])


@pytest.mark.parametrize(
    ("first", "second", "ratio"), [("#000000", "#ffffff", 21), ("#777777", "#ffffff", 4.48), ("#ff0000", "#ffffff", 4)]
)
def test_contrast_is_that_of_wcag(first, second, ratio):
    assert contrast(first, second) == pytest.approx(ratio, abs=0.005)
    assert contrast(second, first) == contrast(first, second)


@both_themes
@both_grounds
def test_text_links_and_captions_are_told_from_both_backgrounds(name, ground):
    theme = THEMES[name]
    for color in (theme["textColor"], theme["linkColor"], over(theme["textColor"], theme[ground], FADED)):
        assert contrast(color, theme[ground]) >= ENOUGH, color


@both_themes
def test_the_words_of_a_primary_button_and_of_a_selected_segment_are_readable(name):
    theme = THEMES[name]
    assert contrast(palette.TEXT_ON_PRIMARY[name], theme["primaryColor"]) >= ENOUGH
    tint = over(theme["primaryColor"], theme["backgroundColor"], TINT)
    assert contrast(theme["primaryColor"], tint) >= ENOUGH


@both_themes
def test_the_text_of_charts_is_that_of_the_page(name):
    assert palette.TEXT[name] == THEMES[name]["textColor"]
    assert palette.BACKGROUND[name] == THEMES[name]["backgroundColor"]
    for spec in (
        cached_spec("compare_chart_specs.ranking", False),
        cached_spec("mistake_chart_specs.matrix", ("a", "b")),
    ):
        for part in ("axis", "legend"):
            for text in ("labelColor", "titleColor"):
                assert palette.TEXT[name] in spec["config"][part][text]["expr"]


@both_themes
def test_a_number_on_a_square_of_the_matrix_is_readable(name):
    ground = THEMES[name]["backgroundColor"]
    for color in (palette.TRAINING, palette.VALIDATION):
        strongest = over(color, ground, mistake_charts.MAX_OPACITY)
        assert contrast(palette.TEXT[name], strongest) >= ENOUGH


@pytest.mark.parametrize("signed", [False, True])
def test_a_number_on_any_color_of_a_feature_map_is_readable(signed):
    shades = color_scale.colorize(np.linspace(-1 if signed else 0, 1, 500)[None], 1.0, signed)[0]
    for shade in np.unique(shades, axis=0):
        ground = "#" + bytes(shade.tolist()).hex()
        assert contrast(palette.text_color_on(shade), ground) >= ENOUGH


@both_themes
def test_marks_of_a_chart_are_told_from_its_background(name):
    """Graphics need a contrast of 3, but for those that stand beside their value in words."""
    ground = THEMES[name]["backgroundColor"]
    for color in (palette.VALIDATION, palette.SELECTED, palette.FULL_NETWORK, palette.TRUE_CLASS, palette.PREDICTED):
        assert contrast(color, ground) >= 3, color
