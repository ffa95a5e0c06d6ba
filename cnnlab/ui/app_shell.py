"""The frame around every page: navigation, the corner with the link and the trainings, and who is signed in.

A class shares one server. Each browser is one person in the queue (`jobs.fair_scheduling`), named after the signed
token in its cookie (`ui.browser_identity`) or after its account (`ui.auth`).
"""

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import streamlit as st

from cnnlab.data import samples
from cnnlab.jobs import access_keys, admin
from cnnlab.jobs.job import Job
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.lessons.lesson_schema import LessonError
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.rendering.palette import BACKGROUND, SHADOW, TEXT_ON_PRIMARY
from cnnlab.settings import SettingsError
from cnnlab.storage.runs import UnknownRun
from cnnlab.ui import auth, browser_identity, cache, control_locks, presence, share_link, streamlit_patches
from cnnlab.ui.state import session_key
from cnnlab.ui.streamlit_internals import once_in_a_run
from cnnlab.ui.streamlit_widget_values import REFUSED, refused_values

SESSION_TEACHER_KEY = session_key("admin.teacher_key")  # as typed on the page Admin; "" where it was not
SESSION_PAGES = session_key("app_shell.pages")  # the pages by URL path
PAGE_COLOR = f"light-dark({BACKGROUND['light']}, {BACKGROUND['dark']})"
BUTTON_TEXT = f"light-dark({TEXT_ON_PRIMARY['light']}, {TEXT_ON_PRIMARY['dark']})"
# Of the toolbar of a chart, Tab reaches the last button only, Fullscreen; from there the others can be reached.
TOOLBARS = '[data-testid="stFullScreenFrame"]:not(:hover, :focus-within) [data-testid="stElementToolbarButton"]'
STYLE = f"""<style>
button[data-testid^="stBaseButton-primary"] {{ color: {BUTTON_TEXT}; }}
input[role="combobox"] {{ text-overflow: ellipsis; }}
a[data-testid]:focus-visible {{ outline: 2px solid; outline-offset: 2px; }}
.st-key-corner {{ position: fixed; top: 0.95rem; right: 3.6rem; z-index: 1000000; width: auto !important;
  flex-wrap: nowrap; }}
.st-key-corner > *, .st-key-link, .st-key-running {{ width: auto !important; }}
.st-key-corner > * {{ flex: 0 0 auto !important; }}
.st-key-corner p {{ font-size: 0.9rem; white-space: nowrap; }}
{TOOLBARS}:not(:last-child) {{ visibility: hidden; }}
.st-key-corner button {{ padding: 0 0.4rem; min-height: 1.6rem; color: inherit !important; }}
.st-key-corner [data-testid="stPopover"] > div {{ display: flex; }}
[data-testid="stStatusWidget"] {{ position: fixed; top: 2.9rem; right: 1rem; background: {PAGE_COLOR}; }}
.st-key-notices {{ position: fixed; top: 3.6rem; right: 1rem; z-index: 1000001; width: min(22rem, 92vw) !important; }}
.st-key-notices > [data-testid="stLayoutWrapper"] {{ background: {PAGE_COLOR}; border-radius: 0.5rem;
  box-shadow: 0 2px 10px {SHADOW}; }}
:has(> .st-key-phone_navigation) {{ display: none; }}
[data-testid="stFullScreenFrame"] > div[height] svg.marks {{ width: 100%; height: calc(100vh - 5rem); }}
@media (max-width: 768px) {{
  [data-testid="stSidebar"], [data-testid="stExpandSidebarButton"] {{ display: none; }}
  :has(> .st-key-phone_navigation) {{ display: block; position: fixed; top: 0.9rem; left: 0.25rem; z-index: 1000000;
    width: auto; }}
  .st-key-phone_navigation a {{ padding: 0.1rem 0.3rem; }}
  .st-key-phone_navigation p {{ font-size: 0.85rem; white-space: nowrap; }}
  .st-key-corner {{ top: 2.9rem; left: 0; right: 0; padding: 0 0.6rem 0.15rem; justify-content: flex-end;
    background: {PAGE_COLOR}; }}
  [data-testid="stStatusWidget"] {{ top: 4.7rem; }}
  .st-key-notices {{ top: 5.2rem; }}
}}
</style>"""


def make_page(name: str, title: str, **how: Any) -> st.Page:
    """The page of the module `cnnlab.pages.NAME`, which is imported when the page is first opened.

    It has no icon: a browser would load a page's icon from the internet.
    """

    def run_page() -> None:
        importlib.import_module(f"cnnlab.pages.{name}").page()

    return st.Page(run_page, title=title, url_path=name, **how)


def run_app(pages: Sequence[st.Page], corner: Callable[[], None]) -> None:
    """Run the selected page inside its frame, then `corner`, which draws what stands in the corner of every page.

    Errors of the disk and the queue are shown as one sentence.
    """
    streamlit_patches.apply_patches()
    page = st.navigation(list(pages), position="top")
    st.session_state[SESSION_PAGES] = {entry.url_path or "train": entry for entry in pages}
    st.html(STYLE)
    st.set_page_config(
        page_title=f"{page.title} - CNN Lab",
        page_icon=str(samples.SAMPLE_DIRECTORY / "cifar10_00_3.png"),
        layout="wide",
    )
    if not auth.require_sign_in():
        return
    presence.record_page(page.url_path or "train")
    phone_navigation(pages)
    control_locks.read_address()
    if refused_values.take():
        st.warning(REFUSED)
    with errors_as_sentences():
        importlib.import_module("cnnlab.ui.lesson_panel").run_beside(page)  # which uses this module
        page_footer(page)
    with st.container(key="corner", horizontal=True, vertical_alignment="center", gap="xsmall"):
        share_link.link_control(page.url_path)
        corner()


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Show an error of the disk, the queue or the lessons as one sentence; for a page, and as decorator of a fragment.

    A fragment that runs by itself is not inside the page's frame.
    """
    try:
        yield
    except (QueueError, QuotaExceeded, SettingsError, LessonError) as error:
        st.error(escape_markdown(error))
    except UnknownRun as error:  # a run was removed or damaged while the page was drawn
        st.error(escape_markdown(error))
    except OSError as error:
        reason = escape_markdown(error.strerror or error)
        st.error(f"Something could not be read or written ({reason}): look at the disk of the server.")


def phone_navigation(pages: Sequence[st.Page]) -> None:
    """The pages in one row, for a narrow window, where Streamlit hides its own in a drawer.

    That drawer stays open over the page that was chosen in it.
    """
    with st.container(key="phone_navigation", horizontal=True, wrap=False, gap=None):
        for page in pages:
            if page.visibility == "visible":
                st.page_link(page, label=page.title)


def page_footer(page: st.Page) -> None:
    """Below the page: a link to the page Admin for a teacher, and the sign-out button for who is signed in."""
    if page.url_path != "admin" and is_teacher():
        page_link("admin", "Admin: trainings and runs of this server", {}, icon=":material/dns:")
    auth.sign_out_button()


def page_link(url_path: str, label: str, params: Mapping[str, str], icon: str | None = None) -> None:
    """A link to another page of the app with these URL parameters; nothing where there is no such page."""
    page = st.session_state.get(SESSION_PAGES, {}).get(url_path)
    if page:
        st.page_link(page, label=label, icon=icon, query_params=dict(params))


def own_active_jobs() -> list[Job]:
    """This person's trainings that run or wait, the running ones first."""
    person = current_person()
    return [job for job in cache.open_queue().active() if person in job.requesters and job.is_readable]


def is_teacher() -> bool:
    """Whether this person is a teacher, by account or by the key typed in this browser. Raises SettingsError."""
    return admin.is_teacher(current_person(), teacher_key())


def teacher_key() -> str:
    """The teacher's key as this browser typed it, also before a reload; "" where it did not. Raises SettingsError."""
    if SESSION_TEACHER_KEY not in st.session_state:
        typed = ""
        with suppress(QueueError):
            typed = access_keys.remembered_teacher_key(cache.open_queue(), current_person())
        st.session_state[SESSION_TEACHER_KEY] = typed
    return str(st.session_state[SESSION_TEACHER_KEY])


@once_in_a_run
def current_person() -> str:
    """The name under which this browser asks for trainings: its account's, else one made of its token."""
    return auth.account_name() or browser_identity.browser_person()
