"""What a browser may send in one message: fields hold KB, and a session keeps in memory what they hold."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from chrome import answers, wait_until
from free_ports import free_port
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

from cnnlab import settings

pytestmark = pytest.mark.slow
TOO_BIG = 1009  # the code of RFC 6455


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of the app with its own .streamlit/config.toml."""
    home, port = tmp_path_factory.mktemp("home"), free_port()
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.port", str(port)]
    variables = {"CNNLAB_HOME": str(home), "CNNLAB_STARTS_DISPATCHER": "0"}
    environment = settings.subprocess_environment() | variables
    process = subprocess.Popen(command, cwd=settings.APP_FILES, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(port), "the server answers")
        yield port
    finally:
        process.terminate()
        process.wait(30)


def opened(port: int) -> ClientConnection:
    origin = f"http://127.0.0.1:{port}"
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    options = {"subprotocols": ["streamlit"], "max_size": None, "open_timeout": 60, "ping_interval": None}
    return connect(address, origin=origin, **options)  # type: ignore[arg-type]


def message(megabytes: float) -> bytes:
    """A request for the page whose field holds so much."""
    found = BackMsg()
    found.rerun_script.query_string = ""
    found.rerun_script.widget_states.widgets.add(id="field", string_value="x" * int(megabytes * 10**6))
    return found.SerializeToString()


def send_and_listen(socket: ClientConnection, content: bytes) -> None:
    """Send a message and read what comes until the connection ends."""
    socket.send(content)
    while True:
        socket.recv(timeout=60)


@pytest.mark.parametrize("megabytes", [1.1, 15, 17])
def test_a_message_of_more_than_a_megabyte_ends_the_connection_only(port: int, megabytes: float) -> None:
    with opened(port) as socket, pytest.raises(ConnectionClosedError) as caught:
        send_and_listen(socket, message(megabytes))
    assert caught.value.rcvd is None or caught.value.rcvd.code == TOO_BIG  # none where more was still on its way
    with opened(port) as socket:
        socket.send(message(0.1))
        kinds = set[str | None]()
        while "script_finished" not in kinds:
            kinds.add(ForwardMsg.FromString(socket.recv(timeout=60, decode=False)).WhichOneof("type"))
        assert "delta" in kinds
