"""Where a browser comes from: a header is believed from a trusted proxy only, and no address is stored."""

import asyncio
import ipaddress
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import streamlit as st
from chrome import answers, wait_until
from free_ports import free_port
from starlette.datastructures import Headers
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

from cnnlab import settings
from cnnlab.ui.client_address import HEADER, ClientAddress, address_group, client_address

TRUSTED = (ipaddress.ip_network("127.0.0.1"), ipaddress.ip_network("10.0.0.0/8"))


def scope(host: str, port: int = 1234, **headers: str) -> dict[str, object]:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "websocket", "client": (host, port), "headers": raw}


@pytest.mark.parametrize(
    ("connection", "trusted", "address"),
    [
        (scope("192.0.2.7"), (), "192.0.2.7"),
        (scope("192.0.2.7", x_forwarded_for="198.51.100.1", x_real_ip="198.51.100.1"), (), "192.0.2.7"),
        (scope("192.0.2.7", x_forwarded_for="198.51.100.1"), TRUSTED, "192.0.2.7"),
        (scope("127.0.0.1", x_forwarded_for="198.51.100.1"), (), None),
        (scope("198.51.100.1", 0, x_forwarded_for="198.51.100.1"), (), None),  # as uvicorn rewrites it
        (scope("198.51.100.1", 0, x_forwarded_for="198.51.100.1"), TRUSTED, "198.51.100.1"),
        (scope("10.0.0.3", x_forwarded_for="203.0.113.9, 198.51.100.1"), TRUSTED, "198.51.100.1"),
        (scope("10.0.0.3", x_forwarded_for="203.0.113.9, 198.51.100.1, 10.0.0.2"), TRUSTED, "198.51.100.1"),
        (scope("10.0.0.3", x_real_ip="198.51.100.1"), TRUSTED, "198.51.100.1"),
        (scope("10.0.0.3", x_forwarded_for="<script>", x_real_ip="nonsense"), TRUSTED, None),
        (scope("10.0.0.3", x_forwarded_for="203.0.113.9, unknown"), TRUSTED, None),
        (scope("10.0.0.3", x_forwarded_for="203.0.113.9, 198.51.100.1:5678"), TRUSTED, "198.51.100.1"),
        (scope("10.0.0.3", x_forwarded_for="203.0.113.9, [2001:db8::1]:5678, "), TRUSTED, "2001:db8::1"),
        (scope("fe80::1%eth0"), (), "fe80::1"),
        (scope("::ffff:192.0.2.7"), (), "192.0.2.7"),
        (scope("::1"), (), None),
        (scope("testclient"), (), None),
        ({"type": "websocket", "client": None, "headers": []}, (), None),
    ],
)
def test_a_header_counts_only_from_a_trusted_proxy(connection, trusted, address) -> None:
    found = client_address(connection, trusted)
    assert (found and str(found)) == address


def seen_by_the_app(connection: dict[str, object]) -> str:
    seen = []

    async def app(inner, receive, send):
        seen.append(Headers(scope=inner).getlist(HEADER))

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, ClientAddress(app)(connection, None, None)).result()
    [[value]] = seen
    return value


def test_a_client_cannot_set_the_header_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    forged = {HEADER.replace("-", "_"): "198.51.100.1"}
    assert seen_by_the_app(scope("192.0.2.7", **forged)) == "192.0.2.7"
    assert seen_by_the_app(scope("127.0.0.1", **forged)) == ""
    monkeypatch.setenv("CNNLAB_TRUSTED_PROXIES", "not an address")
    assert seen_by_the_app(scope("192.0.2.7", **forged)) == "192.0.2.7"


def group(address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(type(st.context), "headers", {HEADER: address})
    return address_group()


def test_an_address_becomes_a_digest_and_a_home_of_ipv6_one_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    one = group("192.0.2.7", monkeypatch)
    assert len(one) == 22 and "192" not in one
    assert one == group("192.0.2.7", monkeypatch) != group("192.0.2.8", monkeypatch)
    assert group("2001:db8:0:1::1", monkeypatch) == group("2001:db8:0:1:ffff::2", monkeypatch)
    assert group("2001:db8:0:1::1", monkeypatch) != group("2001:db8:0:2::1", monkeypatch)
    assert group("", monkeypatch) == ""


PAGE = """
import streamlit as st
from cnnlab.ui.client_address import HEADER, address_group

st.text(f"from {st.context.headers.get(HEADER)!r}, group {address_group() or None}")
"""
SERVER = """
import streamlit as st
from starlette.middleware import Middleware
from cnnlab.ui.client_address import ClientAddress

app = st.App("page.py", middleware=[Middleware(ClientAddress)])
"""


def told(port: int, **headers: str) -> str:
    """What the page says to whoever comes with these headers."""
    with connect(
        f"ws://127.0.0.1:{port}/_stcore/stream",
        subprotocols=["streamlit"],  # type: ignore[list-item]
        origin=f"http://127.0.0.1:{port}",  # type: ignore[arg-type]
        additional_headers=headers,
        open_timeout=60,
        ping_interval=None,
    ) as socket:
        socket.send(BackMsg(rerun_script=ClientState()).SerializeToString())
        while True:
            message = ForwardMsg.FromString(socket.recv(timeout=60, decode=False))
            if words := message.delta.new_element.text.body:
                return words


@pytest.mark.slow
@pytest.mark.parametrize(("trusted", "address"), [("127.0.0.1", "203.0.113.7"), ("", "")])
def test_behind_streamlits_own_server_the_page_sees_what_the_trusted_proxy_said(
    tmp_path: Path, trusted: str, address: str
) -> None:
    port = free_port()
    (tmp_path / "page.py").write_text(PAGE)
    (tmp_path / "server.py").write_text(SERVER)
    command = [sys.executable, "-m", "streamlit", "run", "server.py", "--server.port", str(port)]
    command += ["--server.headless", "true", "--browser.gatherUsageStats", "false", "--server.fileWatcherType", "none"]
    environment = settings.subprocess_environment() | {"CNNLAB_HOME": str(tmp_path), "CNNLAB_TRUSTED_PROXIES": trusted}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(port), "the server answers")
        words = told(port, **{"X-Forwarded-For": "203.0.113.7", HEADER: "198.51.100.1"})
        assert words.startswith(f"from {address!r}, group ")
        assert len(words.rpartition(" ")[2]) == (22 if address else len("None"))
    finally:
        process.terminate()
        process.wait(20)
