"""A patch of how Streamlit's caches look at the function that is cached; `streamlit_patches` installs it.

With each call of a function that is cached Streamlit asks `inspect` for the names of its parameters, once for each
argument, to find those that begin with an underscore. With the patch it asks once for each function.
"""

import inspect
from functools import lru_cache
from typing import Any

from cnnlab.ui.streamlit_internals import UnknownStreamlit, check_version

MAX_FUNCTIONS = 512  # whose parameters are kept


def patch_parameters() -> None:
    """Let type_util.get_func_parameters keep what it finds."""
    check_version()
    from streamlit import type_util
    from streamlit.runtime.caching import cache_utils

    module: Any = type_util
    find = getattr(module.get_func_parameters, "__wrapped__", module.get_func_parameters)
    if list(inspect.signature(find).parameters) != ["func"]:
        raise UnknownStreamlit("get_func_parameters takes other arguments")
    if "get_func_parameters" not in cache_utils._get_positional_arg_name.__code__.co_names:
        raise UnknownStreamlit("the caches do not ask for a function's parameters")
    module.get_func_parameters = lru_cache(maxsize=MAX_FUNCTIONS)(find)
