"""Resumable run over a collection: reading, decoding, prediction and writing side by side."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from triovision.collections.answer_rows import answer_row
from triovision.collections.archives import ArchiveMember, iter_archive
from triovision.collections.entries import make_entry
from triovision.collections.organiser.content_set import ContentSet
from triovision.collections.organiser.database import Batch, CollectionDatabase
from triovision.collections.organiser.plan import WorkFile, make_plan, work_files
from triovision.collections.organiser.posteriors import packed_posterior
from triovision.collections.organiser.progress import Progress, RunOptions
from triovision.collections.organiser.walk import text_path
from triovision.collections.row_predictor import answers_sha256
from triovision.errors import CollectionError, PhotoError
from triovision.photo import PhotoLimits, decoder_pool
from triovision.results import Photo, Prediction

if TYPE_CHECKING:
    from triovision.inference import GeoModel

_LIMITS: Final = PhotoLimits()
_MAX_NOTES: Final = 256
_MAX_WRITES: Final = 1  # batches that wait to be written; each holds its photos
_Answered = tuple[str, Photo, Prediction]


@dataclass(slots=True, eq=False)
class _Item:
    """A photo on its way: a file, or a member of an archive with its bytes. Its row is written when it arrives.

    Attributes:
        path: Path of the file, see `walk.path_text`.
        member: Name in the archive.
        seen: Whether the database has a row of the file, to be replaced.
        data: Bytes of a member.
        error: Reason why there is nothing to read.
        is_archive: Whether this is the end of an archive, whose own row comes after those of its members.
        content: SHA-256 of the bytes, once they are read.
        about: Size and time of the file, once it is open.
    """

    path: str
    member: str = ""
    seen: bool = False
    data: bytes | None = None
    error: PhotoError | None = None
    is_archive: bool = False
    content: str | None = None
    about: os.stat_result | None = None


class _UnreadableError(PhotoError):
    """The file cannot be read."""


class _NothingToDoError(PhotoError):
    """The content is known, or an archive ends here; no failure."""

    def __init__(self, item: _Item) -> None:
        super().__init__(item.path, "is known", "Nothing is to be done")


def organise(
    database: CollectionDatabase,
    model: GeoModel,
    sources: Sequence[Path],
    options: RunOptions,
    progress: Progress,
    on_progress: Callable[[], None] = lambda: None,
) -> None:
    """Answer every photo of the sources that has no answer of this model.

    It may be interrupted and killed at any moment; the same call goes on. After an interruption or an error, all that
    was computed is written first.

    Args:
        database: Database of the collection, opened for writing.
        model: The model.
        sources: Files and folders.
        options: Options of the run.
        progress: Filled while the run goes on.
        on_progress: Called after each file, in the thread of the caller.

    Raises:
        CollectionError: If a source does not exist, too many photos fail, or the database cannot be written.
        ModelFailure: If the model fails.
    """
    for source in sources:
        if not source.exists():
            raise CollectionError(str(source), "does not exist", "Check the path, or connect the disk that holds it")
    model_sha256 = answers_sha256(model)
    progress.plan = make_plan(database, sources, database.path.parent, model_sha256, retry=options.retry)
    on_progress()
    _Run(database, model, model_sha256, options, progress).run(on_progress)


class _Run:
    """State of a run. `_load` runs in threads, `_store` in one thread, all else in that of the caller."""

    def __init__(
        self,
        database: CollectionDatabase,
        model: GeoModel,
        model_sha256: str,
        options: RunOptions,
        progress: Progress,
    ) -> None:
        self._database, self._model, self._model_sha256 = database, model, model_sha256
        self._options, self._progress = options, progress
        settled = database.rows(
            "SELECT content FROM answers WHERE model_sha256 = $model UNION ALL SELECT content FROM refusals",
            model=model_sha256,
        )
        self._known = ContentSet(row["content"] for row in settled)
        self._place_sets = {row["place_set"] for row in database.rows("SELECT place_set FROM place_sets")}
        self._lock = threading.Lock()  # of `_known`
        self._notes, self._note_count = Batch(), 0
        self._writes: deque[Future[None]] = deque()
        self._writer = ThreadPoolExecutor(1, "collection writer")

    def run(self, on_progress: Callable[[], None]) -> None:
        """Go through all files of the plan."""
        outcomes = decoder_pool().read_many(self._items(), self._load, self._options.batch_size)
        waiting: list[tuple[str, Photo]] = []
        try:
            for item, outcome in outcomes:
                self._note(item, outcome)
                if isinstance(outcome, Photo) and item.content is not None:
                    waiting.append((item.content, outcome))
                if len(waiting) >= self._options.batch_size:
                    self._predict(waiting)
                if self._note_count >= _MAX_NOTES:
                    self._submit([])
                self._progress.check(self._options.max_failure_rate, self._database.path.parent)
                on_progress()
            self._predict(waiting)
        finally:
            outcomes.close()
            try:
                self._submit([])
                self._collect(0)
            finally:
                self._writer.shutdown()

    def _items(self) -> Iterator[_Item]:
        for file in work_files(self._database):
            if file.archive:
                yield from self._archive_items(file)
            else:
                yield _Item(file.path, seen=file.seen)

    def _archive_items(self, file: WorkFile) -> Iterator[_Item]:
        """Members of an archive, and its end: an archive that is killed in between is opened again."""
        # Also where the archive has no row yet: a kill may have left rows of some of its members.
        self._notes.forgotten.append(file.path)
        self._submit([])
        try:
            with text_path(file.path).open("rb") as archive:
                about = os.fstat(archive.fileno())
                for member in iter_archive(archive, name=text_path(file.path).name):
                    if isinstance(member, ArchiveMember):
                        yield _Item(file.path, _text(member.name), data=member.data)
                    else:
                        yield _Item(file.path, _text(f"({member.subject})"), error=member)
        except OSError as exc:
            yield _Item(file.path, error=_cannot_open(file.path, exc))
        except PhotoError as error:
            yield _Item(file.path, error=error)
        else:
            yield _Item(file.path, is_archive=True, about=about)

    def _load(self, item: _Item) -> tuple[bytes, str]:
        """Read and hash a photo; its bytes are read once."""
        name = item.member or text_path(item.path).name
        if item.error is not None:
            raise _UnreadableError(name, item.error.reason, item.error.remedy) from item.error
        if item.is_archive:
            raise _NothingToDoError(item)
        data, item.data = item.data, None
        if data is None:
            data, item.about = _read(item.path, name)
        item.content = hashlib.sha256(data).hexdigest()
        with self._lock:
            if item.content in self._known:
                raise _NothingToDoError(item)
            self._known.add(item.content)
        return data, name

    def _note(self, item: _Item, outcome: Photo | PhotoError) -> None:
        """Count a file, and note its row and its refusal."""
        progress, fault = self._progress, None
        progress.done += not item.member
        if isinstance(outcome, _UnreadableError):
            progress.unreadable += 1
            fault = f"{outcome.reason}. {outcome.remedy}."
        elif isinstance(outcome, _NothingToDoError):
            progress.repeated += not item.is_archive
        elif isinstance(outcome, PhotoError):
            progress.refused += 1
            self._notes.add("refusals", {"content": item.content, "reason": f"{outcome.reason}. {outcome.remedy}."})
        if item.seen:
            self._notes.forgotten.append(item.path)
        row = {
            "path": item.path,
            "member": item.member,
            "size": None if item.about is None else item.about.st_size,
            "mtime_ns": None if item.about is None else item.about.st_mtime_ns,
            "content": item.content,
            "fault": fault,
            "archive": item.is_archive,
            "vanished": False,
        }
        self._notes.add("files", row)
        self._note_count += 1

    def _predict(self, waiting: list[tuple[str, Photo]]) -> None:
        if not waiting:
            return
        predictions = self._model.predict([photo for _, photo in waiting])
        self._progress.answered += len(predictions)
        self._submit([(key, photo, one) for (key, photo), one in zip(waiting, predictions, strict=True)])
        waiting.clear()

    def _submit(self, answered: list[_Answered]) -> None:
        """Hand answers, and what was noted of files, to the writer."""
        notes, self._notes, self._note_count = self._notes, Batch(), 0
        self._writes.append(self._writer.submit(self._store, notes, answered))
        self._collect(_MAX_WRITES)

    def _collect(self, most: int) -> None:
        """Wait until at most so many batches are to be written."""
        while len(self._writes) > most:
            self._writes.popleft().result()

    def _store(self, batch: Batch, answered: list[_Answered]) -> None:
        for key, photo, prediction in answered:
            entry = make_entry(key, photo, prediction)
            batch.add("answers", answer_row(entry, self._model_sha256, thumbnail=self._options.thumbnails))
            packed = packed_posterior(prediction.posterior)
            if packed.place_set not in self._place_sets:
                self._place_sets.add(packed.place_set)
                batch.add("place_sets", {"place_set": packed.place_set, "places": packed.places()})
            parts: dict[str, Any] = {"place_set": packed.place_set, "weights": packed.weights}
            batch.add("posteriors", {"content": key, "model_sha256": self._model_sha256, **parts})
        self._database.write(batch)


def _read(path: str, name: str) -> tuple[bytes, os.stat_result]:
    """Bytes of a file and its size and time; a file that changes meanwhile is refused, because neither would fit."""
    try:
        with text_path(path).open("rb") as file:
            before = os.fstat(file.fileno())
            data = file.read(_LIMITS.max_bytes + 1)
            after = os.fstat(file.fileno())
    except OSError as exc:
        raise _cannot_open(path, exc) from exc
    if len(data) > _LIMITS.max_bytes:
        most = _LIMITS.max_bytes // 1_000_000
        raise _UnreadableError(name, f"it has more than the {most} MB allowed", "Use a smaller copy of the photo")
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(data) != after.st_size:
        raise _UnreadableError(name, "it changed while it was read", "Run the same command again")
    return data, after


def _cannot_open(path: str, exc: OSError) -> _UnreadableError:
    reason = f"it cannot be opened ({exc.strerror or exc})"
    return _UnreadableError(text_path(path).name, reason, "Check the path and its permissions")


def _text(name: str) -> str:
    """Name of a member as a database takes it."""
    return name.encode("utf-8", "backslashreplace").decode()
