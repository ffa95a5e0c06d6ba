"""Runs a page without a browser, so that the caches which all sessions share are filled before the first visit."""

import threading
from collections.abc import Callable

from cnnlab import settings
from cnnlab.ui.streamlit_internals import check_version

SESSION_ID = "without a browser"


def run_without_browser(page: Callable[[], None]) -> None:
    """Call `page` in a script run of an empty session in this thread; what it draws is discarded.

    It sees neither an address nor a cookie. `st.stop` and `st.rerun` end it. Raises UnknownStreamlit, and what `page`
    raises.
    """
    check_version()
    from streamlit.runtime.fragment import MemoryFragmentStorage
    from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
    from streamlit.runtime.pages_manager import PagesManager
    from streamlit.runtime.scriptrunner_utils import script_run_context as contexts
    from streamlit.runtime.scriptrunner_utils.exceptions import ScriptControlException
    from streamlit.runtime.scriptrunner_utils.script_run_context_attr import SCRIPT_RUN_CONTEXT_ATTR_NAME
    from streamlit.runtime.state import SafeSessionState, SessionState

    script, thread = str(settings.PACKAGE / "pages" / "entrypoint.py"), threading.current_thread()
    context = contexts.ScriptRunContext(
        session_id=SESSION_ID,
        _enqueue=lambda message: None,
        query_string="",
        session_state=SafeSessionState(SessionState(), lambda: None),
        uploaded_file_mgr=MemoryUploadedFileManager(""),
        main_script_path=script,
        user_info={},
        fragment_storage=MemoryFragmentStorage(),
        pages_manager=PagesManager(script),
    )
    contexts.add_script_run_ctx(thread, context)
    context.reset()
    try:
        page()
    except ScriptControlException:
        pass
    finally:
        delattr(thread, SCRIPT_RUN_CONTEXT_ATTR_NAME)
