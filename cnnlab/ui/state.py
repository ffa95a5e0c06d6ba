"""Registry of the session keys and URL parameters, each declared once by the module that owns it.

    PLAYING = session_key("inspect.epoch.playing")        # a key of st.session_state: of a widget, or a value
    SCALE = url_param("scale")                             # a parameter of the URL
    OFF = url_param("off", of_network=True)                # one whose value fits one network only

Two modules that need the same name share the constant by importing it. Declaring a name in a second module raises at
import, so two widgets cannot share a key by accident.
"""

import inspect

_session_keys: dict[str, str] = {}  # name: the module that declared it
_url_params: dict[str, str] = {}
_network_params: set[str] = set()


def session_key(name: str) -> str:
    """Declare a key of `st.session_state` and return it. Raises ValueError where another module declared it."""
    return _declare(_session_keys, name, _calling_module())


def url_param(name: str, *, of_network: bool = False) -> str:
    """Declare a parameter of the URL and return it. Raises ValueError where another module declared it.

    of_network: whether its value means something in one network only, such as the filters that are off.
    """
    _network_params.update({name} if of_network else ())
    return _declare(_url_params, name, _calling_module())


def network_params() -> frozenset[str]:
    """The parameters that were declared with `of_network`."""
    return frozenset(_network_params)


def url_params_of(*modules: str) -> frozenset[str]:
    """The parameters that these modules have declared. A package's name stands for all of its modules."""
    return frozenset(
        name
        for name, owner in _url_params.items()
        if any(owner == module or owner.startswith(f"{module}.") for module in modules)
    )


def _declare(table: dict[str, str], name: str, module: str) -> str:
    """Register a name. A module that is imported again (by a reload) may declare its names again."""
    owner = table.setdefault(name, module)
    if owner != module:
        raise ValueError(f"Expected a name that no other module uses, but {owner} declared it. Received: {name!r}")
    return name


def _calling_module() -> str:
    frame = inspect.currentframe()
    caller = frame.f_back.f_back if frame and frame.f_back else None
    return str(caller.f_globals.get("__name__")) if caller else ""
