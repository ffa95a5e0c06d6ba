"""Why .streamlit/config.toml sets the hidden option global.minCachedMessageSize: a reproduction, with and without it.

A browser tells the server with each click which large messages it still has. Where its clicks are faster than the
answers, three runs end after that and the browser forgets the message; then the server refers to it.
"""

import os
import subprocess
import sys

import pytest
from chrome import PATIENCE, answers, settled, wait_until
from free_ports import free_port

from cnnlab.ui.streamlit_patches import OPTIONS

pytestmark = pytest.mark.browser

PAGE = """
import streamlit as st

st.title("A large message")
page = st.radio("page", ["a", "b", "c", "d"])
if page == "a":
    st.markdown("word " * 20000)
st.text(f"this is {page}")
"""
SLOW_NETWORK = """
const add = WebSocket.prototype.addEventListener;
WebSocket.prototype.addEventListener = function (kind, listener, options) {
  const late = event => setTimeout(() => listener(event), 600);
  return add.call(this, kind, kind === 'message' ? late : listener, options);
};
"""
QUICK_CLICKS = """async () => {
  for (const one of [1, 2, 3, 0]) {
    document.querySelectorAll('[data-testid=stRadio] label input')[one].click();
    await new Promise(resolve => setTimeout(resolve, 130));
  }
}"""
MISS = "Cached ForwardMsg MISS"
OURS = next(option.value for option in OPTIONS if option.name == "global.minCachedMessageSize")


@pytest.mark.nightly
@pytest.mark.parametrize(("size", "dies"), [(10_000.0, True), (OURS, False)], ids=["Streamlit's", "ours"])
def test_only_our_setting_survives_quick_clicks_over_a_slow_network(size, dies, chromium, tmp_path):
    """Where the first case fails, Streamlit has mended it: remove the option."""
    (tmp_path / "page.py").write_text(PAGE)
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "page.py", "--server.port", str(port)]
    command += ["--server.address", "127.0.0.1", "--server.headless", "true", "--browser.gatherUsageStats", "false"]
    command += ["--global.minCachedMessageSize", str(size)]
    with (tmp_path / "web.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=os.environ, stdout=log, stderr=subprocess.STDOUT)
    context = chromium.new_context()
    try:
        wait_until(lambda: answers(port), "the server answers")
        tab = context.new_page()
        tab.set_default_timeout(PATIENCE)
        tab.add_init_script(SLOW_NETWORK)
        tab.goto(f"http://127.0.0.1:{port}")
        settled(tab)
        tab.get_by_text("this is a").wait_for()
        tab.wait_for_timeout(1500)  # the end of the run arrives
        missed = tab.get_by_text(MISS)
        for _ in range(10 if dies else 1):  # on a busy machine the clicks are not always quick enough
            tab.evaluate(QUICK_CLICKS)
            tab.wait_for_timeout(4000)
            if missed.count():
                break
        assert (missed.count() > 0) == dies
        if not dies:
            tab.get_by_text("this is a").wait_for()
    finally:
        context.close()
        process.terminate()
        process.wait(20)
