"""Where things are kept. One variable, `CNNLAB_HOME`, moves all of it.

home()/data/         prepared data sets, memory-mapped by every worker
home()/runs/<key>/   one directory for each experiment that was trained here
home()/jobs.sqlite   what was asked for
PRETRAINED           the ten runs that come with the code, read only
"""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PRETRAINED = Path(os.environ.get("CNNLAB_PRETRAINED") or REPOSITORY / "pretrained")


def home() -> Path:
    """The folder for everything that is made here: `CNNLAB_HOME`, else `cnnlab` under the user's cache directory."""
    if explicit := os.environ.get("CNNLAB_HOME"):
        return Path(explicit).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "cnnlab"


def data_dir() -> Path:
    """The folder of prepared data sets."""
    return home() / "data"


def runs_dir() -> Path:
    """The folder of the runs trained here, each in a directory named after its experiment's key."""
    return home() / "runs"
