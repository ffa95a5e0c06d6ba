"""A real nginx with the shipped configuration, on ports of its own."""

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from cnnlab import settings

DEPLOY = settings.REPOSITORY / "deploy"
needs_nginx = pytest.mark.skipif(
    not shutil.which("nginx") or not shutil.which("openssl"), reason="needs nginx, openssl"
)


def nginx_folder(place: Path, plain: int, secure: int, *web: int) -> Path:
    """A folder from which nginx runs the shipped files as they are, but for ports and the certificate's place."""
    ours = (DEPLOY / "nginx" / "cnnlab.conf").read_text()
    for before, after in (
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{secure} ssl;"),
        ("/etc/nginx/certs", str(place)),
    ):
        assert before in ours
        ours = ours.replace(before, after)
    upstream = (DEPLOY / "nginx" / f"upstream-{'host' if len(web) == 1 else 'several'}.conf").read_text()
    for default_port, port in enumerate(web, start=8501):
        assert f"server 127.0.0.1:{default_port};" in upstream
        upstream = upstream.replace(f"127.0.0.1:{default_port};", f"127.0.0.1:{port};")
    (place / "ours.conf").write_text(upstream + ours)
    kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    temporary = "".join(f"{kind}_temp_path {place}/{kind};\n" for kind in kinds)
    (place / "nginx.conf").write_text(
        f"daemon off; pid {place}/pid; error_log {place}/error.log;\nevents {{}}\n"
        f"http {{ access_log off; {temporary} include {place}/ours.conf; }}\n"
    )
    certificate = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    files = ["-keyout", str(place / "cnnlab.key"), "-out", str(place / "cnnlab.crt")]
    subprocess.run(["openssl", "req", *certificate, *files], check=True, capture_output=True)
    return place / "nginx.conf"


def wait_for(port: int, seconds: float = 60) -> None:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"nobody listens on port {port}")
