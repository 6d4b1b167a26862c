"""Answered photos of a collection, as rows and as entries, and those without an answer."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

from triovision.collections.answer_rows import entry_from_row
from triovision.collections.entries import CollectionEntry
from triovision.collections.organiser.database import CollectionDatabase
from triovision.collections.organiser.posteriors import unpacked_places
from triovision.collections.organiser.walk import text_path
from triovision.errors import CollectionError
from triovision.geo import WeightedPlaces

#: Answers of a model, the fused ones where there are any, and the files that have them. Parameter: `$model`.
PHOTOS: Final = """
SELECT path, member, answered.* FROM (
    SELECT * FROM answers ANTI JOIN fused USING (content, model_sha256) WHERE model_sha256 = $model
    UNION ALL
    SELECT fused.* REPLACE (answers.thumbnail AS thumbnail)
    FROM fused JOIN answers USING (content, model_sha256) WHERE model_sha256 = $model
) answered JOIN files USING (content) WHERE NOT vanished
"""
#: Files without an answer, with the reason.
FAILURES: Final = """
SELECT path, member, coalesce(fault, reason) AS reason FROM files LEFT JOIN refusals USING (content)
WHERE coalesce(fault, reason) IS NOT NULL AND NOT vanished
"""
_LATEST: Final = "SELECT model_sha256 FROM answers ORDER BY rowid DESC LIMIT 1"


def latest_model(database: CollectionDatabase) -> str:
    """Return the `model_sha256` of the latest answer.

    Raises:
        CollectionError: If there is no answer yet.
    """
    if not (rows := database.page(_LATEST)):
        raise CollectionError(str(database.path), "has no answers yet", "Run `triovision organise` with it first")
    return str(rows[0]["model_sha256"])


def photo_name(row: dict[str, Any]) -> str:
    """Path of a photo; that of a member goes on inside the archive."""
    path = str(text_path(row["path"]))
    return f"{path}/{row['member']}" if row["member"] else path


def iter_entries(
    database: CollectionDatabase, model_sha256: str, *, posteriors: bool = False
) -> Generator[tuple[dict[str, Any], CollectionEntry], None, None]:
    """Yield the answered photos, each as its row and its entry.

    Args:
        database: The database.
        model_sha256: The model.
        posteriors: Whether the entries have all their places, from which they can be conditioned and fused.
    """
    query = PHOTOS if not posteriors else f"SELECT * FROM ({PHOTOS}) JOIN posteriors USING (content, model_sha256)"  # noqa: S608 - constants
    places = PlaceSets(database)
    for row in database.rows(query, model=model_sha256):
        posterior = places.posterior(row) if posteriors else None
        yield row, entry_from_row(row, photo_name(row), posterior)


class PlaceSets:
    """Places of posteriors, read when they are first needed; some sets are kept.

    Args:
        database: The database.
    """

    _MOST: Final = 100

    def __init__(self, database: CollectionDatabase) -> None:
        self._database = database
        self._sets: dict[str, bytes] = {}

    def posterior(self, row: dict[str, Any]) -> WeightedPlaces:
        """Return the posterior of a row of the table `posteriors`."""
        place_set = row["place_set"]
        if place_set not in self._sets:
            if len(self._sets) >= self._MOST:
                del self._sets[next(iter(self._sets))]
            (found,) = self._database.page(
                "SELECT places FROM place_sets WHERE place_set = $place_set", place_set=place_set
            )
            self._sets[place_set] = found["places"]
        return unpacked_places(self._sets[place_set], row["weights"])


@dataclass(frozen=True, slots=True, eq=False)
class StoredPhotos:
    """The first photos of a collection, for a page.

    Attributes:
        entries: The photos, each content once, with all their places. Their names begin below the common folder.
        originals: Columns `path`, `member` and `content` of each photo, by key, for `originals.read_original`.
        count: Number of answered contents in the database.
    """

    entries: tuple[CollectionEntry, ...]
    originals: Mapping[str, Mapping[str, Any]]
    count: int


def stored_photos(folder: Path, most: int) -> StoredPhotos:
    """Read the first answers of the model that answered last.

    Args:
        folder: Folder of the collection.
        most: Most photos to read.

    Raises:
        CollectionError: If there is no collection, or it is damaged or in use.
    """
    entries: dict[str, CollectionEntry] = {}
    originals: dict[str, dict[str, Any]] = {}
    with CollectionDatabase(folder, read_only=True) as database:
        model_sha256 = latest_model(database)
        (count,) = database.first(f"SELECT count(DISTINCT content) FROM ({PHOTOS})", model=model_sha256)  # noqa: S608 - constants
        with closing(iter_entries(database, model_sha256, posteriors=True)) as rows:
            for row, entry in rows:
                if len(entries) == most:
                    break
                entries.setdefault(entry.key, entry)
                originals.setdefault(entry.key, {name: row[name] for name in ("path", "member", "content")})
    top = os.path.commonpath([os.path.dirname(entry.name) for entry in entries.values()]) if entries else ""
    named = [replace(entry, name=os.path.relpath(entry.name, top)) for entry in entries.values()]
    return StoredPhotos(tuple(named), originals, count)


def parts(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    """Cut an iterator into lists of at most so many items."""
    while part := list(islice(items, size)):
        yield part
