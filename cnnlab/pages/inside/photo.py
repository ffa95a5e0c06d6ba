"""A picture of one's own: chosen or taken, then brought to the network's 32x32 pixels, every step shown.

Only the 32x32 pixels are kept (see `album`), so that a link shows them to somebody else. The original stays in the
browser's session. A bad file costs one sentence; the picture that was shown before stays.

Streamlit makes an entry in the browser's history of every change of the address. So a photo is written into it when it
arrives and when the picker closes; while its square moves, only this session knows of it. And what was written once is
not written again: who went back with the browser's button stays where they went.
"""

from dataclasses import dataclass

import streamlit as st
from PIL import Image

from cnnlab.datasets import album
from cnnlab.pages import selection
from cnnlab.photos import Photo, PhotoError, prepare

WHOLE, CUT = "keep all of it, with bars", "cut a square out"
ACROSS, DOWN, ZOOM, FIT = "inside across", "inside down", "inside zoom", "inside fit"
SOURCES = ("upload", "camera")
CROPPED = "inside cropped "  # and the source: where the session keeps what became of a photo


@dataclass
class Cropped:
    """A photo's upload, the reference in the address, and that of the pixels as they are cut now."""

    upload: str
    written: str
    now: str


def choose(source: str) -> None:
    """The upload or the camera, the square to cut, and the four steps."""
    with st.container(border=True):
        st.caption(
            ":material/info: The network knows ten classes only. Whatever it is shown, it answers with one of them."
        )
        if source == "camera":
            given = st.camera_input("Take a picture", key="inside camera", width=360)
        else:
            given = st.file_uploader("Choose a picture", key="inside upload", max_upload_size=25)
        if given is None:
            return
        try:
            photo = brought(given.file_id, given.getvalue())
            steps(photo)
            keep(source, given.file_id, photo)
        except PhotoError as problem:
            st.error(str(problem), icon=":material/broken_image:")


def brought(name: str, data: bytes) -> Photo:
    """The photo, cut as the controls say. Raises PhotoError where it is no picture."""
    wide, tall = prepared(name, data).oriented.size
    with st.container(horizontal=True, vertical_alignment="bottom"):
        pad = st.segmented_control("Square", [CUT, WHOLE], default=CUT, required=True, key=FIT) == WHOLE
        zoom = 1.0 if pad else st.slider("Closer", 1.0, 4.0, 1.0, 0.1, key=ZOOM, width=160)
        across = place("From left to right", ACROSS) if not pad and (wide > tall or zoom > 1) else 0.5
        down = place("From top to bottom", DOWN) if not pad and (tall > wide or zoom > 1) else 0.5
    return prepared(name, data, pad, across, down, zoom)


@st.cache_resource(max_entries=4, show_spinner=False)
def prepared(
    name: str, _data: bytes, pad: bool = False, across: float = 0.5, down: float = 0.5, zoom: float = 1.0
) -> Photo:
    """`photos.prepare`, once for each upload and square; the name is the upload's own."""
    return prepare(_data, pad=pad, across=across, down=down, zoom=zoom)


def place(label: str, key: str) -> float:
    """Where the square stands, 0 to 1."""
    return float(st.slider(label, 0.0, 1.0, 0.5, 0.05, key=key, width=160))


def steps(photo: Photo) -> None:
    """Original, oriented, square, 32x32, side by side."""
    with st.container(horizontal=True):
        for number, (caption, picture) in enumerate(captioned(photo), start=1):
            small = picture.copy() if picture.width > 32 else picture.resize((160, 160), 0)
            small.thumbnail((160, 160))
            st.image(small, caption=f"{number}. {caption}", alt=f"Step {number}: {caption}", width=160)
    if photo.notes:
        st.caption(" ".join(photo.notes))


def captioned(photo: Photo) -> list[tuple[str, Image.Image]]:
    """The steps; where they are shown on a smaller copy, the square's size in the photo itself is said too."""
    found, times = list(photo.steps), max(photo.size) / max(photo.oriented.size)
    if times > 1:
        caption, picture = found[2]
        side = round(picture.width * times)
        found[2] = (f"{caption} on the copy, about {side}x{side} of the original", picture)
    return found


def keep(source: str, upload: str, photo: Photo) -> None:
    """Put the 32x32 pixels into the album and show them; the rest of the page follows."""
    reference = f"photo-{album.keep(photo.pixels)}"
    known = st.session_state.get(CROPPED + source)
    if isinstance(known, Cropped) and known.upload == upload:
        if known.now == reference:
            return
        known.now = reference
        if selection.current().image == known.written:  # the square moves: the address waits
            st.rerun()
    st.session_state[CROPPED + source] = Cropped(upload, reference, reference)
    selection.choose(image=reference)
    st.rerun()


def shown(image: str) -> str:
    """The picture that stands for this one of the address while a photo's square is moved: mostly itself."""
    return next((one.now for one in _cropped() if one.written == image), image)


def settle() -> None:
    """The picker has been opened or closed: the address says how the photo is cut."""
    for one in _cropped():
        if one.written != one.now and one.written == selection.current().image:
            one.written = one.now
            selection.choose(image=one.now)


def _cropped() -> list[Cropped]:
    found = [st.session_state.get(CROPPED + source) for source in SOURCES]
    return [one for one in found if isinstance(one, Cropped)]
