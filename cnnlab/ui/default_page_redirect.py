"""The default page under its own name, too: Streamlit serves it at the root only and answers "Page not found" else."""

import streamlit as st
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class DefaultPageRedirect:
    """ASGI middleware: sends who asks for the page `name` to the root, with the same query parameters.

    The address in its answer is relative, so it also holds behind a proxy that puts a prefix before the path.
    """

    def __init__(self, app: ASGIApp, name: str) -> None:
        self.app, self.name = app, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        root = self._roots().get(scope["path"]) if scope["type"] == "http" else None
        if root is None:
            await self.app(scope, receive, send)
            return
        query = scope["query_string"].decode("latin-1")
        await RedirectResponse(f"{root}?{query}" if query else root)(scope, receive, send)

    def _roots(self) -> dict[str, str]:
        """The address of the root as seen from each path of the page."""
        prefix = str(st.get_option("server.baseUrlPath") or "").strip("/")
        page = f"/{prefix}/{self.name}" if prefix else f"/{self.name}"
        return {page: "./", f"{page}/": "../"}
