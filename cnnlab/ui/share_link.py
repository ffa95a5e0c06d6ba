"""The control "Link" of every page: the address of what the page shows, to copy, and its QR code."""

from collections.abc import Mapping
from urllib.parse import urlencode

import segno
import streamlit as st

from cnnlab.ui.browser_values import split_url
from cnnlab.ui.state import session_key

POPOVER = session_key("share_link.popover")
CONTAINER = "link"  # the key whose style `app_shell` has
QR_WIDTH = 260  # pixels on the screen
MAX_QR_CHARACTERS = 1_000  # a QR code of more is too fine for a phone's camera at QR_WIDTH


@st.fragment
def link_control(url_path: str) -> None:
    """A popover; what it shows is made when it is opened, from the address at that moment."""
    with st.container(key=CONTAINER):
        menu = st.popover("Link", icon=":material/link:", key=POPOVER, type="tertiary", on_change="rerun")
    if menu.open:
        with menu:
            link_and_qr_code(page_address(url_path, st.query_params.to_dict()))


def link_and_qr_code(address: str) -> None:
    """The address with a button that copies it, and the QR code, or why there is none."""
    st.markdown("This link opens what you see now.")
    st.code(address, language=None, wrap_lines=True)
    if len(address) <= MAX_QR_CHARACTERS:
        qr_code(address)
    else:
        st.caption(
            f"The link has {len(address):,} characters, too many for a QR code that a phone can read "
            f"(up to {MAX_QR_CHARACTERS:,})."
        )


def page_address(url_path: str, params: Mapping[str, str]) -> str:
    """The address of a page with these parameters, as other browsers reach it."""
    parts = split_url(st.context.url)
    base = f"{parts.scheme}://{parts.netloc}{parts.path.rsplit('/', 1)[0]}/{url_path}"
    return f"{base}?{urlencode(params)}" if params else base


def qr_code(address: str) -> None:
    """The QR code of an address."""
    picture = segno.make(address, error="m" if len(address) < 200 else "l").png_data_uri(scale=6, border=3)
    st.html(f'<img src="{picture}" width="{QR_WIDTH}" alt="QR code of the link beside it">')
