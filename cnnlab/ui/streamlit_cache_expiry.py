"""A patch of Streamlit's cache of resources with a time to live; `streamlit_patches` installs it.

Streamlit asks whether an entry is there and then reads it. Where it expires in between, the page shows a KeyError.
"""

from functools import wraps
from typing import Any

from cnnlab.ui.streamlit_internals import unwrapped


def patch_read_result() -> None:
    """Let ResourceCache take an entry that expires while it is read for one that is not there."""
    from streamlit.runtime.caching.cache_errors import CacheKeyNotFoundError
    from streamlit.runtime.caching.cache_resource_api import ResourceCache

    Cache: Any = ResourceCache  # noqa: N806
    read_result = unwrapped(Cache.read_result, "value_key")

    @wraps(read_result)
    def read(cache: Any, value_key: str) -> Any:
        try:
            return read_result(cache, value_key)
        except KeyError:
            raise CacheKeyNotFoundError from None

    Cache.read_result = read
