"""Upload of photos by drop zone, camera, link or example, and their predictions."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from triovision.errors import Message, PhotoError
from triovision.photo import decoder_pool
from triovision.ui.animations import render_animation
from triovision.ui.examples import EXAMPLE, EXAMPLE_CREDIT, EXAMPLE_PLACE
from triovision.ui.film_strip import render_photo_choice
from triovision.ui.messages import report
from triovision.ui.paste import render_paste
from triovision.ui.photo_sources import PhotoFile, render_link, render_more_examples
from triovision.ui.predictions import predict, render_progress
from triovision.ui.service import model_or_error
from triovision.ui.session import (
    MAX_PHOTO_MB,
    MAX_PHOTOS,
    PhotoResult,
    clear,
    current,
    empty_uploads,
    release_uploads,
    unread,
)
from triovision.ui.stored_photo import StoredPhoto
from triovision.ui.translation import Translator


def render_upload(t: Translator) -> None:
    """Draw the drop zone and the other ways to give photos, and predict the photos given."""
    session = current()
    uploads = st.file_uploader(
        t("Drop photos here"),
        accept_multiple_files=True,
        key=f"upload-{session.batch}",
        max_upload_size=MAX_PHOTO_MB,
        help=t("JPEG, PNG, WebP, AVIF, HEIC, TIFF, GIF, BMP or MPO; at most {count} photos.", count=MAX_PHOTOS),
    )
    files: list[PhotoFile | UploadedFile] = [*unread(uploads)]
    with st.container(horizontal=True, vertical_alignment="center", key="upload-options"):
        if st.button(t("Try an example"), key="example"):
            files.append(PhotoFile(EXAMPLE.name, EXAMPLE.read_bytes(), EXAMPLE_CREDIT, EXAMPLE_PLACE))
        render_paste(t)
        files += render_more_examples(t)
        files += render_link(t)
        camera = st.toggle(t("Use the camera"), key="camera")
        if session.results or session.rejected:
            hint = t("Removes all photos and results from memory.")
            st.button(t("Clear"), key="clear", on_click=clear, help=hint)
    if camera:
        shot = st.camera_input(t("Take a photo"), key=f"camera-{session.batch}")
        files += [PhotoFile(t("Camera photo") + ".jpg", shot.getvalue())] if shot and unread([shot]) else []
    if files:
        _predict_all(files, t)
        empty_uploads()
        st.rerun()
    if st.session_state.pop("finished", False):  # beside the results, which wait for no animation
        render_animation("success", "success")
    _render_rejected(t)


def render_upload_and_choice(hint: str, t: Translator) -> PhotoResult:
    """Draw the drop zone and the choice between the photos, and return the chosen one.

    Args:
        hint: Shown above the drop zone where the session holds no photo; the page ends there.
        t: Language of the reader.
    """
    if not current().results:
        st.write(hint)
        with st.container(key="welcome"):
            render_upload(t)
        st.stop()
    render_upload(t)
    return render_photo_choice(t)


def _predict_all(files: Sequence[PhotoFile | UploadedFile], t: Translator) -> None:
    session = current()
    session.rejected.clear()
    session.emptied = False
    placeholder, keys = st.empty(), []
    for number, file in enumerate(files, start=1):
        with placeholder:
            render_progress(number, len(files), file.name, t, on_stop=empty_uploads)
        keys.append(_predict(file if isinstance(file, PhotoFile) else PhotoFile(file.name, file.getvalue()), t))
        release_uploads([file], f"upload-{session.batch}")  # each at once: all of them may be a gigabyte
    placeholder.empty()
    new = [key for key in keys if key in session.results]
    if new:
        st.session_state["shown"] = new[0]
        st.session_state["finished"] = True


def _predict(file: PhotoFile, t: Translator) -> str:
    """Store the prediction for one file, or the error of a rejected file, in the session. Returns its key."""
    session = current()
    key = hashlib.sha256(file.data).hexdigest()
    if key not in session.results:
        if len(session.results) >= MAX_PHOTOS:
            session.rejected[key] = PhotoError(
                file.name,
                Message("the session already holds {count} photos", count=MAX_PHOTOS),
                Message("Press Clear to make room"),
            )
            return key
        try:
            start = time.perf_counter()
            photo = decoder_pool().read(file.data, file.name)
            decode_ms = (time.perf_counter() - start) * 1000
        except PhotoError as error:
            session.rejected[key] = error
            return key
        with model_or_error(t) as model:
            prediction = predict(model, photo)
        stored = StoredPhoto(photo, file.data)
        session.results[key] = PhotoResult(key, stored, prediction, decode_ms, file.credit, truth=file.truth)
    return key


def _render_rejected(t: Translator) -> None:
    for error in current().rejected.values():
        st.warning(report(error, t))
