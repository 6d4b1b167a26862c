"""Login with OpenID Connect (`[auth]` in secrets.toml), and who may enter (`TRIOVISION_USERS`)."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from functools import cache
from typing import Final

import streamlit as st
from streamlit import config
from streamlit.auth_util import get_secrets_auth_section, is_authlib_installed, validate_auth_credentials
from streamlit.delta_generator import DeltaGenerator
from streamlit.errors import StreamlitAuthError

from triovision.ui.session import current
from triovision.ui.translation import Translator, plain

USERS: Final = "TRIOVISION_USERS"
_EVERYBODY: Final = "*"
_DEFAULT: Final = "default"  # Streamlit's name of the provider that stands in [auth] itself
_logger: Final = logging.getLogger(__name__)


def may_enter() -> bool:
    """Whether the visitor may see the pages: everybody where no login is set up, else who is logged in and listed.

    The session keeps the answer, for the gate of uploads.
    """
    session = current()
    session.admitted = _is_admitted()
    return session.admitted


def _is_admitted() -> bool:
    if not _is_guarded():
        return True
    if _fault() is not None or not _is_logged_in():
        return False
    users = os.environ.get(USERS, "")
    return _EVERYBODY in _entries(users) or is_listed(address(), users)


def address() -> str | None:
    """E-mail address of the visitor, in lower case; None without a login, or if the provider has not verified it."""
    if not _is_logged_in():
        return None
    email, verified = st.user.get("email"), st.user.get("email_verified", True)
    return email.strip().lower() if isinstance(email, str) and verified in (True, "true") else None


def is_listed(email: str | None, entries: str) -> bool:
    """Whether addresses and domains include an address; a domain does not include its subdomains.

    Args:
        email: Address in lower case.
        entries: Such as `anna@example.org, example.com`.
    """
    return email is not None and "@" in email and not {email, email.rpartition("@")[2]}.isdisjoint(_entries(entries))


def render_entrance(t: Translator) -> None:
    """Draw what a visitor sees who may not enter: the login, a refusal, or that the login does not work."""
    if fault := _fault():
        _log_once(fault)
        st.title(t("This page is closed"), anchor=False)
        st.error(t("The login of this server is not set up completely. The server's log says what is missing."))
    elif not _is_logged_in():
        st.title(t("Please log in"), anchor=False)
        st.write(t("The owner of this server has limited who may use it."))
        for provider in _providers():
            label = t("Log in") if provider == _DEFAULT else t("Log in with {provider}", provider=plain(provider))
            st.button(label, type="primary", on_click=st.login, args=[provider], key=f"login-{provider}")
    else:
        _render_refusal(t)


def render_logout(bar: DeltaGenerator, t: Translator) -> None:
    """Draw the logout into the bar of the language switch, where a login is set up."""
    if _is_guarded() and _is_logged_in():
        bar.button(t("Log out"), on_click=st.logout, help=plain(address() or ""), key="logout")


def _render_refusal(t: Translator) -> None:
    st.title(t("You may not use this page"), anchor=False)
    email = address()
    if email is None:
        st.write(t("You are logged in, but your provider names no verified e-mail address of yours."))
    else:
        st.write(t("You are logged in as {address}.", address=plain(email, 200)))
    if os.environ.get(USERS, "").strip():
        st.write(t("The owner of this server has not listed this address. Ask the owner, or log in with another one."))
    else:
        st.write(t("The owner of this server has not said yet who may enter: `{variable}` is empty.", variable=USERS))
    st.button(t("Log out"), on_click=st.logout, key="logout-refused")


def _is_guarded() -> bool:
    """Whether a login is wanted: also where it is set up in part, so that a slip opens nothing."""
    return bool(os.environ.get(USERS, "").strip()) or _has_unreadable_secrets() or bool(_auth())


def _fault() -> str | None:
    """What is missing for the login to work: a text for the log, for it is nothing for strangers."""
    if not _providers():
        return f"secrets.toml has no readable [auth] section with a provider, and {USERS} or such a file asks for one"
    if not is_authlib_installed():
        return "it needs Authlib: pip install 'streamlit[auth]'"
    try:
        for provider in _providers():
            validate_auth_credentials(provider)
    except StreamlitAuthError as error:
        return " ".join(str(error).split())
    return None


@cache
def _log_once(fault: str) -> None:
    _logger.error("Nobody can log in: %s", fault)


def _providers() -> list[str]:
    """Names of the providers, as `st.login` takes them."""
    auth = _auth()
    named = [name for name, section in auth.items() if isinstance(section, Mapping) and "client_id" in section]
    return [_DEFAULT] * ("client_id" in auth) + [name for name in named if name != _DEFAULT]


def _auth() -> Mapping[str, object]:
    try:
        auth: object = get_secrets_auth_section()
    except (OSError, UnicodeDecodeError):
        return {}
    return auth if isinstance(auth, Mapping) else {"": auth}  # of a file with `auth = "…"`


def _has_unreadable_secrets() -> bool:
    """Whether there is a file of secrets that is no TOML or may not be read; Streamlit takes it for none."""
    try:
        read = st.secrets.load_if_toml_exists()
    except (OSError, UnicodeDecodeError):
        read = False
    return not read and any(os.path.exists(file) for file in config.get_option("secrets.files"))


def _is_logged_in() -> bool:
    return bool(st.user.get("is_logged_in"))


def _entries(text: str) -> frozenset[str]:
    return frozenset(entry.removeprefix("@") for entry in text.lower().replace(",", " ").split())
