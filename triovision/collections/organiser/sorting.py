"""Photos sorted into folders of countries and places by link, copy or move, with a log that takes it back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from triovision.collections.file_names import safe_file_name
from triovision.collections.organiser.database import Batch, CollectionDatabase
from triovision.collections.organiser.originals import file_sha256, read_original, write_verified
from triovision.collections.organiser.photos import PHOTOS, parts, photo_name
from triovision.collections.organiser.walk import path_text, text_path
from triovision.errors import CollectionError
from triovision.files import atomic_open
from triovision.geo import country_name
from triovision.photo.names import clean_text

How = Literal["link", "copy", "move"]
By = Literal["country", "place"]

#: Folder of the sorted photos, and log of how they came there, in the folder of the collection.
SORTED: Final = "sorted"
LOG: Final = "undo.jsonl"
_BATCH: Final = 50
_NEW: Final = f"""
SELECT path, member, content, country, area_kind, abstained, json_extract_string(prediction, '$.area.name') AS place
FROM ({PHOTOS}) ANTI JOIN placed USING (path, member, content) WHERE path NOT IN (SELECT target FROM placed)
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class Sorted:
    """What is done, or would be done, with one photo.

    Attributes:
        photo: Its path.
        target: Its path in the sorted folder; without a number before the ending as long as nothing is written.
        fault: Why it is left where it is.
    """

    photo: str
    target: str
    fault: str | None = None


def plan_sort(database: CollectionDatabase, model_sha256: str, by: By) -> Iterator[Sorted]:
    """Yield what `sort` would do; nothing is written.

    Args:
        database: The database.
        model_sha256: The model whose answers count.
        by: A folder for each country, or for each place in it too.
    """
    folder = database.path.parent / SORTED
    for row in database.rows(_NEW, model=model_sha256):
        yield Sorted(photo_name(row), str(folder / _place_in_folder(row, by)))


def sort(database: CollectionDatabase, model_sha256: str, how: How, by: By) -> Iterator[Sorted]:
    """Sort the photos that were not sorted yet, and yield what was done with each.

    A move copies the file, reads the copy again, compares it with what was answered, writes the log to the disk, and
    only then deletes the original. Photos of archives are always copied, and the archive stays.

    Args:
        database: The database, opened for writing.
        model_sha256: The model whose answers count.
        how: Symbolic link, copy or move.
        by: A folder for each country, or for each place in it too.

    Raises:
        OSError: If the folder or the log cannot be written.
    """
    _finish_moves(database)
    for rows in parts(database.rows(_NEW, model=model_sha256), _BATCH):
        steps = _place_all(database, rows, how, by)
        done = [step for step in steps if isinstance(step, dict)]
        _log(database.path.parent / LOG, done)
        database.write(Batch(rows={"placed": done}) if done else Batch())
        _finish_moves(database)
        for row, step in zip(rows, steps, strict=True):
            if isinstance(step, dict):
                yield Sorted(photo_name(row), str(text_path(step["target"])))
            else:
                yield Sorted(photo_name(row), "", str(step))


def undo(folder: Path) -> Iterator[Sorted]:
    """Take back all that `sort` did, and yield it; what cannot be taken back stays in the log.

    A moved photo goes back to its place, compared like on its way here. A link or a copy is deleted, unless somebody
    has changed it since.

    Args:
        folder: Folder of the collection.

    Raises:
        CollectionError: If there is nothing to take back, or the log is damaged.
        OSError: If a file or the log cannot be written.
    """
    log = folder / LOG
    if not log.exists():
        raise CollectionError(str(log), "does not exist: nothing was sorted here", "Name the folder given by --to")
    with CollectionDatabase(folder) as database:
        with atomic_open(log) as left:
            for steps in parts(_read_log(log), _BATCH):
                faults = [_take_back(step) for step in steps]
                for step, fault in zip(steps, faults, strict=True):
                    if fault is not None:
                        left.write(_log_line(step))
                    yield Sorted(str(text_path(step["path"])), str(text_path(step["target"])), fault)
                _forget(database, [step["target"] for step, fault in zip(steps, faults, strict=True) if fault is None])
        if not log.stat().st_size:
            log.unlink()
    _remove_empty(folder / SORTED)


def _place_in_folder(row: dict[str, Any], by: By) -> Path:
    if row["abstained"]:
        country = "Not sure"
    else:
        country = "High seas" if row["country"] is None else country_name(row["country"])
    folder = Path(safe_file_name(country))
    if by == "place" and not row["abstained"] and row["area_kind"] in ("landmark", "place", "region") and row["place"]:
        folder /= safe_file_name(row["place"])
    return folder / safe_file_name(photo_name(row))


def _place_all(
    database: CollectionDatabase, rows: list[dict[str, Any]], how: How, by: By
) -> list[dict[str, str] | CollectionError | OSError]:
    """Put photos into their folders, and return for each its line of the log, or what is wrong."""
    folder, taken = database.path.parent / SORTED, set[str]()
    steps: list[dict[str, str] | CollectionError | OSError] = []
    for row in rows:
        done = "copy" if row["member"] else how
        try:
            target, is_there = _free(database, taken, folder / _place_in_folder(row, by), row, done)
            if not is_there:
                _make(row, target, done)
        except (CollectionError, OSError) as fault:
            steps.append(fault)
        else:
            taken.add(path_text(target))
            step = {name: row[name] for name in ("path", "member", "content")}
            steps.append(step | {"how": done, "target": path_text(target)})
    return steps


def _make(row: dict[str, Any], target: Path, how: str) -> None:
    source = text_path(row["path"])
    target.parent.mkdir(parents=True, exist_ok=True)
    if how == "link":
        target.symlink_to(source)
    else:
        write_verified(read_original(row), row["content"], target, source)


def _free(
    database: CollectionDatabase, taken: set[str], target: Path, row: dict[str, Any], how: str
) -> tuple[Path, bool]:
    """Find a free path, with a number before its ending if need be.

    A path that holds the photo already is also taken, unless another photo has it: a run that was killed made it.
    """
    number, path = 1, target
    while os.path.lexists(path):
        text, query = path_text(path), "SELECT target FROM placed WHERE target = $target"
        if text not in taken and _holds(path, row, how) and not database.page(query, target=text):
            return path, True
        number += 1
        path = target.with_name(f"{target.stem} ({number}){target.suffix}")
    return path, False


def _holds(path: Path, row: dict[str, Any], how: str) -> bool:
    if path.is_symlink():
        return how == "link" and path.readlink() == text_path(row["path"])
    return how != "link" and path.is_file() and file_sha256(path) == row["content"]


def _finish_moves(database: CollectionDatabase) -> None:
    """Delete the originals of moved photos whose copies are in the log, and let the database know where they are."""
    moved = database.page("SELECT placed.* FROM placed JOIN files USING (path, member, content) WHERE how = 'move'")
    for step in moved:
        source, target = text_path(step["path"]), text_path(step["target"])
        if source.is_file() and target.is_file() and file_sha256(source) == step["content"]:
            source.unlink()
    database.execute(
        "UPDATE files SET path = target FROM placed WHERE how = 'move' AND files.path = placed.path"
        " AND files.member = placed.member AND files.content = placed.content"
    )


def _log(path: Path, steps: list[dict[str, str]]) -> None:
    """Append to the log, and return once it is on the disk."""
    with path.open("ab") as file:
        for step in steps:
            file.write(_log_line(step))
        file.flush()
        os.fsync(file.fileno())


def _log_line(step: dict[str, str]) -> bytes:
    return (json.dumps(step) + "\n").encode()


def _read_log(path: Path) -> Iterator[dict[str, str]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                step = json.loads(line)
                if {"path", "member", "content", "how", "target"} <= step.keys():
                    yield step
                    continue
            except (ValueError, AttributeError):
                if not line.endswith(b"\n"):  # a kill while it was written; nothing had been deleted yet
                    return
            reason = f"line {number} is damaged"
            raise CollectionError(str(path), reason, "Restore the file, or remove the line to leave its photo alone")


def _forget(database: CollectionDatabase, targets: list[str]) -> None:
    """Let the database know that photos are at their old places again."""
    database.execute(
        "UPDATE files SET path = placed.path FROM placed"
        " WHERE files.path = placed.target AND placed.target IN (SELECT unnest($targets))",
        "DELETE FROM placed WHERE target IN (SELECT unnest($targets))",
        targets=targets,
    )


def _take_back(step: dict[str, str]) -> str | None:
    """Take one step back, and return what is wrong if that is impossible."""
    source, target = text_path(step["path"]), text_path(step["target"])
    try:
        if step["how"] == "link":
            if target.is_symlink():
                target.unlink()
            return None
        if not target.is_file():
            lost = step["how"] == "move" and not source.exists()
            return "it is neither in the sorted folder nor at its old place" if lost else None
        if file_sha256(target) != step["content"]:
            return "it was changed in the sorted folder, and stays there"
        if step["how"] == "move" and not (source.is_file() and file_sha256(source) == step["content"]):
            write_verified(target.read_bytes(), step["content"], source, target)
        target.unlink()
    except CollectionError as fault:
        return f"{fault.reason} at its old place" if "already" in fault.reason else fault.reason
    except OSError as fault:
        return f"it cannot be moved back ({fault.strerror})"
    return None


def _remove_empty(folder: Path) -> None:
    for path, _, _ in os.walk(folder, topdown=False):
        if not os.listdir(path):
            os.rmdir(path)


def shown(step: Sorted) -> dict[str, str | None]:
    """Return the step as values for a table."""
    fault = None if step.fault is None else clean_text(step.fault, 200)
    return {"photo": clean_text(step.photo, 500), "target": clean_text(step.target, 500), "fault": fault}
