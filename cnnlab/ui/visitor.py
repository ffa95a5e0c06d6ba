"""The network address of who has no account, for the limits of what they keep here."""

from cnnlab.settings import BROWSER_NAME_PATTERN
from cnnlab.ui import app_shell, client_address


def visitor_address() -> str:
    """`client_address.address_group`; "" for a teacher and for an account, which is one person whatever its address."""
    is_account = not BROWSER_NAME_PATTERN.fullmatch(app_shell.current_person())
    return "" if is_account or app_shell.is_teacher() else client_address.address_group()
