"""Installation of the hub's files: resumed downloads, checked hashes, one atomic move."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from triovision.errors import Message, ModelError
from triovision.files import atomic_write, durable_replace
from triovision.inference.card import CARD, ModelCard, sha256
from triovision.inference.geoclip.release import HubFile, OnProgress, Release, release_of
from triovision.transfer import Transfer
from triovision.transfer_limits import DownloadError, SlowDownloadError

_HUB: Final = "https://huggingface.co"
_RETRY: Final = Message(
    "Check the network, or name a mirror in HF_ENDPOINT, and run the same command again: it resumes where it "
    "stopped. The embedded model keeps working meanwhile"
)


def install(card: ModelCard, models: Path, on_progress: OnProgress, transfer: Transfer | None = None) -> Path:
    """Fetch the files of a card into a model folder, which appears whole or not at all.

    Files of an earlier, interrupted call are used once their hashes are checked. A damaged folder is repaired.

    Args:
        card: Card of the model.
        models: Folder of models.
        on_progress: Called with the bytes on disk and the bytes of all files.
        transfer: Downloads; stop it from another thread to cancel.

    Returns:
        The model's folder.

    Raises:
        DownloadError: If a file cannot be fetched or has another hash than the card names.
        ModelError: If the disk is too small, the folder cannot be written, or another process installs the model.
    """
    release, folder = release_of(card), models / card.id
    try:
        models.mkdir(parents=True, exist_ok=True)
        with FileLock(models / f".{card.id}.lock", timeout=0):
            staging = models / f".{card.id}.part"
            if folder.exists() and not staging.exists():
                if _is_installed(folder, card, release):
                    return folder  # nothing to write: the disk may be full
                folder.replace(staging)
            staging.mkdir(exist_ok=True)
            _gather(release, staging, on_progress, transfer or Transfer())
            atomic_write(staging / CARD, card.model_dump_json(indent=1))
            shutil.rmtree(folder, ignore_errors=True)  # only where another process put one there meanwhile
            durable_replace(staging, folder)
    except Timeout as exc:
        reason = Message("is being installed by another process")
        raise ModelError(card.id, reason, Message("Wait for it to finish")) from exc
    except OSError as exc:
        reason = Message("cannot be written ({why})", why=exc.strerror or exc)
        remedy = Message("Free the disk or name another folder in TRIOVISION_MODELS, and run the same command again")
        raise ModelError(str(exc.filename or folder), reason, remedy) from exc
    return folder


def _is_installed(folder: Path, card: ModelCard, release: Release) -> bool:
    try:
        same = (folder / CARD).read_text("utf-8") == card.model_dump_json(indent=1)
    except (OSError, ValueError):
        return False
    return same and all(_is_whole(folder / file.name, file) for file in release.files)


def _gather(release: Release, staging: Path, on_progress: OnProgress, transfer: Transfer) -> None:
    total = sum(file.size_bytes for file in release.files)
    missing = [file for file in release.files if not _is_whole(staging / file.name, file)]
    done = total - sum(file.size_bytes for file in missing)
    _check_space(staging, sum(file.size_bytes - _size(_part(staging, file)) for file in missing))
    for file in missing:
        part = _part(staging, file)
        _fetch(release, file, part, transfer, partial(_report, on_progress, done, total))
        durable_replace(part, staging / file.name)
        done += file.size_bytes
    on_progress(done, total)


def _report(on_progress: OnProgress, before: int, total: int, size: int) -> None:
    on_progress(before + size, total)


def _fetch(release: Release, file: HubFile, part: Path, transfer: Transfer, on_size: Callable[[int], object]) -> None:
    """Fetch one file into `part` and check it. Give up after an attempt of `transfer` without a new byte."""
    mirror = os.environ.get("HF_ENDPOINT")
    url = f"{(mirror or _HUB).rstrip('/')}/{release.repository}/resolve/{release.revision}/{file.name}"
    before, done = -1, _size(part)
    while before < done < file.size_bytes:
        try:
            transfer.save(url, part, file.size_bytes, on_size, own_server=bool(mirror))
            break
        except DownloadError as exc:
            before, done = done, _size(part)
            if transfer.stopped or before == done or isinstance(exc, SlowDownloadError):
                raise DownloadError(exc.subject, exc.reason, _RETRY) from exc
    if not _is_whole(part, file):
        part.unlink()
        reason = Message("does not have the SHA-256 of the card, and was deleted")
        remedy = Message("Run the same command again; after a second failure, name another server in HF_ENDPOINT")
        raise DownloadError(url, reason, remedy)


def _is_whole(path: Path, file: HubFile) -> bool:
    return _size(path) == file.size_bytes and sha256(path) == file.sha256


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        sizes = {"free": f"{free / 1e9:.1f}", "needed": f"{needed / 1e9:.1f}"}
        reason = Message("has {free} GB free, but {needed} GB are needed", **sizes)
        remedy = Message("Free the disk or name another folder in TRIOVISION_MODELS")
        raise ModelError(str(folder.parent), reason, remedy)


def _part(staging: Path, file: HubFile) -> Path:
    return staging / f"{file.name}.part"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
