"""A photo of one's own: uploaded or taken, then reduced to the network's 32x32 pixels, with every step shown.

Only the 32x32 pixels are kept (see `cnnlab.storage.uploads`), so that a link shows them to somebody else. The original
is decoded once, by a process of its own; the session keeps a copy of about 640 pixels a side and drops the file. A
bad file costs one sentence; the image that was shown before stays.

Streamlit makes an entry in the browser's history of every change of the address. So a photo is written into it when it
arrives and when the picker closes; while its square moves, only this session knows of it. And what was written once is
not written again: who went back with the browser's button stays where they went.
"""

from dataclasses import dataclass

import streamlit as st
from PIL import Image
from streamlit.typing import UploadedFile

from cnnlab.data.photo_preprocessing import MAX_ZOOM, DecodersBusy, PreparedPhoto, crop_photo, decode_photo
from cnnlab.photo_decoding.decoder import DecodedPhoto, PhotoError
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.storage import files, uploads
from cnnlab.ui import selection
from cnnlab.ui.browser_values import split_url
from cnnlab.ui.state import session_key, url_param
from cnnlab.ui.streamlit_memory import discard_uploaded_file

IMAGE_SOURCE_PARAM = url_param("from")

PAD_OPTION, CROP_OPTION = "keep all of it, with bars", "cut a square out"
ACROSS, DOWN = session_key("inspect.upload.across"), session_key("inspect.upload.down")
ZOOM, FIT = session_key("inspect.upload.zoom"), session_key("inspect.upload.fit")
FILE, CAMERA = session_key("inspect.upload.file"), session_key("inspect.upload.camera")
SOURCES = ("upload", "camera")
NO_CAMERA = (
    "A browser gives its camera only to a page that it opened over https, and this one came over http. Take the photo "
    "with another app and choose it under 'my image', or ask the teacher for the https address."
)
SESSION_CROP = session_key("inspect.upload.crop.")  # and the source: where the session keeps what became of a photo
SESSION_DECODED = session_key("inspect.upload.decoded.")  # and the source: the decoded photo


@dataclass
class UploadCrop:
    """A photo's upload, the reference in the address, and that of the pixels as they are cut now."""

    upload: str
    written: str
    now: str


@dataclass(frozen=True)
class DecodedUpload:
    """What became of an upload: the photo, or the sentence that says why there is none."""

    upload: str
    result: DecodedPhoto | str


def upload_controls(source: str) -> None:
    """The upload or the camera, the square to cut, and the four steps."""
    with st.container(border=True):
        st.caption(
            ":material/info: The network knows only its own classes. Whatever it is shown, it answers with one of them."
        )
        if source == "camera" and not is_camera_allowed(st.context.url):
            st.info(NO_CAMERA, icon=":material/no_photography:")
            return
        if source == "camera":
            given = st.camera_input("Take a photo", key=CAMERA, width=360)
        else:
            given = st.file_uploader("Choose a photo", key=FILE, max_upload_size=25)
        if given is None:
            return
        try:
            photo = cropped_photo(decoded_upload(source, given))
            preprocessing_steps(photo)
            store_upload(source, given.file_id, photo)
        except PhotoError as problem:
            st.error(escape_markdown(problem), icon=":material/broken_image:")
        except OSError as problem:
            st.error(
                escape_markdown(files.disk_error_message(problem, uploads.directory(), 1)),
                icon=":material/broken_image:",
            )


def is_camera_allowed(url: str | None) -> bool:
    """Whether a browser lets the page at this URL ask for the camera: over https, or on the same machine."""
    parts = split_url(url)
    local = parts.hostname in ("localhost", "::1") or (parts.hostname or "").startswith("127.")
    return not url or parts.scheme == "https" or local


def decoded_upload(source: str, given: UploadedFile) -> DecodedPhoto:
    """The upload, decoded at its first use in this session; its file is dropped then. Raises PhotoError.

    While it is decoded, a rerun of the page or its end kills the decoding process.
    """
    known = st.session_state.get(SESSION_DECODED + source)
    if not isinstance(known, DecodedUpload) or known.upload != given.file_id:
        known = DecodedUpload(given.file_id, _decode(given))
        st.session_state[SESSION_DECODED + source] = known
        discard_uploaded_file(given, FILE if source == "upload" else CAMERA)
    if isinstance(known.result, str):
        raise PhotoError(known.result)
    return known.result


def _decode(given: UploadedFile) -> DecodedPhoto | str:
    """The photo, or why there is none. Raises DecodersBusy, after which it is tried again at the next rerun."""
    try:
        return decode_photo(given.getvalue(), poll=stop_if_asked)
    except DecodersBusy:
        raise
    except PhotoError as problem:
        return str(problem)


def stop_if_asked() -> None:
    """Let Streamlit end this run where the page was closed or reruns: it does so at any access to the session."""
    st.session_state.get(FILE)


def cropped_photo(photo: DecodedPhoto) -> PreparedPhoto:
    """The photo, cut as the controls say."""
    wide, tall = photo.image.size if photo.orientation < 5 else photo.image.size[::-1]  # a quarter turn swaps them
    with st.container(horizontal=True, vertical_alignment="bottom"):
        pad = (
            st.segmented_control("Square", [CROP_OPTION, PAD_OPTION], default=CROP_OPTION, required=True, key=FIT)
            == PAD_OPTION
        )
        zoom = 1.0 if pad else st.slider("Zoom", 1.0, MAX_ZOOM, 1.0, 0.1, key=ZOOM, width=160)
        across = position_slider("From left to right", ACROSS) if not pad and (wide > tall or zoom > 1) else 0.5
        down = position_slider("From top to bottom", DOWN) if not pad and (tall > wide or zoom > 1) else 0.5
    return crop_photo(photo, pad=pad, horizontal=across, vertical=down, zoom=zoom)


def position_slider(label: str, key: str) -> float:
    """Where the square stands, 0 to 1."""
    return float(st.slider(label, 0.0, 1.0, 0.5, 0.05, key=key, width=160))


def preprocessing_steps(photo: PreparedPhoto) -> None:
    """Original, oriented, square, 32x32, side by side."""
    with st.container(horizontal=True):
        for number, (caption, picture) in enumerate(captioned_steps(photo), start=1):
            small = picture.copy() if picture.width > 32 else picture.resize((160, 160), 0)
            small.thumbnail((160, 160))
            st.image(small, caption=f"{number}. {caption}", alt=f"Step {number}: {caption}", width=160)
    if photo.notes:
        st.caption(escape_markdown(" ".join(photo.notes)))


def captioned_steps(photo: PreparedPhoto) -> list[tuple[str, Image.Image]]:
    """The steps; where they are shown on a smaller copy, the square's size in the photo itself is said too."""
    found, times = list(photo.steps), max(photo.size) / max(photo.oriented.size)
    if times > 1:
        caption, picture = found[2]
        side = round(picture.width * times)
        found[2] = (f"{caption} on the copy, about {side}x{side} of the original", picture)
    return found


def store_upload(source: str, upload: str, photo: PreparedPhoto) -> None:
    """Store the 32x32 pixels among the uploads and show them; the rest of the page follows."""
    reference = f"photo-{uploads.save_upload(photo.pixels)}"
    known = st.session_state.get(SESSION_CROP + source)
    if isinstance(known, UploadCrop) and known.upload == upload:
        if known.now == reference:
            return
        known.now = reference
        if selection.current_selection().image == known.written:  # the square moves: the address waits
            st.rerun()
    st.session_state[SESSION_CROP + source] = UploadCrop(upload, reference, reference)
    selection.update_selection(image=reference)
    st.rerun()


def displayed_image_name(image: str) -> str:
    """The image that stands for this one of the address while a photo's square is moved: mostly itself."""
    return next((crop.now for crop in _session_crops() if crop.written == image), image)


def write_crop_to_url() -> None:
    """The picker has been opened or closed: the address says how the photo is cut."""
    for crop in _session_crops():
        if crop.written != crop.now and crop.written == selection.current_selection().image:
            crop.written = crop.now
            selection.update_selection(image=crop.now)


def _session_crops() -> list[UploadCrop]:
    found = [st.session_state.get(SESSION_CROP + source) for source in SOURCES]
    return [crop for crop in found if isinstance(crop, UploadCrop)]
