"""Photos of a ZIP archive, read one by one within limits."""

from __future__ import annotations

import io
import re
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import PurePosixPath
from typing import BinaryIO, Final

from triovision.errors import Message, PhotoError
from triovision.photo.limits import PhotoLimits
from triovision.photo.names import clean_text

_CHUNK_BYTES: Final = 1 << 18
_HARMLESS_BYTES: Final = 1_000_000  # below this any compression ratio is cheap
_DIRECTORY_BYTES_PER_MEMBER: Final = 1000  # 46 bytes, a name, and a few dozen bytes of extra fields
_LAST_RECORD_BYTES: Final = (1 << 16) + 22  # the end record with its longest comment, which zipfile reads at once
_JUNK_FOLDERS: Final = {"__MACOSX", ".Spotlight-V100", ".Trashes", ".fseventsd"}
_JUNK_FILES: Final = {".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini"}
_ARCHIVE_SUFFIXES: Final = {".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".jar", ".kmz"}
_UNPACK: Final = Message("Unpack the archive, and add the photos as files")
_AGAIN: Final = Message("Make the archive again, or add the photos as files")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """Bounds on one archive. Every field is a positive whole number.

    Attributes:
        max_members: Most files that are read; the rest is refused with one error.
        max_member_bytes: Largest unpacked file, in bytes; by default that of a photo.
        max_total_bytes: Most unpacked bytes of all files together.
        max_ratio: Largest ratio of unpacked to packed bytes of a file above 1 MB. Photos are compressed already; even
            drawings saved as BMP or TIFF stay below 100.
    """

    max_members: int = 5000
    max_member_bytes: int = PhotoLimits().max_bytes
    max_total_bytes: int = 5_000_000_000
    max_ratio: int = 100

    def __post_init__(self) -> None:
        """Check the bounds."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"`{field.name}` must be a whole number of at least 1, got {value!r}")


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """A file of an archive.

    Attributes:
        name: Path inside the archive, relative, with `/`; untrusted.
        data: Its unpacked bytes.
    """

    name: str
    data: bytes


def iter_archive(
    file: BinaryIO,
    limits: ArchiveLimits = ArchiveLimits(),
    name: str = "archive.zip",
) -> Iterator[ArchiveMember | PhotoError]:
    """Read the files of a ZIP archive one by one; only one is in memory at a time.

    Folders and what systems add to archives (`__MACOSX`, `.DS_Store`, `Thumbs.db`) are skipped. A member that cannot
    be used comes as an error value, and the next one follows. The sizes in the headers are not trusted.

    Args:
        file: The archive, seekable; it stays open.
        limits: Limits of the cost.
        name: Name of the archive, for errors; untrusted.

    Returns:
        Members and errors, in the order of the archive. An archive beyond a limit ends with an error.

    Raises:
        PhotoError: If the file is no readable ZIP archive. It is raised by the call itself.
    """
    subject = clean_text(name, 80) or "archive.zip"
    source = _BoundedReads(file, max(limits.max_members * _DIRECTORY_BYTES_PER_MEMBER, _LAST_RECORD_BYTES))
    try:
        file.seek(0, io.SEEK_END)
        size = file.tell()
        archive = zipfile.ZipFile(source)  # zipfile calls read, seek, tell and no more
    except _OversizedReadError as exc:
        reason = Message("its table of contents is too large for {members} files", members=limits.max_members)
        raise PhotoError(subject, reason, Message("Split the archive into smaller ones")) from exc
    except Exception as exc:  # zipfile promises BadZipFile and meets hostile bytes with many others
        raise PhotoError(subject, Message("it is no ZIP archive, or is damaged"), _AGAIN) from exc
    if sum(info.compress_size for info in archive.infolist()) > size:
        raise PhotoError(subject, Message("its files overlap, as in a decompression bomb"), _AGAIN)
    return _members(archive, limits, subject)


class _OversizedReadError(Exception):
    """A single read of more bytes than allowed."""


class _BoundedReads:
    """Seekable file that refuses a large single read: zipfile reads the whole table of contents, of any size, at once.

    Members are read in small chunks, so the bound concerns the table alone.
    """

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self._file, self._max_bytes = file, max_bytes
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(self._max_bytes + 1 if size < 0 else min(size, self._max_bytes + 1))
        if len(data) > self._max_bytes:
            raise _OversizedReadError
        return data

    def seekable(self) -> bool:
        return True


def _members(archive: zipfile.ZipFile, limits: ArchiveLimits, subject: str) -> Iterator[ArchiveMember | PhotoError]:
    seen: set[str] = set()
    left_bytes = limits.max_total_bytes
    members = [info for info in archive.infolist() if not _is_skipped(info)]
    for info in members[: limits.max_members]:
        name = info.filename.replace("\\", "/")
        shown = clean_text(name, 80) or Message("A file without a name")
        try:
            _check_header(info, name, seen, limits)
            seen.add(name)
            data = _read(archive, info, min(limits.max_member_bytes, left_bytes), limits.max_ratio)
        except _RefusedError as refusal:
            left_bytes -= refusal.read_bytes
            if left_bytes > 0:
                yield PhotoError(shown, refusal.reason, refusal.remedy)
        else:
            left_bytes -= len(data)
            yield ArchiveMember(name, data)
        if left_bytes <= 0:
            most = f"{limits.max_total_bytes / 1e9:g}"
            reason = Message("its files have more than {most} GB when unpacked, and the rest was left out", most=most)
            yield PhotoError(subject, reason, Message("Split the archive into smaller ones"))
            return
    if len(members) > limits.max_members:
        reason = Message("it has more than {members} files, and the rest was left out", members=limits.max_members)
        yield PhotoError(subject, reason, Message("Split the archive into smaller ones"))


class _RefusedError(Exception):
    """Refusal of a member, after a number of bytes; `_members` adds the name."""

    def __init__(self, reason: Message, remedy: Message, read_bytes: int = 0) -> None:
        super().__init__(reason, remedy)
        self.reason, self.remedy, self.read_bytes = reason, remedy, read_bytes


def _is_skipped(info: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(info.filename.replace("\\", "/")).parts
    if not parts or info.filename.endswith(("/", "\\")):
        return True
    return not _JUNK_FOLDERS.isdisjoint(parts) or parts[-1].casefold() in _JUNK_FILES or parts[-1].startswith("._")


def _check_header(info: zipfile.ZipInfo, name: str, seen: set[str], limits: ArchiveLimits) -> None:
    """Refuse what need not be read to be refused."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
        raise _RefusedError(Message("its path leaves the archive"), _AGAIN)
    kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == 3 else 0  # 3 is Unix
    if kind not in (0, stat.S_IFREG):
        raise _RefusedError(Message("it is a link or a device and no file"), Message("Add the photo that it points to"))
    if name in seen:
        raise _RefusedError(
            Message("the archive has another file of this name"), Message("Rename one of the two files")
        )
    if info.flag_bits & 0x1:
        raise _RefusedError(Message("it is encrypted"), Message("Make the archive again without a password"))
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # zipfile unpacks bzip2 and LZMA blocks whole, whatever size they have.
        raise _RefusedError(
            Message("it is compressed by a rare method"), Message("Make a plain ZIP archive (“deflate”)")
        )
    if path.suffix.lower() in _ARCHIVE_SUFFIXES:
        raise _RefusedError(Message("it is an archive inside the archive"), _UNPACK)
    if info.file_size > limits.max_member_bytes:
        raise _too_large(limits.max_member_bytes)


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, max_bytes: int, max_ratio: int) -> bytes:
    """Unpack a member in chunks, up to the first that is beyond a limit."""
    data = bytearray()
    bomb_bytes = max(_HARMLESS_BYTES, max_ratio * info.compress_size)
    try:
        with archive.open(info) as member:
            while chunk := member.read(_CHUNK_BYTES):
                data += chunk
                if len(data) > bomb_bytes:
                    reason = Message("it unpacks to far more bytes than a photo, like a decompression bomb")
                    raise _RefusedError(reason, _UNPACK, len(data))
                if len(data) > max_bytes:
                    raise _too_large(max_bytes, len(data))
    except _RefusedError:
        raise
    except Exception as exc:  # damaged members give BadZipFile, zlib.error, EOFError, OSError and more
        raise _RefusedError(Message("it is damaged in the archive"), _AGAIN, len(data)) from exc
    if data.startswith(b"PK\x03\x04"):
        raise _RefusedError(Message("it is an archive inside the archive"), _UNPACK, len(data))
    return bytes(data)


def _too_large(max_bytes: int, read_bytes: int = 0) -> _RefusedError:
    most = f"{max_bytes / 1e6:g}"
    reason = Message("it has more than the {most} MB allowed", most=most)
    return _RefusedError(reason, Message("Use a smaller copy of the photo"), read_bytes)
