"""One's own pictures on the page Train: a ZIP file becomes a data set; who brought it in can remove it."""

from dataclasses import replace

import streamlit as st
from streamlit.typing import UploadedFile

from cnnlab import data, settings
from cnnlab.data import DatasetMissing
from cnnlab.data.picture_archive import MAX_ARCHIVE_BYTES
from cnnlab.data.picture_folder import MIN_PICTURES, PictureImportError
from cnnlab.datasets import MAX_CLASSES, MIN_CLASSES, DatasetInfo
from cnnlab.experiment import Experiment
from cnnlab.inspect.upload import stop_if_asked
from cnnlab.jobs import picture_uploads
from cnnlab.photo_decoding.decoder import PhotoError
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.storage import files
from cnnlab.ui import app_shell, class_code, selected_network
from cnnlab.ui.state import session_key
from cnnlab.ui.streamlit_memory import discard_uploaded_file
from cnnlab.ui.visitor import visitor_address

FILE, NAME = session_key("train.own_pictures.file"), session_key("train.own_pictures.name")
FORM, POPOVER = session_key("train.own_pictures.form"), session_key("train.own_pictures.popover")
REMOVE = session_key("train.own_pictures.remove.")  # and the name of the data set
SESSION_IMPORTED = session_key("train.own_pictures.imported")  # how many data sets this session has imported
SESSION_PROBLEM = session_key("train.own_pictures.problem")  # why the last removal was refused
EXPLANATION = (
    f"A ZIP file of at most {MAX_ARCHIVE_BYTES // 10**6} MB with {MIN_CLASSES} to {MAX_CLASSES} folders in it, one for "
    f"each class, of at least {MIN_PICTURES} pictures each. Only their 32x32 pixels are kept. Everybody who opens this "
    "app can see them in a network that was trained on them."
)


def own_pictures_popover() -> None:
    """The button that opens the form for a ZIP file, and the data sets that this person imported."""
    number = st.session_state.get(SESSION_IMPORTED, 0)  # in every key, so that a form that was used is closed and empty
    icon, key = ":material/add_photo_alternate:", f"{POPOVER}{number}"
    with st.popover("Your own pictures", icon=icon, key=key, width="stretch"):
        st.markdown("**Train on your own pictures**")
        st.caption(EXPLANATION)
        if class_code.is_class_code_needed():
            st.caption("Type the class code first, beside the button that trains a network.")
        else:
            import_form(number)
            removal_rows(picture_uploads.datasets_of(app_shell.current_person()))
    if problem := st.session_state.pop(SESSION_PROBLEM, None):
        st.error(escape_markdown(problem))


def import_form(number: int) -> None:
    """File and name; above the button, where a phone shows it too, the progress or a problem in one sentence."""
    with st.form(FORM, border=False):
        # Of any type: Streamlit answers a wrong one with an exception, the reader with a sentence.
        given = st.file_uploader("ZIP file", key=f"{FILE}{number}", max_upload_size=MAX_ARCHIVE_BYTES // 10**6)
        name = st.text_input("Name", key=f"{NAME}{number}", max_chars=24, placeholder="leaves")
        place = st.container()
        asked = st.form_submit_button("Import them", type="primary")
    with place:
        if asked and given is None:
            st.error("Choose a ZIP file first.", icon=":material/block:")
        elif asked and given is not None:
            import_upload(given, f"{FILE}{number}", name.strip())


def import_upload(given: UploadedFile, widget_key: str, name: str) -> None:
    """Import the archive, free its bytes and select its data set; a sentence where that is not possible."""
    bar = st.progress(0.0, "Reading the file")

    def show(step: str, share: float) -> None:
        bar.progress(share, escape_markdown(step))

    try:
        info = picture_uploads.import_archive(
            given.getvalue(),
            name,
            app_shell.current_person(),
            show,
            stop_if_asked,
            address=visitor_address(),
        ).info
    except (PictureImportError, PhotoError) as problem:
        bar.empty()
        st.error(escape_markdown(problem), icon=":material/block:")
        return
    discard_uploaded_file(given, widget_key)
    st.session_state[SESSION_IMPORTED] = st.session_state.get(SESSION_IMPORTED, 0) + 1
    select_dataset(info.name)
    st.rerun()


def select_dataset(name: str) -> None:
    """Select the experiment of the page with all training images of this data set."""
    experiment = selected_network.selected_experiment() or Experiment()
    selected_network.show_experiment(replace(experiment, **data.dataset_fields(name), train_images=None))


def removal_rows(mine: list[DatasetInfo]) -> None:
    """One row for each data set of this person; the button asks before it removes one."""
    for info in mine:
        with st.expander(f"Remove {info.title}", icon=":material/delete:"):
            st.markdown(
                f"Remove the pictures of **{info.title}** from this server? Runs that were trained on them stay."
            )
            st.button("Yes, remove them", key=f"{REMOVE}{info.name}", on_click=_on_remove, args=(info.name,))


def _on_remove(name: str) -> None:
    try:
        picture_uploads.remove_own(name, app_shell.current_person())
    except DatasetMissing as problem:
        st.session_state[SESSION_PROBLEM] = str(problem)
    except OSError as problem:
        st.session_state[SESSION_PROBLEM] = files.disk_error_message(problem, settings.data_dir(), 1)
        return
    shown = selected_network.selected_experiment()
    if shown is not None and shown.dataset == name:
        select_dataset("shapes")
