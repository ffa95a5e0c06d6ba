"""Sign-in with OpenID Connect, where .streamlit/secrets.toml has an `[auth]` section.

It is Streamlit's own (`st.login`): the school's Google, Microsoft or Keycloak account. Without the section nobody signs
in, and each browser is a person (see `cnnlab.ui.app_shell`). The name of a signed-in person is the e-mail address in
lower case where the provider gives one, else a digest of the account's number.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import streamlit as st

from cnnlab.jobs.queue import PERSON_PATTERN
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.ui.streamlit_internals import once_in_a_run


def is_enabled() -> bool:
    """Whether this server has an `[auth]` section."""
    return "is_logged_in" in read_claims()


def account_name() -> str | None:
    """The name of the signed-in person, or None."""
    claims = read_claims()
    return person_from_claims(claims) if claims.get("is_logged_in") else None


@once_in_a_run
def read_claims() -> Mapping[str, Any]:
    """What the provider says of who looks; Streamlit looks for secrets.toml in three folders with each reading."""
    return st.user.to_dict()


def person_from_claims(claims: Mapping[str, Any]) -> str:
    """The name of the account that a provider describes with these claims.

    An address that the provider calls unverified is not used: anyone could enter the teacher's there.
    """
    address = str(claims.get("email") or "").lower()
    believed = str(claims.get("email_verified", True)).lower() == "true"
    if believed and "@" in address and PERSON_PATTERN.fullmatch(address):
        return address
    account = f"{claims.get('iss', '')} {claims.get('sub', '')}"
    return f"u{hashlib.sha256(account.encode()).hexdigest()[:12]}"


def require_sign_in() -> bool:
    """Whether the page may be shown; where sign-in is needed first, its buttons are drawn instead."""
    if not is_enabled() or account_name():
        return True
    st.title("CNN Lab", anchor=False)
    st.write("Sign in with your account. Your trainings carry its name.")
    for provider in provider_names():
        label = f"Sign in with {escape_markdown(provider)}" if provider else "Sign in"
        st.button(label, type="primary", icon=":material/login:", on_click=st.login, args=(provider or None,))
    return False


def provider_names() -> list[str]:
    """The providers with a section of their own, `[auth.google]`; else the one without a name, ''."""
    section = st.secrets.get("auth", {})
    return [name for name, value in section.items() if isinstance(value, Mapping)] or [""]


def sign_out_button() -> None:
    """The name of the signed-in person, and the button that signs out (school computers are shared)."""
    if person := account_name():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"Signed in as {escape_markdown(person)}")
            st.button("Sign out", type="tertiary", icon=":material/logout:", on_click=st.logout)
