"""Comparison of the files on the disk with those of the database: what is to be read, and what has changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from triovision.collections.organiser.database import CollectionDatabase
from triovision.collections.organiser.walk import path_text, walk

_WALKED: Final = pa.schema(
    [
        ("path", pa.string()),
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("kind", pa.string()),
        ("fault", pa.string()),
    ]
)
_SOURCES: Final = pa.schema([("source", pa.string())])
_PAGE: Final = 1000
#: Below a source, and not below the results, where moved photos are.
_BELOW: Final = """(
    EXISTS (SELECT 1 FROM sources WHERE path = source OR starts_with(path, source || $separator))
    AND NOT starts_with(path, $without || $separator)
)"""
_HERE: Final = "path IN (SELECT path FROM walked)"
_STATEMENTS: Final = (
    f"UPDATE files SET vanished = true WHERE NOT vanished AND {_BELOW} AND NOT {_HERE}",  # noqa: S608 - constants
    f"UPDATE files SET vanished = false WHERE vanished AND {_HERE}",  # noqa: S608 - constants
    # Faults are found anew; those of folders have no other end.
    f"DELETE FROM files WHERE fault IS NOT NULL AND member = '' AND {_BELOW}",  # noqa: S608 - constants
    """INSERT INTO files SELECT path, '', NULL, NULL, NULL, any_value(fault), false, false FROM walked
       WHERE kind = 'fault' GROUP BY path""",
)
_FORGET_REFUSALS: Final = f"DELETE FROM refusals WHERE content IN (SELECT content FROM files WHERE {_BELOW})"  # noqa: S608 - constants
_WORK: Final = """
CREATE OR REPLACE TEMP TABLE work AS
WITH found AS (
    SELECT path, any_value(size) AS size, any_value(mtime_ns) AS mtime_ns, bool_or(kind = 'archive') AS archive
    FROM walked WHERE kind IN ('photo', 'archive') GROUP BY path
), settled AS (
    SELECT content FROM answers WHERE model_sha256 = $model UNION SELECT content FROM refusals
), unsettled AS (
    SELECT DISTINCT path FROM files ANTI JOIN settled USING (content) WHERE fault IS NULL AND NOT archive
), compared AS (
    SELECT found.*, files.path IS NOT NULL AS seen,
        files.size IS DISTINCT FROM found.size OR files.mtime_ns IS DISTINCT FROM found.mtime_ns AS differs,
        unsettled.path IS NOT NULL AS unsettled
    FROM found LEFT JOIN files ON files.path = found.path AND files.member = ''
    LEFT JOIN unsettled ON unsettled.path = found.path
)
SELECT row_number() OVER (ORDER BY path) AS number, path, size, mtime_ns, archive, seen, differs
FROM compared WHERE NOT seen OR differs OR unsettled
"""


@dataclass(frozen=True, slots=True)
class WorkFile:
    """A file to be read.

    Attributes:
        path: Its path, see `walk.path_text`.
        archive: Whether it is an archive.
        seen: Whether the database has it already.
    """

    path: str
    archive: bool
    seen: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What a walk found.

    Attributes:
        found: Photos and archives by name, each once.
        others: Files that are neither.
        work: Photos and archives to be read: new, changed, or without an answer of the model.
        appeared: Those that the database did not have.
        changed: Those whose size or time differs from that in the database.
        vanished: Photos of the database that are no longer there.
    """

    found: int
    others: int
    work: int
    appeared: int
    changed: int
    vanished: int


def make_plan(
    database: CollectionDatabase, sources: Iterable[Path], without: Path, model_sha256: str, *, retry: bool = False
) -> Plan:
    """Search the sources and compare them with the database; nothing is read yet.

    Args:
        database: The database, in which files that are no longer there are marked.
        sources: Files and folders.
        without: Folder that is left out.
        model_sha256: The model whose answers are wanted.
        retry: Whether refused photos are read again.
    """
    sources = list(sources)
    database.fill("sources", _SOURCES, ({"source": path_text(source)} for source in sources))
    database.fill("walked", _WALKED, _rows(sources, without))
    values = {"separator": os.sep, "without": path_text(without), "model": model_sha256}
    (vanished,) = database.first(
        f"SELECT count(*) FROM files WHERE NOT archive AND {_BELOW} AND NOT {_HERE}",  # noqa: S608 - constants
        **values,
    )
    forget = (_FORGET_REFUSALS,) if retry else ()
    database.execute(*forget, *_STATEMENTS, _WORK, **values)
    found, others = database.first(
        "SELECT count(DISTINCT path) FILTER (kind <> 'other'), count(*) FILTER (kind = 'other') FROM walked"
    )
    work, appeared, changed = database.first(
        "SELECT count(*), count(*) FILTER (NOT seen), count(*) FILTER (seen AND differs) FROM work"
    )
    return Plan(found, others, work, appeared, changed, vanished)


def work_files(database: CollectionDatabase) -> Iterator[WorkFile]:
    """Yield the files that the latest plan found to be read, in the order of their paths."""
    last = 0
    query = "SELECT * FROM work WHERE number > $last AND number <= $last + $count ORDER BY number"
    while page := database.page(query, last=last, count=_PAGE):
        for row in page:
            yield WorkFile(row["path"], row["archive"], row["seen"])
        last = page[-1]["number"]


def _rows(sources: Iterable[Path], without: Path) -> Iterator[dict[str, Any]]:
    for file in walk(sources, without):
        yield {
            "path": file.path,
            "size": file.size,
            "mtime_ns": file.mtime_ns,
            "kind": file.kind,
            "fault": file.fault,
        }
