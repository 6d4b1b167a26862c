"""State of the Collection page in one browser session: photos, their files, faults, corrections and undo."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import streamlit as st

from triovision.collections.entries import CollectionEntry, CorrectedPosition
from triovision.collections.organiser.originals import read_original
from triovision.collections.organiser.photos import StoredPhotos, stored_photos
from triovision.errors import CollectionError, Message, TrioVisionError
from triovision.ui.memory_budget import memory_budget
from triovision.ui.session import current

MAX_PHOTOS: Final = 500
#: Bytes of original files that one session keeps, for copies with positions and sorted archives.
MAX_FILE_BYTES: Final = 300_000_000
#: Variable that names the folder of a collection to open in every session.
COLLECTION_VARIABLE: Final = "TRIOVISION_COLLECTION"
_KEY: Final = "collection"

Corrections = dict[str, CorrectedPosition | None]


@dataclass(slots=True, eq=False, weakref_slot=True)
class Collection:
    """Photos of one browser session.

    Attributes:
        entries: The photos by key, in the order in which they came.
        files: Original files by key, as many as fit.
        faults: Errors of files that could not be used, the latest batch only.
        undo: Corrected positions before each change, the latest last.
        fused_of: What the fused predictions were made of: key and corrected position of each photo; None before that.
        batch: Number of the present batch of uploads. The upload widget carries it in its key: a new one is empty.
        originals: Where the files of photos of a stored collection lie, by key.
        stored_count: Number of photos in the stored collection, of which `entries` has the first; 0 without one.
    """

    entries: dict[str, CollectionEntry] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    faults: list[TrioVisionError] = field(default_factory=list)
    undo: list[Corrections] = field(default_factory=list)
    fused_of: tuple[tuple[str, CorrectedPosition | None], ...] | None = None
    batch: int = 0
    originals: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    stored_count: int = 0

    @property
    def fusion_key(self) -> tuple[tuple[str, CorrectedPosition | None], ...]:
        """What fused predictions depend on, see `fused_of`."""
        return tuple((entry.key, entry.corrected) for entry in self.entries.values())

    def add(self, entry: CollectionEntry, data: bytes) -> None:
        """Add a photo, and keep its file where the budget allows."""
        self.entries[entry.key] = entry
        self.keep_file(entry.key, data)

    def keep_file(self, key: str, data: bytes) -> None:
        """Keep the file of a photo where the budget allows."""
        held = sum(map(len, self.files.values())) + len(data)
        if held <= MAX_FILE_BYTES and memory_budget().has_room(len(data)):
            self.files[key] = data
            memory_budget().hold(self, held)

    def empty(self) -> bool:
        """Remove the original files after a time without use. Predictions, corrections and thumbnails stay."""
        had_files = bool(self.files)
        self.files = {}
        memory_budget().hold(self, 0)
        return had_files

    def has_file(self, key: str) -> bool:
        """Whether the original file of a photo was kept, or lies on the disk."""
        return key in self.files or key in self.originals

    def read_file(self, entry: CollectionEntry) -> bytes:
        """Return the original file.

        Raises:
            CollectionError: If it was not kept, or can no longer be read.
        """
        if entry.key in self.originals:
            return read_original(self.originals[entry.key])
        if entry.key not in self.files:
            reason = Message("its file was not kept: a session keeps {size} MB", size=MAX_FILE_BYTES // 1_000_000)
            raise CollectionError(entry.name, reason, Message("Drop fewer photos at once"))
        return self.files[entry.key]

    def correct(self, positions: Corrections) -> None:
        """Set or remove corrected positions by key; `undo_last` takes them back."""
        self.undo.append({key: self.entries[key].corrected for key in positions})
        self._apply(positions)

    def undo_last(self) -> None:
        """Take the last correction back."""
        if self.undo:
            self._apply(self.undo.pop())

    def replace_entries(self, entries: Iterable[CollectionEntry]) -> None:
        """Replace entries by changed ones of the same keys."""
        for entry in entries:
            self.entries[entry.key] = entry

    def _apply(self, positions: Corrections) -> None:
        for key, position in positions.items():
            self.entries[key] = replace(self.entries[key], corrected=position)


def collection() -> Collection:
    """Collection of the browser that the script runs for."""
    if _KEY not in st.session_state:
        st.session_state[_KEY] = _opened()
    found: Collection = st.session_state[_KEY]
    current().pages[_KEY] = found
    return found


def _opened() -> Collection:
    """Collection of a new session: that of `triovision app --collection`, or an empty one."""
    folder = os.environ.get(COLLECTION_VARIABLE)
    if not folder:
        return Collection()
    try:
        stored = _stored(folder)
    except CollectionError as error:
        return Collection(faults=[error])
    entries = {entry.key: entry for entry in stored.entries}
    return Collection(entries, originals=stored.originals, stored_count=stored.count)


@st.cache_resource(show_spinner=False)
def _stored(folder: str) -> StoredPhotos:
    return stored_photos(Path(folder), MAX_PHOTOS)


def clear_collection() -> None:
    """Remove every photo and every file from memory."""
    st.session_state[_KEY] = Collection(batch=collection().batch + 1)
