"""Rights of the server's owner: changing the installed models and seeing the server's folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import streamlit as st

from triovision.bundle import BUNDLE
from triovision.files import cache_folder
from triovision.ui.login import address, is_listed

SWITCH: Final = "TRIOVISION_ADMIN"
_ON: Final = frozenset({"1", "true", "yes", "on"})
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_OF_PROXIES: Final = ("X-Forwarded-For", "Forwarded", "X-Real-Ip")


def is_owner() -> bool:
    """Whether the visitor may do what concerns all visitors.

    `TRIOVISION_ADMIN` decides; it may list the addresses of owners who log in. Without it, everybody at this machine is
    the owner, and nobody is while the server listens on other addresses or answers through a proxy.
    """
    chosen = os.environ.get(SWITCH, "").strip().lower()
    if "@" in chosen:
        return is_listed(address(), chosen)
    if chosen:
        return chosen in _ON
    forwarded = any(header in st.context.headers for header in _OF_PROXIES)
    return st.get_option("server.address") in _LOCAL and not forwarded


def without_folders(text: str) -> str:
    """Text with the server's own folders replaced by an ellipsis, unless the visitor is the owner."""
    if is_owner():
        return text
    folders = {os.environ.get("TRIOVISION_MODELS", ""), *map(str, (cache_folder(), BUNDLE, Path.home()))}
    for folder in sorted(folders - {"", "/"}, key=len, reverse=True):
        text = text.replace(folder, "…")
    return text
