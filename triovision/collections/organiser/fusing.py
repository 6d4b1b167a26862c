"""Fusion in time of a whole collection: photos of one camera, hour by hour, so that few are in memory."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from triovision.collections.answer_rows import answer_row, entry_from_row
from triovision.collections.entries import CollectionEntry
from triovision.collections.fusion import WINDOW, fuse
from triovision.collections.organiser.database import Batch, CollectionDatabase
from triovision.collections.organiser.photos import PlaceSets

if TYPE_CHECKING:
    from triovision.inference.card import Calibration

#: Most photos that are fused at once; a longer series is cut.
_MOST: Final = 500
_PAGE: Final = 200
#: On the clock of the camera, whatever offset it gave: `taken_at` begins with `YYYY-MM-DDTHH:MM:SS`.
_ORDER: Final = """
CREATE OR REPLACE TEMP TABLE timed AS
SELECT row_number() OVER (ORDER BY camera NULLS FIRST, taken_at[:19], content) AS number, content
FROM answers WHERE model_sha256 = $model AND taken_at IS NOT NULL
    AND content IN (SELECT content FROM files WHERE NOT vanished)
"""
_TIMED: Final = """
SELECT answers.* EXCLUDE (thumbnail), NULL::BLOB AS thumbnail, place_set, weights
FROM (SELECT number, content FROM timed WHERE number > $last AND number <= $last + $count) chosen
JOIN answers USING (content) JOIN posteriors USING (content, model_sha256)
WHERE model_sha256 = $model ORDER BY number
"""


def fuse_collection(database: CollectionDatabase, model_sha256: str, calibration: Calibration) -> int:
    """Sharpen the answers of a model by the photos that the same camera took within an hour.

    The fused answers take the place of those of an earlier fusion; those of the photos alone stay.

    Args:
        database: The database, opened for writing.
        model_sha256: The model.
        calibration: Its calibration.

    Returns:
        Number of photos with a fused answer.
    """
    database.execute("DELETE FROM fused WHERE model_sha256 = $model", _ORDER, model=model_sha256)
    count = 0
    for series in _series(_entries(database, model_sha256)):
        batch = Batch()
        for entry in fuse(series, calibration):
            if entry.fused is not None:
                batch.add("fused", answer_row(entry, model_sha256, thumbnail=False))
                count += 1
        if batch.rows:
            database.write(batch)
    return count


def _entries(database: CollectionDatabase, model_sha256: str) -> Iterator[CollectionEntry]:
    """Photos with a time by camera and time, without thumbnails."""
    places, last = PlaceSets(database), 0
    (count,) = database.first("SELECT count(*) FROM timed")
    while last < count:
        rows: Any = database.page(_TIMED, last=last, count=_PAGE, model=model_sha256)
        for row in rows:
            yield entry_from_row(row, row["content"], places.posterior(row))
        last += _PAGE


def _series(entries: Iterator[CollectionEntry]) -> Iterator[list[CollectionEntry]]:
    """Photos of one camera without a gap of more than an hour."""
    series: list[CollectionEntry] = []
    for entry in entries:
        if series and (len(series) >= _MOST or not _belongs(series[-1], entry)):
            yield series
            series = []
        series.append(entry)
    if series:
        yield series


def _belongs(before: CollectionEntry, entry: CollectionEntry) -> bool:
    return before.camera.camera == entry.camera.camera and _clock(entry) - _clock(before) <= WINDOW


def _clock(entry: CollectionEntry) -> datetime:
    time = entry.camera.taken_at
    return datetime.min if time is None else time.replace(tzinfo=None)
