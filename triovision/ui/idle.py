"""Sessions that nobody uses: what they hold leaves memory after a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import streamlit as st
from streamlit import runtime

from triovision.ui.memory_budget import uploaded_files, whole_setting
from triovision.ui.session import live_sessions

SETTING: Final = "TRIOVISION_IDLE_MINUTES"
_DEFAULT_MINUTES: Final = 60
_EVERY_S: Final = 20.0


def sweep(now: float) -> None:
    """Empty the sessions that were not used for a while, and those whose browser has gone.

    Args:
        now: `time.monotonic()`.
    """
    idle_s = idle_minutes() * 60
    # Streamlit keeps a session for this long in case its browser comes back, and may keep it until the next visitor.
    gone_s = float(st.get_option("server.disconnectedSessionTTL"))
    for session in list(live_sessions):
        if _is_connected(session.id):
            session.left_at = None
            over = bool(idle_s) and now - session.used_at > idle_s
        else:
            session.left_at = now if session.left_at is None else session.left_at
            over = now - max(session.left_at, session.used_at) > gone_s
        if over:
            session.empty()
            if (files := uploaded_files()) is not None:
                files.remove_session_files(session.id)


@asynccontextmanager
async def sweep_regularly(_: object) -> AsyncIterator[None]:
    """Sweep now and then while the server runs: the lifespan of `st.App`."""

    async def sweep_for_ever() -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            sweep(time.monotonic())

    task = asyncio.create_task(sweep_for_ever())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def idle_minutes() -> int:
    """Minutes without use after which a session is emptied; 0 for never."""
    return whole_setting(SETTING, _DEFAULT_MINUTES, 0)


def _is_connected(session_id: str) -> bool:
    return runtime.exists() and runtime.get_instance().is_active_session(session_id)
