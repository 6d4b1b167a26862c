"""Photos that the reader does not upload: a link, and examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import streamlit as st

from triovision.errors import Message, PhotoError
from triovision.photo import PhotoLimits
from triovision.photo.web import fetch_photo
from triovision.ui.examples import COMMONS_PHOTOS, CommonsPhoto, Place
from triovision.ui.memory_budget import memory_budget
from triovision.ui.session import current
from triovision.ui.translation import Translator, plain


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """Bytes of a photo that is not decoded yet.

    Attributes:
        name: File name as given by the outside.
        data: The whole file.
        credit: Markdown with the photographer, if the licence requires it.
        truth: Where the photo was taken, if that is known.
    """

    name: str
    data: bytes
    credit: str = ""
    truth: Place | None = None


def render_link(t: Translator) -> list[PhotoFile]:
    """Draw the form for a link. Returns its photo once it is sent, or nothing; an error is kept in the session."""
    with (
        st.popover(t("From a link"), icon=":material/link:"),
        st.form(f"link-{current().batch}", border=False),
    ):
        url = st.text_input(
            t("Link to a photo"), key=f"link-{current().batch}-url", placeholder="https://", max_chars=2000
        )
        st.caption(
            t(
                "The computer that runs this page fetches the photo. The server of that address sees the request, as "
                "with any visitor."
            )
        )
        sent = st.form_submit_button(t("Fetch the photo"))
    return _fetched(url, lambda: PhotoFile(*_fetch(url, t))) if sent and url.strip() else []


def render_more_examples(t: Translator) -> list[PhotoFile]:
    """Draw the gallery of examples. Returns the one that the reader asks for, or nothing."""
    asked: CommonsPhoto | None = None
    with st.popover(t("More examples"), icon=":material/photo_library:"):
        st.caption(t("Photos on Wikimedia Commons, fetched from there when you ask."))
        for number, photo in enumerate(COMMONS_PHOTOS):
            if st.button(t(photo.place.name.id), key=f"example-{number}", width="stretch"):
                asked = photo
            st.caption(photo.credit)
    return _fetched(asked.url, partial(fetch_example, asked, t)) if asked else []


def fetch_example(photo: CommonsPhoto, t: Translator) -> PhotoFile:
    """Fetch a photo of the gallery from Wikimedia Commons.

    Raises:
        PhotoError: If it cannot be fetched.
    """
    _, data = _fetch(photo.url, t)
    return PhotoFile(photo.file, data, photo.credit, photo.place)


def _fetch(url: str, t: Translator) -> tuple[str, bytes]:
    if not memory_budget().has_room(PhotoLimits().max_bytes):
        reason = Message("your photos have no more room in the server's memory")
        raise PhotoError(url, reason, Message("Try again in a few minutes, or press Clear"))
    with st.spinner(t("Fetching {name}…", name=plain(url, 60))):
        return fetch_photo(url)


def _fetched(url: str, fetch: Callable[[], PhotoFile]) -> list[PhotoFile]:
    """The photo that `fetch` returns, or nothing; its error is kept in the session."""
    rejected = current().rejected
    rejected.clear()
    try:
        return [fetch()]
    except PhotoError as error:
        rejected[url] = error
        return []
