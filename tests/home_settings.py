"""The settings of the home of a test."""

import json

from cnnlab import settings


def write_settings(**values: object) -> None:
    """Write settings.json of the home at hand, in place of what is there."""
    (settings.home() / "settings.json").write_text(json.dumps(values))
