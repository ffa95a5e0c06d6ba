"""The entry point of jupyter-server-proxy: CNN Lab in the launcher of JupyterLab, at `.../cnnlab/`.

jupyter-server-proxy finds it by the entry point `jupyter_serverproxy_servers` of the package, starts the app on a free
port of the user's server with the first visit, and passes every request and the websocket on. Each user's server has an
app, a home and a queue of its own; for one queue for all see deploy/jupyterhub.md.
"""

import sys
from typing import Any

START_SECONDS = 60  # until the app must answer


def server() -> dict[str, Any]:
    """What jupyter-server-proxy starts; it puts in {port} and {base_url}, which ends with a slash.

    The app is served below the same path as in the browser (`absolute_url`), so that its links and files are found. The
    requests come from this machine under the address of the Jupyter server, which checks who may send them; Streamlit's
    own comparison of the two addresses is switched off.
    """
    options = ["--server.port", "{port}", "--server.address", "127.0.0.1", "--server.baseUrlPath", "{base_url}cnnlab"]
    options += ["--server.enableCORS", "false", "--server.enableXsrfProtection", "false"]
    return {
        "command": [sys.executable, "-m", "cnnlab", "start", *options],
        "absolute_url": True,
        "timeout": START_SECONDS,
        "launcher_entry": {"title": "CNN Lab"},
        "new_browser_tab": True,
    }
