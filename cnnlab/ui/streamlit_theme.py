"""A patch of how Streamlit tells a browser its theme; `streamlit_patches` installs it.

At the start of each run of a script, also of a fragment's, Streamlit looks through all its options six times, once for
each section of the theme, and writes the colors and fonts that it finds into the message about the new run. They change
only when Streamlit reads its configuration again. With the patch each section is written once and then copied.
"""

import inspect
from functools import wraps
from typing import Any

from cnnlab.ui.streamlit_internals import UnknownStreamlit, check_version


def patch_theme_message() -> None:
    """Let app_session._populate_theme_msg copy what it wrote before into a message, until the options change."""
    check_version()
    from streamlit import config
    from streamlit.proto.NewSession_pb2 import CustomThemeConfig
    from streamlit.runtime import app_session

    module: Any = app_session
    populate = getattr(module._populate_theme_msg, "__wrapped__", module._populate_theme_msg)
    if list(inspect.signature(populate).parameters) != ["msg", "section"]:
        raise UnknownStreamlit("_populate_theme_msg takes other arguments")
    if not isinstance(config.get_config_options(), dict):
        raise UnknownStreamlit("the options are no dictionary")
    written: dict[str, tuple[Any, Any]] = {}  # by section: the options, and the message made of them

    @wraps(populate)
    def populate_once(msg: Any, section: str = "theme") -> None:
        options = config.get_config_options()  # another dictionary after each reading of config.toml
        if written.get(section, (None, None))[0] is not options:
            made = CustomThemeConfig()
            populate(made, section)
            written[section] = options, made
        made = written[section][1]
        if made.ByteSize():
            msg.MergeFrom(made)

    module._populate_theme_msg = populate_once
