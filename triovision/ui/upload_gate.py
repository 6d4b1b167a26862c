"""Uploads refused before they are read: of visitors who may not enter, and where the memory budget has no room."""

from __future__ import annotations

from typing import Final

import streamlit as st
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartParser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from triovision.ui.memory_budget import memory_budget
from triovision.ui.session import live_sessions

_UPLOADS: Final = "/_stcore/upload_file/"
_MULTIPART_BYTES: Final = 1_000_000  # of Streamlit's own limit on a request

# Photos are never written to disk: by default the parser moves an upload of more than 1 MB into a temporary file.
MultiPartParser.spool_max_size = 2**31


class UploadGate:
    """ASGI middleware that counts uploads from their first byte.

    It answers 403 to a session that has not been shown a page, as before a login, and 413 where there is no room. The
    address of an upload names its session, whose id the server made and told its own browser only.

    Args:
        app: Streamlit's server.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["method"] != "PUT" or _UPLOADS not in scope["path"]:
            await self._app(scope, receive, send)
            return
        session_id = scope["path"].split(_UPLOADS, 1)[1].split("/")[0]
        # A session without an id is that of a script without a visitor.
        sessions = [session for session in list(live_sessions) if session_id and session.id == session_id]
        if not any(session.admitted for session in sessions):  # its bytes are not worth reading
            await PlainTextResponse("Open the page first, and log in if it asks for it.", 403)(scope, receive, send)
            return
        with memory_budget().arriving(_announced_bytes(scope), session_id) as fits:
            if fits:
                await self._app(scope, receive, send)
                return
        for session in sessions:
            session.refused_uploads += 1
        # A browser that still sends would report a broken connection instead of this answer.
        while (await receive()).get("more_body", False):
            continue
        text = "The server has no more memory for your photos. Try again in a few minutes, with fewer photos."
        await PlainTextResponse(text, 413)(scope, receive, send)


def _announced_bytes(scope: Scope) -> int:
    """Size of a request; the largest one that Streamlit accepts where the request does not say."""
    length = Headers(scope=scope).get("content-length", "")
    if length.isascii() and length.isdecimal():
        return int(length)
    return int(st.get_option("server.maxUploadSize")) * 1024 * 1024 + _MULTIPART_BYTES
