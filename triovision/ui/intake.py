"""From a dropped file, the camera or the example to an answer in the session."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from triovision.bundle import ASSETS
from triovision.errors import PhotoError
from triovision.photo import read_photo
from triovision.ui.asking import ask, show_turn
from triovision.ui.reports import report
from triovision.ui.service import model_or_remedy
from triovision.ui.session import MAX_PHOTOS, Answer, clear, current, empty_uploads
from triovision.ui.translation import Translator

#: The Summer Palace near Beijing.
EXAMPLE = ASSETS / "examples" / "china.jpg"
EXAMPLE_CREDIT = (
    "[danielbuechele](https://www.flickr.com/photos/danielbuechele/6061409035/), "
    "[CC BY 2.0](https://creativecommons.org/licenses/by/2.0/)"
)


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    data: bytes
    credit: str = ""


def drop_zone(say: Translator) -> None:
    """Draw the ways to bring photos in, and answer those that came."""
    session = current()
    uploads = st.file_uploader(
        say("Drop photos here"),
        accept_multiple_files=True,
        key=f"upload-{session.batch}",
        help=say("JPEG, PNG, WebP, AVIF, HEIC, TIFF, GIF, BMP or MPO; at most {count} photos.", count=MAX_PHOTOS),
    )
    files = [_File(upload.name, upload.getvalue()) for upload in uploads]
    with st.container(horizontal=True, vertical_alignment="center", key="ways-in"):
        if st.button(say("Try an example"), key="example"):
            files.append(_File(EXAMPLE.name, EXAMPLE.read_bytes(), EXAMPLE_CREDIT))
        camera = st.toggle(say("Use the camera"), key="camera")
        if session.answers or session.refusals:
            hint = say("Removes all photos and results from memory.")
            st.button(say("Clear"), key="clear", on_click=clear, help=hint)
    if camera:
        shot = st.camera_input(say("Take a photo"), key=f"camera-{session.batch}")
        files += [_File(say("Camera photo") + ".jpg", shot.getvalue())] if shot else []
    if files:
        _answer_all(files, say)
        empty_uploads()
        st.rerun()
    _show_refusals(say)


def _answer_all(files: Sequence[_File], say: Translator) -> None:
    session = current()
    session.refusals.clear()
    place = st.empty()
    for number, file in enumerate(files, start=1):
        with place:
            show_turn(number, len(files), file.name, say, on_stop=empty_uploads)
        _answer(file, say)
    place.empty()
    new = [key for key in (_key(file) for file in files) if key in session.answers]
    if new:
        st.session_state["shown"] = new[0]


def _answer(file: _File, say: Translator) -> None:
    """Put the answer to one file, or the reason why there is none, into the session."""
    session = current()
    key = _key(file)
    if key not in session.answers:
        if len(session.answers) >= MAX_PHOTOS:
            session.refusals[key] = PhotoError(
                file.name,
                say("there are {count} photos already", count=MAX_PHOTOS),
                say("Press Clear to make room"),
            )
            return
        try:
            start = time.perf_counter()
            photo = read_photo(file.data, file.name)
            decode_ms = (time.perf_counter() - start) * 1000
        except PhotoError as error:
            session.refusals[key] = error
            return
        with model_or_remedy(say) as model:
            prediction = ask(model, photo)
        session.answers[key] = Answer(key, photo, prediction, decode_ms, file.credit)


def _key(file: _File) -> str:
    return hashlib.sha256(file.data).hexdigest()


def _show_refusals(say: Translator) -> None:
    for error in current().refusals.values():
        st.warning(report(error, say))
