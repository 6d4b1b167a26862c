"""Upload of many photos and archives, and their predictions with progress, time left and a stop button."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from triovision.collections.archives import ArchiveMember, iter_archive
from triovision.collections.entries import make_entry
from triovision.errors import Message, PhotoError
from triovision.photo import decoder_pool
from triovision.results import Photo
from triovision.ui.collection_state import MAX_PHOTOS, clear_collection, collection
from triovision.ui.messages import report
from triovision.ui.predictions import predict_all
from triovision.ui.session import release_uploads, unread
from triovision.ui.translation import Translator

if TYPE_CHECKING:
    from triovision.inference import GeoModel

_BATCH: Final = 8
_MAX_UPLOAD_MB: Final = 500
_MAX_FAULTS_SHOWN: Final = 50
_MIN_SECONDS: Final = 2.0  # before that, an estimate of the time left is a guess


@dataclass(frozen=True)
class _Item:
    """A photo that was read, or the error of a file, with the fraction of all bytes that were read so far.

    `upload` is the file of the photo, unless that is an archive.
    """

    fraction: float
    name: str
    data: bytes = b""
    error: PhotoError | None = None
    upload: UploadedFile | None = None

    @cached_property
    def key(self) -> str:
        """Key of the photo in the collection: two files of the same content are one photo."""
        return hashlib.sha256(self.data).hexdigest()


def render_intake(model: GeoModel, on_batch: Callable[[], None], t: Translator) -> None:
    """Draw the upload field, predict what was uploaded, and list the files that could not be used.

    Args:
        model: The selected model.
        on_batch: Called after each batch of predictions, to draw what is there.
        t: Language of the reader.
    """
    found = collection()
    uploads = st.file_uploader(
        t("Drop photos or ZIP archives here"),
        accept_multiple_files=True,
        key=_upload_key(),
        max_upload_size=_MAX_UPLOAD_MB,
        help=t(
            "At most {count} photos of 30 MB, and archives of {size} MB. A photo that occurs twice is predicted once.",
            count=MAX_PHOTOS,
            size=_MAX_UPLOAD_MB,
        ),
    )
    if found.entries or found.faults:
        hint = t("Removes all photos and results from memory.")
        st.button(t("Clear"), key="collection-clear", on_click=_clear, help=hint)
    uploads = unread(uploads)
    if uploads:
        found.faults.clear()
        _predict_all(uploads, model, on_batch, t)
        _empty_uploads()
        st.rerun()
    _render_faults(t)


def _predict_all(uploads: Sequence[UploadedFile], model: GeoModel, on_batch: Callable[[], None], t: Translator) -> None:
    found = collection()
    progress, start = st.empty(), time.monotonic()
    waiting: dict[str, tuple[Photo, _Item]] = {}
    with progress:
        _render_progress(0, start, t)
    decoding: set[str] = set()
    new = _new_items(uploads, waiting, decoding)
    for item, outcome in decoder_pool().read_many(new, _content, ahead=_BATCH):
        decoding.discard(item.key)
        if isinstance(outcome, PhotoError):
            found.faults.append(outcome)
            release_uploads([item.upload], _upload_key())
        else:
            waiting[item.key] = outcome, item
        if len(waiting) >= _BATCH:
            _predict(waiting, model)
            with progress:
                _render_progress(item.fraction, start, t)
            on_batch()
    _predict(waiting, model)
    progress.empty()


def _items(uploads: Sequence[UploadedFile]) -> Iterator[_Item]:
    total, done = max(1, sum(upload.size for upload in uploads)), 0
    for upload in uploads:
        upload.seek(0)
        is_archive = upload.read(4) == b"PK\x03\x04"
        upload.seek(0)
        if not is_archive:
            yield _Item((done + upload.size) / total, upload.name, upload.getvalue(), upload=upload)
        else:
            try:
                for member in iter_archive(upload, name=upload.name):
                    fraction = (done + min(upload.tell(), upload.size)) / total
                    if isinstance(member, ArchiveMember):
                        yield _Item(fraction, member.name, member.data)
                    else:
                        yield _Item(fraction, upload.name, error=member)
            except PhotoError as error:
                yield _Item((done + upload.size) / total, upload.name, error=error)
        done += upload.size


def _content(item: _Item) -> tuple[bytes, str]:
    if item.error is not None:
        raise item.error
    return item.data, item.name


def _new_items(uploads: Sequence[UploadedFile], waiting: Mapping[str, object], decoding: set[str]) -> Iterator[_Item]:
    """Items that are not known yet, added to `decoding`; in place of a photo that is one too many, its error."""
    found = collection()
    for item in _items(uploads):
        if item.error is None:
            if item.key in found.entries or item.key in waiting or item.key in decoding:
                release_uploads([item.upload], _upload_key())
                if item.key in found.entries and item.key not in found.files:  # left after a time without use
                    found.keep_file(item.key, item.data)
                continue
            if len(found.entries) + len(waiting) + len(decoding) >= MAX_PHOTOS:
                reason = Message("the collection already holds {count} photos", count=MAX_PHOTOS)
                error = PhotoError(item.name, reason, Message("Press Clear to make room"))
                yield _Item(item.fraction, item.name, error=error, upload=item.upload)
                continue
            decoding.add(item.key)
        yield item


def _predict(waiting: dict[str, tuple[Photo, _Item]], model: GeoModel) -> None:
    if not waiting:
        return
    predictions = predict_all(model, [photo for photo, _ in waiting.values()])
    for (key, (photo, item)), prediction in zip(waiting.items(), predictions, strict=True):
        release_uploads([item.upload], _upload_key())  # first, so that the file is not counted twice
        collection().add(make_entry(key, photo, prediction), item.data)
    waiting.clear()


def _render_progress(fraction: float, start: float, t: Translator) -> None:
    seconds = time.monotonic() - start
    text = t.plural("{number} photo so far", "{number} photos so far", len(collection().entries))
    if fraction > 0 and seconds >= _MIN_SECONDS:
        left = t.duration(seconds * (1 - fraction) / fraction)
        text += " · " + t("{time} left", time=left)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(min(1.0, fraction), text)
        # Any click ends the running script, and with it the loop over the photos; what is done stays.
        st.button(t("Stop"), key=f"collection-stop-{fraction}", on_click=_empty_uploads)


def _render_faults(t: Translator) -> None:
    faults = collection().faults
    if not faults:
        return
    title = t.plural("{number} file could not be used", "{number} files could not be used", len(faults))
    with st.expander(title, icon=":material/warning:"):
        for error in faults[:_MAX_FAULTS_SHOWN]:
            st.write(report(error, t))
        if len(faults) > _MAX_FAULTS_SHOWN:
            st.caption(t("and {count} more", count=len(faults) - _MAX_FAULTS_SHOWN))


def _clear() -> None:
    _empty_uploads()
    clear_collection()


def _empty_uploads() -> None:
    release_uploads(st.session_state.get(_upload_key()) or (), _upload_key())
    collection().batch += 1


def _upload_key() -> str:
    return f"collection-upload-{collection().batch}"
