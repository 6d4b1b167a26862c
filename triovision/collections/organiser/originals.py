"""Originals of photos, read again, and copies of them that are compared with what was answered."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from triovision.collections.archives import ArchiveMember, iter_archive
from triovision.collections.organiser.walk import text_path
from triovision.errors import CollectionError, PhotoError
from triovision.files import atomic_path
from triovision.photo.names import clean_text

_AGAIN: Final = "Run `triovision organise` again"


def read_original(row: Mapping[str, Any]) -> bytes:
    """Return the bytes of a photo.

    Args:
        row: Columns `path`, `member` and `content`.

    Raises:
        CollectionError: If it is gone, cannot be read, or is not what was answered.
    """
    path = text_path(row["path"])
    subject = clean_text(row["member"] or path.name, 80) or "photo"
    try:
        data = _member(path, row["member"], subject) if row["member"] else path.read_bytes()
    except OSError as exc:
        raise CollectionError(subject, f"its file cannot be read any more ({exc.strerror})", _AGAIN) from exc
    if hashlib.sha256(data).hexdigest() != row["content"]:
        raise CollectionError(subject, "it has changed since it was answered", _AGAIN)
    return data


def write_verified(data: bytes, content: str, target: Path, like: Path | None) -> None:
    """Write a file that must not exist yet, read it again from the disk, and compare.

    Args:
        data: Its bytes.
        content: Their SHA-256 in hexadecimal.
        target: The file; it appears only after its copy was compared.
        like: File whose times and permissions it gets; None for none.

    Raises:
        OSError: If it cannot be written.
        CollectionError: If the target exists, or the disk gives back other bytes.
    """
    if os.path.lexists(target):
        raise CollectionError(clean_text(target.name, 80), "there is a file of this name already", "Rename one of them")
    with atomic_path(target) as part:
        part.write_bytes(data)
        if like is not None:
            shutil.copystat(like, part)
        if file_sha256(part) != content:
            reason = "the disk gave back other bytes than were written"
            raise CollectionError(clean_text(target.name, 80), reason, "Check the disk")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _member(path: Path, name: str, subject: str) -> bytes:
    """Bytes of a member; the archive is read up to it, within the limits for archives."""
    try:
        with path.open("rb") as archive:
            for member in iter_archive(archive, name=path.name):
                if isinstance(member, ArchiveMember) and member.name == name:
                    return member.data
    except PhotoError as exc:
        raise CollectionError(exc.subject, exc.reason, exc.remedy) from exc
    raise CollectionError(subject, "the archive no longer has it", _AGAIN)
