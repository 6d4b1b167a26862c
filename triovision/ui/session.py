"""What one browser session holds in memory: photos, their predictions and explanations."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from triovision.errors import EvidenceError, ModelError, PhotoError
from triovision.results import Explanation, Photo, Prediction

MAX_PHOTOS = 30  # a decoded photo takes some 9 MB
_MAX_EXPLANATIONS = 200  # small maps, but a session may be left open for days
_KEY = "triovision"


@dataclass(frozen=True, slots=True, eq=False)
class PhotoResult:
    """One photo and what a model said of it.

    Attributes:
        key: SHA-256 of the file, so that a photo dropped twice is answered once.
        photo: The decoded photo.
        prediction: Probabilities of all countries that the model knows.
        decode_ms: Wall time from the file's bytes to pixels.
        credit: Markdown that names the photographer, where a licence asks for it.
        unconditioned: The model's own prediction, when `prediction` takes as true what the reader said.
    """

    key: str
    photo: Photo
    prediction: Prediction
    decode_ms: float
    credit: str = ""
    unconditioned: Prediction | None = None

    @property
    def id(self) -> str:
        """Tells it from all models' answers to all photos."""
        return f"{self.key}-{self.prediction.model}"


@dataclass(slots=True)
class Session:
    """The memory of one browser session. Streamlit drops it when the session ends.

    Attributes:
        model: Id of the model that results: the default one until the reader chooses; None before the first use.
        fault: What is wrong with the model in whose place the default one results.
        results: By key, in the order of arrival: what is shown of each photo.
        cached_results: Answers of models that the reader turned away from, by photo key and model.
        rejected: Why a file was refused, by key.
        evidence_errors: Why what the reader said last of a photo cannot be used, by the answer's id.
        explanations: By the answer's id, country and method; the one used longest ago goes first.
        batch: Number of the current batch of uploads. Upload widgets carry it in their key: a new one is empty.
    """

    model: str | None = None
    fault: ModelError | None = None
    results: dict[str, PhotoResult] = field(default_factory=dict)
    cached_results: dict[tuple[str, str], PhotoResult] = field(default_factory=dict)
    rejected: dict[str, PhotoError] = field(default_factory=dict)
    evidence_errors: dict[str, EvidenceError] = field(default_factory=dict)
    explanations: OrderedDict[tuple[str, str, str], Explanation] = field(default_factory=OrderedDict)
    batch: int = 0

    def choose(self, model: str) -> None:
        """Let another model answer from now on."""
        self.model, self.fault = model, None

    def show(self, result: PhotoResult) -> None:
        """Show an answer in place of another model's to the same photo, which is set aside."""
        before = self.results[result.key]
        self.cached_results[before.key, before.prediction.model] = before
        self.results[result.key] = result

    def explanation(self, key: tuple[str, str, str]) -> Explanation | None:
        """A kept explanation, which becomes the last to be dropped."""
        if key in self.explanations:
            self.explanations.move_to_end(key)
        return self.explanations.get(key)

    def keep(self, key: tuple[str, str, str], explanation: Explanation) -> None:
        """Keep an explanation in place of the one used longest ago."""
        self.explanations[key] = explanation
        while len(self.explanations) > _MAX_EXPLANATIONS:
            self.explanations.popitem(last=False)


def current() -> Session:
    """The session of the browser that is being answered."""
    session: Session = st.session_state.setdefault(_KEY, Session())
    return session


def empty_uploads() -> None:
    """Take the files of the current batch out of the server's memory and start an empty one."""
    session = current()
    for name in (f"upload-{session.batch}", f"camera-{session.batch}"):
        files = st.session_state.get(name) or ()
        _release(files if isinstance(files, list) else [files])
    session.batch += 1


def clear() -> None:
    """Forget every photo and all that was computed from it."""
    empty_uploads()
    session = current()
    st.session_state[_KEY] = Session(session.model, session.fault, batch=session.batch)
    for name in [
        str(name) for name in st.session_state if str(name).startswith(("country-", "known-", "shown", "tab"))
    ]:
        del st.session_state[name]


def _release(files: Iterable[object]) -> None:
    # Streamlit keeps an upload until the session ends, even when its widget is gone.
    context = get_script_run_ctx()
    if context is None or not isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        return
    for file in files:
        if isinstance(file, UploadedFile):
            context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)
