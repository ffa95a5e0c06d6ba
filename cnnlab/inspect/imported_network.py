"""A network from a `.keras` file: its import, what is known of it, and its removal.

The file is read by `storage.imported_networks` without Keras and without running anything in it; a refusal is one
sentence, and the network that was shown before stays.
"""

import time

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.typing import UploadedFile

from cnnlab.explanations import inspection
from cnnlab.inspect.context import InspectContext
from cnnlab.inspect.upload import stop_if_asked
from cnnlab.jobs import network_uploads
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.storage import files, imported_networks
from cnnlab.storage.imported_networks import ImportedNetwork
from cnnlab.storage.network_import import MAX_FILE_BYTES, MAX_TITLE, NetworkImportError, default_title
from cnnlab.storage.runs import DamagedRun, Run, UnknownRun
from cnnlab.ui import app_shell, cache, class_code, selection
from cnnlab.ui.state import session_key
from cnnlab.ui.streamlit_memory import discard_uploaded_file
from cnnlab.ui.visitor import visitor_address

FILE, TITLE = session_key("inspect.imported_network.file"), session_key("inspect.imported_network.title")
CLASSES, PIXELS = session_key("inspect.imported_network.classes"), session_key("inspect.imported_network.pixels")
FORM, PICKER = session_key("inspect.imported_network.form"), session_key("inspect.imported_network.picker")
SESSION_PROBLEM = session_key("inspect.imported_network.problem")  # why the last removal was refused
SESSION_IMPORTED = session_key("inspect.imported_network.imported")  # how many networks this session has imported
REMOVE = session_key("inspect.imported_network.remove")
PIXEL_TITLES = {"0-1": "0 to 1 (divided by 255)", "0-255": "0 to 255", "-1-1": "-1 to 1"}
EXPLANATION = (
    "A `.keras` file of Keras 3 for images of 32x32 pixels: convolutions with ReLU, max-pooling, batch normalization, "
    "dropout and dense layers, one behind the other. Nothing in the file is run. A larger file: "
    "`cnnlab networks import`."
)


def visible_networks(shown: str = "") -> list[ImportedNetwork]:
    """The imported networks in this person's menu: their own, those of the command line, and the one called `shown`.

    A teacher has all of them.
    """
    person, teacher = app_shell.current_person(), app_shell.is_teacher()
    known = cache.imported_networks()
    return [network for network in known if teacher or network.owner in ("", person) or network.name == shown]


def import_popover() -> None:
    """The button that opens the form for a file."""
    number = st.session_state.get(SESSION_IMPORTED, 0)  # in every key, so that a form that was used is closed and empty
    label, how = "Yours", "Look inside a network of your own"
    with st.popover(label, icon=":material/upload_file:", help=how, key=f"{PICKER}{number}"):
        st.markdown("**Look inside your own network**")
        st.caption(EXPLANATION)
        if class_code.require_class_code():
            import_form(st.container(), number)


def import_form(place: DeltaGenerator, number: int) -> None:
    """File, title, classes and range of the pixels; a file that can be read is shown at once, a problem in `place`."""
    with st.form(FORM, border=False):
        most = min(MAX_FILE_BYTES // 10**6, st.get_option("server.maxUploadSize"))  # a larger one is refused on its way
        # Of any type: Streamlit answers a wrong one with an exception, the reader with a sentence.
        given = st.file_uploader("Keras file", key=f"{FILE}{number}", max_upload_size=most)
        title = st.text_input("Title", key=f"{TITLE}{number}", max_chars=MAX_TITLE, placeholder="that of the file")
        class_names = st.text_input(
            "Classes", key=f"{CLASSES}{number}", max_chars=400, placeholder="CIFAR-10's ten classes",
            help="In the order of the outputs, separated by commas. Leave it empty for CIFAR-10's ten classes.",
        )  # fmt: skip
        pixels = st.selectbox(
            "Pixels in its training", list(PIXEL_TITLES), format_func=PIXEL_TITLES.__getitem__, key=f"{PIXELS}{number}",
            help="A network that begins with a Rescaling layer takes 0 to 255.",
        )  # fmt: skip
        if st.form_submit_button("Look inside it", type="primary") and given is not None:
            with place:
                import_upload(given, f"{FILE}{number}", title or default_title(given.name), class_names, pixels)


def import_upload(given: UploadedFile, widget_key: str, title: str, class_names: str, pixels: str) -> None:
    """Import the file, free its bytes and show its network; a sentence where that is not possible."""
    owner, content = app_shell.current_person(), given.getvalue()
    try:
        description = network_uploads.describe(content, title, owner, class_names, pixels)
        with st.spinner("Reading the file"):
            network = network_uploads.import_for_person(
                content,
                description,
                stop_if_asked,
                address=visitor_address(),
            )
        network_uploads.start_test(network)
    except (NetworkImportError, UnknownRun) as problem:
        st.error(escape_markdown(problem), icon=":material/block:")
        return
    except OSError as problem:
        place = imported_networks.directory()
        st.error(escape_markdown(files.disk_error_message(problem, place, MAX_FILE_BYTES // 10**6)))
        return
    discard_uploaded_file(given, widget_key)
    cache.clear_run_and_network_lists()
    st.session_state[SESSION_IMPORTED] = st.session_state.get(SESSION_IMPORTED, 0) + 1
    selection.update_selection(run=network.name, epoch=None, map=None, layer="")
    st.rerun()


def imported_network_facts(context: InspectContext) -> None:
    """In the place of the epochs: where the network comes from, its accuracy, and for its owner its removal."""
    network = context.run
    if isinstance(network, Run):
        return
    day = time.strftime("%Y-%m-%d", time.localtime(network.imported))
    st.caption(f"Your own network, imported on {day}. It has no epochs here, only its last weights.")
    test_accuracy(network)
    if network.owner == app_shell.current_person() or app_shell.is_teacher():
        with st.popover("Remove", icon=":material/delete:", key=REMOVE):
            st.markdown(f"Remove **{network.title}** from this server? Its file is not kept here.")
            st.button("Yes, remove it", on_click=_on_remove, args=(network.name,))
    if problem := st.session_state.pop(SESSION_PROBLEM, None):
        st.error(escape_markdown(problem))


def test_accuracy(network: ImportedNetwork) -> None:
    """The share of test images that it classifies correctly, with its interval, or why it is not known."""
    try:
        known = cache.predictions(network)
    except DamagedRun as damage:
        st.caption(escape_markdown(damage))
        return
    if "test" in known:
        right, count = int((known["test"].argmax(axis=1) == known["test_labels"]).sum()), len(known["test"])
        st.markdown(inspection.describe_test_accuracy(right, count))
        app_shell.page_link("mistakes", "See its mistakes", {"run": network.name}, icon=":material/rule:")
    elif network.is_being_tested:
        wait_for_test(network)
    elif network_uploads.can_be_tested(network):
        if (last := network_uploads.test_status(network)) and last.message:
            st.warning(escape_markdown(last.message))
        st.button("Test it on all test images", icon=":material/play_arrow:", on_click=_on_test, args=(network,))
    else:
        st.caption("Its accuracy is not known: the test images of its classes are not on this machine.")


@st.fragment(run_every=1.0)
def wait_for_test(network: ImportedNetwork) -> None:
    """Drawn again every second; the end draws the page once more."""
    if not network.is_being_tested:
        st.rerun()
    st.caption(":material/hourglass_empty: It is being tested on all test images.")


def _on_test(network: ImportedNetwork) -> None:
    try:
        network_uploads.start_test(network)
    except OSError as problem:
        st.session_state[SESSION_PROBLEM] = files.disk_error_message(problem, network.path, 1)


def _on_remove(name: str) -> None:
    try:
        imported_networks.remove_imported(name)
        cache.clear_run_and_network_lists()
        selection.update_selection(run="", epoch=None, map=None, layer="")
    except (UnknownRun, OSError) as problem:
        st.session_state[SESSION_PROBLEM] = str(problem)
