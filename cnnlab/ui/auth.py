"""Signing in, where whoever runs the server wants it: an `[auth]` section in .streamlit/secrets.toml switches it on.

It is Streamlit's own OpenID Connect (`st.login`): the school's Google, Microsoft or Keycloak account. Without the
section nobody signs in, and a browser is a person (see `cnnlab.ui.app_shell`). A person who signed in goes by their
e-mail address in lower case where the provider gives one, or else by a digest of the account's number.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import streamlit as st

from cnnlab.jobs.queue import PERSON_PATTERN
from cnnlab.rendering.markdown import escape_markdown


def is_enabled() -> bool:
    """Whether this server has an `[auth]` section."""
    return "is_logged_in" in st.user.to_dict()


def account_name() -> str | None:
    """The name of who has signed in; None where nobody has."""
    claims = st.user.to_dict()
    return person_from_claims(claims) if claims.get("is_logged_in") else None


def person_from_claims(claims: Mapping[str, Any]) -> str:
    """The name of the account that a provider describes with these claims.

    An address that the provider calls unverified is not believed: anyone could write the teacher's there.
    """
    address = str(claims.get("email") or "").lower()
    believed = str(claims.get("email_verified", True)).lower() == "true"
    if believed and "@" in address and PERSON_PATTERN.fullmatch(address):
        return address
    account = f"{claims.get('iss', '')} {claims.get('sub', '')}"
    return f"u{hashlib.sha256(account.encode()).hexdigest()[:12]}"


def require_sign_in() -> bool:
    """Whether the page may be shown; where somebody has to sign in first, a button for it is drawn instead."""
    if not is_enabled() or account_name():
        return True
    st.title("CNN Lab", anchor=False)
    st.write("Sign in with your account; trainings go by your name.")
    for provider in provider_names():
        label = f"Sign in with {escape_markdown(provider)}" if provider else "Sign in"
        st.button(label, type="primary", icon=":material/login:", on_click=st.login, args=(provider or None,))
    return False


def provider_names() -> list[str]:
    """The providers that [auth] names in sections of their own, `[auth.google]`; else the one without a name, ''."""
    section = st.secrets.get("auth", {})
    return [name for name, value in section.items() if isinstance(value, Mapping)] or [""]


def sign_out_button() -> None:
    """Who is signed in, and the way out: school computers are shared."""
    if person := account_name():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"Signed in as {escape_markdown(person)}")
            st.button("Sign out", type="tertiary", icon=":material/logout:", on_click=st.logout)
