"""The address /train leads to the page Train with the same parameters; every other address is left alone."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urljoin

import pytest
import streamlit as st
from starlette.responses import PlainTextResponse

from cnnlab.ui.default_page_redirect import DefaultPageRedirect

HOST = "http://app.example"


def answer(path: str, query: str = "") -> tuple[int, dict[bytes, bytes]]:
    """Status and headers with which a request for this path is answered; 200 where it is passed on."""

    async def send(message):
        sent.append(message)

    sent: list[dict] = []
    scope = {"type": "http", "path": path, "query_string": query.encode(), "headers": []}
    app = DefaultPageRedirect(PlainTextResponse("passed on"), "train")
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, app(scope, None, send)).result()
    return sent[0]["status"], dict(sent[0]["headers"])


def destination(path: str, query: str = "") -> str:
    status, headers = answer(path, query)
    assert status == 307
    return urljoin(HOST + path, headers[b"location"].decode())


@pytest.mark.parametrize(
    "query", ["depth=2&regularizer=l2", "seed=1%262&lock=depth+and+seed", "x=%C3%A4//evil.example"]
)
@pytest.mark.parametrize("path", ["/train", "/train/"])
def test_the_page_under_its_own_name_is_the_root_with_the_same_parameters(path, query):
    assert destination(path, query) == f"{HOST}/?{query}"
    assert destination(path) == f"{HOST}/"


def test_below_the_path_of_a_proxy_the_root_is_that_of_the_app(monkeypatch):
    monkeypatch.setattr(st, "get_option", {"server.baseUrlPath": "/services/cnnlab/"}.get)
    assert destination("/services/cnnlab/train", "depth=3") == f"{HOST}/services/cnnlab/?depth=3"
    assert answer("/train")[0] == 200


@pytest.mark.parametrize("path", ["/", "/compare", "/train.js", "/static/train", "//evil.example/train", "//train"])
def test_every_other_address_is_passed_on(path):
    assert answer(path, "depth=2")[0] == 200
