"""Every patch of Streamlit's code and every undocumented option that the app uses.

Patches with much to say have modules of their own, `streamlit_NAME`. What the app uses of Streamlit's internals without
changing them is in `streamlit_component_files`, `streamlit_internals` and `streamlit_script_context`.

`PATCHES` are applied at run time by `apply_patches()`. `OPTIONS` are hidden options, which `streamlit config show` does
not list; they are set in .streamlit/config.toml, and `apply_patches()` checks that Streamlit knows them and has these
values. (`st.set_option` refuses them, and values set through the internal `streamlit.config.set_option` are lost when
Streamlit reads the file again.)

All of it fails open: an unknown version, signature or option leaves Streamlit unchanged, with one line in the log
'cnnlab.streamlit'. For each entry a test fails when Streamlit no longer needs it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import streamlit as st

from cnnlab.ui.streamlit_auto_rerun import patch_auto_reruns
from cnnlab.ui.streamlit_cache_expiry import patch_read_result
from cnnlab.ui.streamlit_cached_functions import patch_parameters
from cnnlab.ui.streamlit_containers import patch_copies
from cnnlab.ui.streamlit_event_loop import patch_sending
from cnnlab.ui.streamlit_fragment_requests import patch_request_rerun
from cnnlab.ui.streamlit_memory import patch_add_file, patch_save_session
from cnnlab.ui.streamlit_messages import patch_messages
from cnnlab.ui.streamlit_session_state import patch_filtered_state
from cnnlab.ui.streamlit_theme import patch_theme_message
from cnnlab.ui.streamlit_threads import patch_start
from cnnlab.ui.streamlit_widget_values import patch_widget_values

logger = logging.getLogger("cnnlab.streamlit")


@dataclass(frozen=True)
class Patch:
    """One change to Streamlit's code. `install` raises UnknownStreamlit, before any change, where it does not fit."""

    name: str
    reason: str
    upstream: str
    install: Callable[[], None]


@dataclass(frozen=True)
class Option:
    """One hidden option that .streamlit/config.toml sets to `value`."""

    name: str
    value: object
    reason: str
    upstream: str


@cache
def apply_patches() -> None:
    """Install every patch and check every option, once per process. Never raises; writes at most one log line."""
    problems = [*filter(None, map(install_problem, PATCHES)), *filter(None, map(option_problem, OPTIONS))]
    if problems:
        logger.warning(
            "Streamlit %s is not patched where its internals are unknown: %s", st.__version__, "; ".join(problems)
        )


def install_problem(patch: Patch) -> str:
    """Install a patch; the reason where it was not installed, else ""."""
    try:
        patch.install()
    except Exception as error:  # any error: a page without the patch is better than no page
        return f"{patch.name} ({error!r})"
    return ""


def option_problem(option: Option) -> str:
    """What is wrong with a hidden option; "" where Streamlit knows it and has the expected value."""
    try:
        value = st.get_option(option.name)
    except Exception as error:  # an unknown option is a RuntimeError today
        return f"{option.name} ({error!r})"
    return "" if value == option.value else f"{option.name} is {value!r}, not {option.value!r}: see config.toml"


PATCHES = (
    Patch(
        "AppSession.request_rerun",
        "What a script draws waits in a queue until the server's event loop sends it. Where a fragment with run_every "
        "asks for a rerun after a script has ended and before the loop has sent that queue, Streamlit starts a new "
        "runner and drops what is left of the old one's messages: the page lacks its end until the next click. "
        "With the patch the fragment's request waits until the session has heard that the old runner has ended.",
        "not reported as such; the comment in AppSession.request_rerun that names streamlit#9921 describes the case. "
        "Minimal reproduction: test_streamlit_alone_loses_the_rest_of_the_page.",
        patch_request_rerun,
    ),
    Patch(
        "ScriptRequests._request_rerun_locked and ScriptRunner._run_script",
        "With each rerun of a fragment with run_every the browser sends the values of all widgets and its address. "
        "While an answer is on its way they are old: Streamlit calls on_change for them and takes back the new "
        "address, so under load one click gave five entries in the browser's history. With the patch an automatic "
        "rerun changes neither values nor address. Nor does Streamlit put a click before the reruns of a whole class: "
        "with the patch these take turns.",
        "not reported as such; test_streamlit_alone_takes_back_a_click_with_an_automatic_rerun",
        patch_auto_reruns,
    ),
    Patch(
        "AppSession.flush_browser_queue, _call_soon_on_event_loop and _enqueue_forward_msg",
        "Streamlit's loop sends one message in each of its rounds. With thirty polling browsers a round has thousands "
        "of pieces of work, most of them one message of a script, so one or two messages a second were sent and 17,000 "
        "waited: answers took up to two minutes on a processor that was half free. With the patch a session's messages "
        "are sent together, and the loop is woken once for many.",
        "not reported as such; test_streamlit_alone_sends_one_message_in_a_round_of_its_loop",
        patch_sending,
    ),
    Patch(
        "ResourceCache.read_result",
        "Streamlit asks whether an entry of st.cache_resource is there, and then reads it. Where its time to live ends "
        "in between, which a busy machine makes likely, the page shows a KeyError. With the patch it is computed anew.",
        "not reported as such; test_streamlit_alone_fails_where_an_entry_expires_while_it_is_read",
        patch_read_result,
    ),
    Patch(
        "type_util.get_func_parameters",
        "With each call of a cached function Streamlit asks `inspect` for its parameters, forty times for a page. With "
        "the patch the answer is kept.",
        "not reported as such; test_streamlit_alone_inspects_a_cached_function_with_each_call",
        patch_parameters,
    ),
    Patch(
        "DeltaGenerator.__deepcopy__",
        "For each fragment Streamlit copies the containers around it, each of them with all its parents once more. "
        "With the patch each is copied once.",
        "not reported as such; test_streamlit_alone_copies_a_container_once_more_for_each_in_it",
        patch_copies,
    ),
    Patch(
        "ScriptRunner.start",
        "Streamlit's loop waits until the new thread of each rerun runs, behind all scripts that are at work. With the "
        "patch it does not: an automatic rerun in a class is answered in half to nine tenths of the time.",
        "not reported as such; test_streamlit_alone_waits_until_the_thread_of_a_script_runs",
        patch_start,
    ),
    Patch(
        "MemoryUploadedFileManager.add_file",
        "Whoever has a page open may upload files of maxUploadSize without end, under any name, and Streamlit keeps "
        "each until the session ends. With the patch a session has MAX_SESSION_UPLOADS of them and all sessions "
        "together MAX_UPLOAD_BYTES; the oldest of the session that holds most go first.",
        "not reported as such; test_streamlit_alone_keeps_every_file_that_is_uploaded",
        patch_add_file,
    ),
    Patch(
        "MemorySessionStorage.save",
        "Streamlit keeps up to 128 closed sessions with all they hold, and the expired ones among them until another "
        "session closes. With the patch it keeps MAX_CLOSED_SESSIONS, none longer than server.disconnectedSessionTTL.",
        "not reported as such; test_streamlit_alone_keeps_closed_sessions_that_have_expired",
        patch_save_session,
    ),
    Patch(
        "app_session._populate_theme_msg",
        "At the start of each run of a script or fragment Streamlit looks through all its options six times for those "
        "of the theme: 4 to 7 % of the server's processor time in a lesson. With the patch the message is made once.",
        "not reported as such; test_streamlit_alone_looks_through_its_options_for_each_run",
        patch_theme_message,
    ),
    Patch(
        "SafeSessionState.filtered_state",
        "Each menu, radio, number and text field gets a dictionary of all that its session holds, to look up one key: "
        "a seventh of the processor time of the page Train. With the patch it gets a view that looks up this key.",
        "not reported as such; test_streamlit_alone_reads_the_whole_session_for_each_field",
        patch_filtered_state,
    ),
    Patch(
        "WStates.__getitem__",
        "A browser whose page somebody has changed may send a widget infinity, a value of another kind or text that is "
        "no JSON: the script fails wherever it reads the session, with a traceback in the log for each message. With "
        "the patch the widget keeps the value before, and the log has a line in ten minutes.",
        "not reported as such; test_streamlit_alone_fails_at_a_value_that_no_browser_sends",
        patch_widget_values,
    ),
    Patch(
        "AppSession.handle_backmsg",
        "Any browser may clear the caches of all sessions, with a message of a few bytes, again and again, and fill "
        "the log with empty messages. With the patch what the app's pages never ask for is ignored.",
        "not reported as such; test_streamlit_alone_clears_everybodys_caches_for_any_browser",
        patch_messages,
    ),
)

OPTIONS = (
    Option(
        "server.maxWidgetStateSize",
        1,
        "Megabytes. A session keeps what the fields of its last message hold, 25 MB at most: eight sessions with 20 MB "
        "each took the process from 207 to 548 MB. A browser sends some KB; one that sends more is disconnected.",
        "the server would have to limit a text to the max_chars of its widget, as the browser does",
    ),
    Option(
        "global.minCachedMessageSize",
        1e12,
        "Bytes. Streamlit sends a larger message that a browser has seen before as a reference. A browser that was "
        "clicked faster than answers arrive has forgotten it: 'Cached ForwardMsg MISS', and the page is dead.",
        "streamlit#9787, streamlit#15816 (closed: cannot reproduce), streamlit#16570. "
        "Minimal reproduction: test_only_our_setting_survives_quick_clicks_over_a_slow_network.",
    ),
    Option(
        "runner.postScriptGC",
        False,
        "Streamlit collects all garbage after each run, also after each poll of each browser. With the modules that "
        "are loaded here, one collection takes more time than the poll. Python still collects by itself.",
        "the option came with streamlit#3215; streamlit#8977 reports such pauses",
    ),
)
