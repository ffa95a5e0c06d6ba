"""The network address of a browser, for the limits of the queue.

Anybody can write X-Forwarded-For and X-Real-IP. They are read only where the request comes from a proxy that the
setting `trusted_proxies` names. The middleware puts the address into a header of its own, which it removes from what
clients send; `address_group` gives the queue a keyed digest, so that no address of a pupil is stored.
"""

import ipaddress
import re
from collections.abc import Sequence

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from cnnlab import settings
from cnnlab.storage.signing_key import signing_key

HEADER = "x-cnnlab-client-address"
IPV6_PREFIX = 64  # a home or a school has a whole /64
WITH_PORT = re.compile(r"\[([^\]]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ClientAddress:
    """ASGI middleware: sets HEADER of every websocket to the client's address, "" where it is unknown."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "websocket":  # what st.context reads
            try:
                trusted = settings.current().proxy_networks
            except settings.SettingsError:  # the page shows the error
                trusted = ()
            address = client_address(scope, trusted)
            scope = dict(scope) | {"headers": list(scope["headers"])}
            MutableHeaders(scope=scope)[HEADER] = str(address or "")
        await self.app(scope, receive, send)


def client_address(scope: Scope, trusted: Sequence[Network]) -> Address | None:
    """The client's address: behind trusted proxies, the last address before them in X-Forwarded-For.

    None where that is this host: a proxy that is not configured, or a browser on the server itself.
    """
    host, port = scope.get("client") or ("", 0)
    peer = parse_address("127.0.0.1" if port == 0 else host)  # uvicorn sets port 0 where it took a header's address
    if peer is not None and any(peer in network for network in trusted):
        headers = Headers(scope=scope)
        named = ",".join(headers.getlist("x-forwarded-for")).split(",")
        for text in filter(str.strip, [*reversed(named), headers.get("x-real-ip", "")]):
            address = parse_address(text)
            if address is None or not any(address in network for network in trusted):
                return address  # where it cannot be read, what stands before it was written by the client
        return None
    return None if peer is None or peer.is_loopback else peer


def parse_address(text: str) -> Address | None:
    """The address in `text`, an IPv4 one also where it is written as IPv6; None where there is none.

    Without the port that some proxies add, and without the zone of a local IPv6 address.
    """
    match = WITH_PORT.fullmatch(text.strip())
    try:
        address = ipaddress.ip_address((match[1] or match[2] if match else text.strip()).partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def address_group() -> str:
    """A digest of this session's address (of an IPv6 one, its /64), "" where it is unknown; in a script run."""
    header = st.context.headers.get(HEADER)
    address = parse_address(header) if isinstance(header, str) else None
    if address is None:
        return ""
    prefix = IPV6_PREFIX if address.version == 6 else 32
    return signing_key().sign("address", str(ipaddress.ip_network(f"{address}/{prefix}", strict=False)))
