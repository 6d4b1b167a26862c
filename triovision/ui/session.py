"""State of a browser session: photos, their predictions and explanations."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from weakref import WeakSet

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from triovision.errors import EvidenceError, ModelError, PhotoError
from triovision.results import Explanation, Photo, Prediction
from triovision.ui.examples import Place
from triovision.ui.stored_photo import StoredPhoto

if TYPE_CHECKING:
    from triovision.explain import Faithfulness, StageActivations
    from triovision.explanation_settings import ExplanationSettings

MAX_PHOTOS = 30
MAX_PHOTO_MB: Final = 30  # of one file, in the browser; `PhotoLimits` decides
_MAX_EXPLANATIONS = 60  # a map of all pixels takes a quarter of a megabyte
_MAX_ACTIVATIONS = 4  # photos whose activations are kept: a megabyte each
_KEY = "triovision"

#: Sessions of this process; one leaves with its owner.
live_sessions: Final[WeakSet[Session]] = WeakSet()


class Emptiable(Protocol):
    """State of a page that holds photos, such as a collection."""

    def empty(self) -> bool:
        """Remove the photos; called from another thread, while no script of the session runs.

        Returns:
            Whether there were any.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class PhotoResult:
    """One photo and its prediction.

    Attributes:
        key: SHA-256 of the file, so that a photo dropped twice is predicted once.
        stored: The photo.
        prediction: Prediction with all countries of the model.
        decode_ms: Wall time of decoding the file.
        credit: Markdown with the photographer, if the licence requires it.
        truth: Where the photo was taken, if that is known.
        unconditioned: The prediction without evidence, if `prediction` is conditioned on evidence.
    """

    key: str
    stored: StoredPhoto
    prediction: Prediction
    decode_ms: float
    credit: str = ""
    truth: Place | None = None
    unconditioned: Prediction | None = None

    @property
    def photo(self) -> Photo:
        """The decoded photo.

        Raises:
            PhotoError: If its pixels had left memory and no decoder process is free.
        """
        return self.stored.read()

    @property
    def id(self) -> str:
        """Unique id of this photo and model."""
        return f"{self.key}-{self.prediction.model}"


class ExplanationKey(NamedTuple):
    """What an explanation explains, and how.

    Attributes:
        result: Id of the photo and model.
        country: Explained country.
        method: Name of the method; empty for the only one of an engine.
        against: Country that it is contrasted with.
        settings: Settings of the method; None for a method without settings.
    """

    result: str
    country: str
    method: str
    against: str | None = None
    settings: ExplanationSettings | None = None


@dataclass(slots=True, eq=False, weakref_slot=True)
class Session:
    """State of one browser session. Streamlit drops it when the session ends.

    Attributes:
        model: Id of the selected model; None before the first use.
        linked_model: Id that links carry, from an address or chosen by the reader; None for the default model.
        fault: Error of the model that the default model replaces.
        results: Shown result of each photo by key, in the order of upload.
        cached_results: Results of models selected earlier, by photo key and model.
        rejected: Errors of rejected files by key.
        evidence_errors: Errors of the last evidence, by the id of the result.
        explanations: Least recently used first.
        faithfulness: Measured faithfulness of those explanations.
        activations: Activations of the stages of the network, by the id of the result.
        batch: Number of the current batch of uploads. Upload widgets carry it in their key: a new one is empty.
        id: Streamlit's id of the session.
        pages: State of other pages that holds photos, by page.
        used_at: `time.monotonic()` of the last use.
        left_at: The same of the first look that found the browser gone; None while it is there.
        emptied: True from the removal of the photos after a time without use, until others come.
        admitted: Whether the visitor may see the pages, and therefore upload.
        refused_uploads: Uploads refused for want of memory that the reader has not been told of.
    """

    model: str | None = None
    fault: ModelError | None = None
    linked_model: str | None = None
    results: dict[str, PhotoResult] = field(default_factory=dict)
    cached_results: dict[tuple[str, str], PhotoResult] = field(default_factory=dict)
    rejected: dict[str, PhotoError] = field(default_factory=dict)
    evidence_errors: dict[str, EvidenceError] = field(default_factory=dict)
    explanations: OrderedDict[ExplanationKey, Explanation] = field(default_factory=OrderedDict)
    faithfulness: dict[ExplanationKey, Faithfulness] = field(default_factory=dict)
    activations: dict[str, tuple[StageActivations, ...]] = field(default_factory=dict)
    batch: int = 0
    id: str = ""
    pages: dict[str, Emptiable] = field(default_factory=dict)
    used_at: float = field(default_factory=time.monotonic)
    left_at: float | None = None
    emptied: bool = False
    admitted: bool = False
    refused_uploads: int = 0

    def __post_init__(self) -> None:
        """Enter the list of sessions."""
        live_sessions.add(self)

    def choose(self, model: str) -> None:
        """Select another model."""
        self.model, self.fault, self.linked_model = model, None, model

    def show(self, result: PhotoResult) -> None:
        """Show a result instead of another model's result for the same photo, which is cached."""
        previous = self.results[result.key]
        self.cached_results[previous.key, previous.prediction.model] = previous
        self.results[result.key] = result

    def empty(self) -> None:
        """Remove the photos of all pages and what was computed from them; called from another thread."""
        had_photos = bool(self.results)
        # New containers: a script that has just begun may be reading the old ones.
        self.results, self.cached_results, self.rejected, self.evidence_errors = {}, {}, {}, {}
        self.explanations, self.faithfulness, self.activations = OrderedDict(), {}, {}
        for page in list(self.pages.values()):
            had_photos = page.empty() or had_photos
        self.emptied = self.emptied or had_photos

    def explanation(self, key: ExplanationKey) -> Explanation | None:
        """Return a cached explanation, and mark it as most recently used."""
        if key in self.explanations:
            self.explanations.move_to_end(key)
        return self.explanations.get(key)

    def keep(self, key: ExplanationKey, explanation: Explanation) -> None:
        """Cache an explanation; beyond the limit, drop the least recently used one and its faithfulness."""
        self.explanations[key] = explanation
        while len(self.explanations) > _MAX_EXPLANATIONS:
            dropped, _ = self.explanations.popitem(last=False)
            self.faithfulness.pop(dropped, None)

    def keep_activations(self, result: str, activations: tuple[StageActivations, ...]) -> None:
        """Cache the activations of a photo; beyond the limit, drop the oldest ones."""
        self.activations[result] = activations
        while len(self.activations) > _MAX_ACTIVATIONS:
            del self.activations[next(iter(self.activations))]


def current() -> Session:
    """Session of the browser that the script runs for."""
    if _KEY not in st.session_state:
        context = get_script_run_ctx()
        st.session_state[_KEY] = Session(id="" if context is None else context.session_id)
    session: Session = st.session_state[_KEY]
    session.used_at = time.monotonic()
    return session


def empty_uploads() -> None:
    """Remove the files of the current batch from the memory of the server and start an empty batch."""
    session = current()
    for name in (f"upload-{session.batch}", f"camera-{session.batch}"):
        release_uploads(_listed(st.session_state.get(name)), name)
    session.batch += 1


def clear() -> None:
    """Remove every photo and every result computed from it; the selected model stays."""
    empty_uploads()
    session = current()
    st.session_state[_KEY] = Session(
        session.model,
        session.fault,
        session.linked_model,
        batch=session.batch,
        id=session.id,
        pages=session.pages,
        admitted=session.admitted,
    )
    for name in [
        str(name)
        for name in st.session_state
        if str(name).startswith(("against-", "country-", "inside-", "known-", "report-", "shown", "tab"))
    ]:
        del st.session_state[name]


def release_uploads(files: Iterable[object], field: str) -> None:
    """Remove uploaded files from the memory of the server; afterwards they are empty.

    Args:
        files: Files that an upload field returned.
        field: Key of that field, whose state holds the files a second time.
    """
    # Streamlit keeps an upload until the session ends, even when its widget is gone.
    context = get_script_run_ctx()
    if context is None or not isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        return
    state = st.session_state.get(field)
    in_state = {file.file_id: file for file in _listed(state) if isinstance(file, UploadedFile)}
    for file in files:
        if isinstance(file, UploadedFile):
            context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)
            for copy in (file, in_state.get(file.file_id, file)):  # not closed: Streamlit may copy it once more
                copy.seek(0)
                copy.truncate()


def unread(uploads: Iterable[UploadedFile]) -> list[UploadedFile]:
    """Uploads that have not been released."""
    return [upload for upload in uploads if upload.getbuffer().nbytes or not upload.size]


def _listed(value: object) -> list[object]:
    """Value of an upload field as a list of files."""
    return value if isinstance(value, list) else [value]
