"""ASGI middleware: what a connection may make the server hold and log before Streamlit looks at a message.

The server reads a message whole, up to `server.maxMessageSize`, which is also the limit of what it sends. A connection
that stops in the middle keeps what it has sent in the memory of the process: ten of them took 160 MB, and one network
address may have 420. So the connection's own limit is set to what Streamlit accepts (`server.maxWidgetStateSize`).
uvicorn offers no way to do so from within an app: where its connection is another one, the larger limit remains.
"""

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BYTES = 1_100_000  # of one message; Streamlit refuses what is larger than 1 MB with a sentence in the log
UNSUPPORTED = 1003  # the code of RFC 6455 for a kind of data that is not taken


class WebsocketLimit:
    """Limits the messages of every websocket."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        limit_messages(receive)

        async def receive_bytes() -> Message:
            message = await receive()
            is_text = message["type"] == "websocket.receive" and message.get("bytes") is None
            return {"type": "websocket.disconnect", "code": UNSUPPORTED} if is_text else message

        await self.app(scope, receive_bytes, send)


def limit_messages(receive: Any) -> bool:
    """Set the limit of the connection that this function of uvicorn receives from; False where it is another one."""
    connection: Any = getattr(getattr(receive, "__self__", None), "conn", None)
    if not isinstance(getattr(connection, "max_message_size", None), int):
        return False
    connection.max_message_size = min(connection.max_message_size, MAX_BYTES)
    return True
