"""Upload of photos by drop zone, camera or example, and their predictions."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from triovision.bundle import ASSETS
from triovision.errors import Message, PhotoError
from triovision.photo import read_photo
from triovision.ui.animations import render_animation
from triovision.ui.messages import report
from triovision.ui.predictions import predict, render_progress
from triovision.ui.service import model_or_error
from triovision.ui.session import MAX_PHOTOS, PhotoResult, clear, current, empty_uploads
from triovision.ui.translation import Translator

#: Photo of the Summer Palace near Beijing.
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


def render_upload(t: Translator) -> None:
    """Draw drop zone, example button and camera, and predict the uploaded photos."""
    session = current()
    uploads = st.file_uploader(
        t("Drop photos here"),
        accept_multiple_files=True,
        key=f"upload-{session.batch}",
        help=t("JPEG, PNG, WebP, AVIF, HEIC, TIFF, GIF, BMP or MPO; at most {count} photos.", count=MAX_PHOTOS),
    )
    files = [_File(upload.name, upload.getvalue()) for upload in uploads]
    with st.container(horizontal=True, vertical_alignment="center", key="upload-options"):
        if st.button(t("Try an example"), key="example"):
            files.append(_File(EXAMPLE.name, EXAMPLE.read_bytes(), EXAMPLE_CREDIT))
        camera = st.toggle(t("Use the camera"), key="camera")
        if session.results or session.rejected:
            hint = t("Removes all photos and results from memory.")
            st.button(t("Clear"), key="clear", on_click=clear, help=hint)
    if camera:
        shot = st.camera_input(t("Take a photo"), key=f"camera-{session.batch}")
        files += [_File(t("Camera photo") + ".jpg", shot.getvalue())] if shot else []
    if files:
        _predict_all(files, t)
        empty_uploads()
        st.rerun()
    if st.session_state.pop("finished", False):  # beside the results, which wait for no animation
        render_animation("success", "success")
    _render_rejected(t)


def _predict_all(files: Sequence[_File], t: Translator) -> None:
    session = current()
    session.rejected.clear()
    placeholder = st.empty()
    for number, file in enumerate(files, start=1):
        with placeholder:
            render_progress(number, len(files), file.name, t, on_stop=empty_uploads)
        _predict(file, t)
    placeholder.empty()
    new = [key for key in (_key(file) for file in files) if key in session.results]
    if new:
        st.session_state["shown"] = new[0]
        st.session_state["finished"] = True


def _predict(file: _File, t: Translator) -> None:
    """Store the prediction for one file, or the error of a rejected file, in the session."""
    session = current()
    key = _key(file)
    if key not in session.results:
        if len(session.results) >= MAX_PHOTOS:
            session.rejected[key] = PhotoError(
                file.name,
                Message("the session already holds {count} photos", count=MAX_PHOTOS),
                Message("Press Clear to make room"),
            )
            return
        try:
            start = time.perf_counter()
            photo = read_photo(file.data, file.name)
            decode_ms = (time.perf_counter() - start) * 1000
        except PhotoError as error:
            session.rejected[key] = error
            return
        with model_or_error(t) as model:
            prediction = predict(model, photo)
        session.results[key] = PhotoResult(key, photo, prediction, decode_ms, file.credit)


def _key(file: _File) -> str:
    return hashlib.sha256(file.data).hexdigest()


def _render_rejected(t: Translator) -> None:
    for error in current().rejected.values():
        st.warning(report(error, t))
