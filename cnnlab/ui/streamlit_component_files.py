"""Lets Streamlit serve the script files of a component from a clone: by itself it does so for installed packages only.

The manifest of a package is registered through Streamlit's component manager, which is not public.
"""

from pathlib import Path
from threading import Lock
from typing import Any

from cnnlab.ui.streamlit_internals import UnknownStreamlit

_registering = Lock()


def register_component(package: str, name: str, folder: Path) -> None:
    """Tell the running Streamlit that the component's files are in `folder`, where it does not know that yet.

    The component is `package`.`name` from then on. Raises UnknownStreamlit where Streamlit's internals are others.
    """
    try:
        _register(package, name, folder)
    except Exception as error:  # an import, a name or an argument that another version lacks
        raise UnknownStreamlit(f"components of a folder cannot be registered ({error!r})") from error


def _register(package: str, name: str, folder: Path) -> None:
    manager, manifests = _internals()
    with _registering:
        if manager.get_component_asset_root(f"{package}.{name}") is None:
            component = manifests.ComponentConfig(name=name, asset_dir=folder.name)
            manifest = manifests.ComponentManifest(name=package, version="", components=[component])
            manager.register_from_manifest(manifest, folder.parent)


def _internals() -> tuple[Any, Any]:
    """The component manager of the running server, and the module of its manifests."""
    from streamlit.components.v2 import manifest_scanner
    from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager

    return get_bidi_component_manager(), manifest_scanner
