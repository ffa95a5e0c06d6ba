"""The message about a new run has the theme of the settings, and looking it up is done once.

No browser: a session alone.
"""

import pytest
from streamlit import config
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime import app_session

from cnnlab.ui import streamlit_theme
from cnnlab.ui.streamlit_internals import UnknownStreamlit

SECTIONS = ("theme", *(f"theme.{name}" for name in ("light", "dark", "sidebar", "light.sidebar", "dark.sidebar")))


@pytest.fixture(autouse=True)
def as_it_came(monkeypatch):
    """Streamlit without the patch."""
    populate = app_session._populate_theme_msg
    monkeypatch.setattr(app_session, "_populate_theme_msg", getattr(populate, "__wrapped__", populate))


@pytest.fixture
def lookups(monkeypatch) -> list[str]:
    """The sections of options that are looked through from now on."""
    seen: list[str] = []
    look = config.get_options_for_section
    monkeypatch.setattr(config, "get_options_for_section", lambda section: (seen.append(section), look(section))[1])
    return seen


def theme_message() -> ForwardMsg:
    """The theme in the message about a new run, section by section as `_create_new_session_message` writes it."""
    message = ForwardMsg()
    theme = message.new_session.custom_theme
    parts = (theme, theme.light, theme.dark, theme.sidebar, theme.light.sidebar, theme.dark.sidebar)
    for part, section in zip(parts, SECTIONS, strict=True):
        app_session._populate_theme_msg(part, section)
    return message


def test_streamlit_alone_looks_through_its_options_for_each_run(lookups):
    """Where this fails, Streamlit has mended it: remove the patch."""
    names = app_session.AppSession._create_new_session_message.__code__.co_names
    assert "_populate_theme_msg" in names
    theme_message(), theme_message()
    assert len(lookups) == 2 * len(SECTIONS)


def test_with_the_patch_the_theme_is_the_same_and_looked_up_once(lookups):
    before = theme_message().SerializeToString(deterministic=True)
    lookups.clear()
    streamlit_theme.patch_theme_message()
    streamlit_theme.patch_theme_message()  # a second time changes nothing
    assert [theme_message().SerializeToString(deterministic=True) for _ in range(3)] == [before] * 3
    assert lookups == list(SECTIONS)
    theme = theme_message().new_session.custom_theme
    assert theme.light.primary_color == config.get_option("theme.light.primaryColor") != theme.dark.primary_color
    assert list(theme.heading_font_sizes) == config.get_option("theme.headingFontSizes"), "a list is not added to"


def test_with_the_patch_a_theme_that_was_read_again_is_told(monkeypatch):
    streamlit_theme.patch_theme_message()
    theme_message()
    options = dict(config.get_config_options())
    options["theme.light.primaryColor"] = type("Option", (), {
        "section": "theme.light", "name": "primaryColor", "value": "#123456",
    })()  # fmt: skip
    monkeypatch.setattr(config, "_config_options", options)
    assert theme_message().new_session.custom_theme.light.primary_color == "#123456"


def test_another_function_of_streamlit_is_left_as_it_is(monkeypatch):
    def populate(msg, section, device):
        pass

    monkeypatch.setattr(app_session, "_populate_theme_msg", populate)
    with pytest.raises(UnknownStreamlit, match="other arguments"):
        streamlit_theme.patch_theme_message()
    assert app_session._populate_theme_msg is populate
