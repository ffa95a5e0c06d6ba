"""Start the app: streamlit run streamlit_app.py, or `cnnlab` where the package is installed.

The list of pages is in `cnnlab/pages/entrypoint.py`.
"""

import streamlit as st
from starlette.middleware import Middleware

from cnnlab import settings
from cnnlab.ui.browser_identity import BrowserCookie
from cnnlab.ui.client_address import ClientAddress
from cnnlab.ui.default_page_redirect import DefaultPageRedirect
from cnnlab.ui.security_headers import SecurityHeaders
from cnnlab.ui.warm_up import warming_up
from cnnlab.ui.websocket_limit import WebsocketLimit

app = st.App(
    settings.PACKAGE / "pages" / "entrypoint.py",
    middleware=[
        Middleware(WebsocketLimit),
        Middleware(SecurityHeaders),
        Middleware(DefaultPageRedirect, name="train"),
        Middleware(BrowserCookie),
        Middleware(ClientAddress),
    ],
    lifespan=warming_up,
)
