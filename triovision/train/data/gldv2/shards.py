"""Official tar shards: download, MD5 check, extraction of the requested photos and removal."""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from triovision.errors import PhotoError
from triovision.photo import PhotoLimits
from triovision.train.data.gldv2.folder import Failure, PhotoFolder, photo_key
from triovision.transfer import Transfer
from triovision.transfer_limits import DownloadError

SHARDS = 500
_MAX_SHARD_BYTES = 4_000_000_000  # the official ones have about 1 GB
_MAX_MEMBERS = 200_000  # the official ones have about 8,300, and their directories
_MAX_MD5_BYTES = 1000
_MD5 = re.compile(rb"\s*([0-9a-f]{32})\b")


def shard_name(number: int) -> str:
    """Name of a shard without its suffix, such as `images_007`."""
    return f"images_{number:03}"


def fetch_shard(number: int, base_url: str, folder: PhotoFolder, transfer: Transfer) -> tuple[Failure, ...]:
    """Download the requested photos of a shard, unless it is finished.

    Args:
        number: Number of the shard, 0 to 499.
        base_url: URL of the parent of `train/images_000.tar` and `md5sum/train/md5.images_000.txt`.
        folder: Folder of the photos.
        transfer: HTTP transfer.

    Returns:
        Unusable photos of the shard with the reason.

    Raises:
        DownloadError: If the shard cannot be downloaded or is corrupt.
        OSError: If the disk cannot be written.
    """
    name = shard_name(number)
    failures = folder.finished(name)
    part = folder.partial(f"{name}.tar")
    if failures is None:
        _fetch(name, base_url, part, transfer)
        failures = tuple(_extract(part, folder))
        folder.finish(name, failures)
    part.unlink(missing_ok=True)
    return failures


def _fetch(name: str, base_url: str, part: Path, transfer: Transfer) -> None:
    md5_url, url = f"{base_url}/md5sum/train/md5.{name}.txt", f"{base_url}/train/{name}.tar"
    expected = _MD5.match(transfer.read(md5_url, _MAX_MD5_BYTES, own_server=True))
    if not expected:
        raise DownloadError(md5_url, "has no MD5 checksum", "Check --base-url")
    for _ in range(2):  # a partial file of an earlier run may be of another version: try once more from the start
        transfer.save(url, part, _MAX_SHARD_BYTES, own_server=True)
        with part.open("rb") as file:
            if hashlib.file_digest(file, _md5).hexdigest().encode() == expected[1]:
                return
        part.unlink()
    raise DownloadError(url, "does not have the MD5 checksum that the server states", "Try again later")


def _md5() -> hashlib._Hash:
    return hashlib.md5(usedforsecurity=False)  # published with the data set, against transfer errors


def _extract(path: Path, folder: PhotoFolder) -> Iterator[Failure]:
    """Write the requested photos of a shard; only the id and the content of a member are used."""
    try:
        with tarfile.open(path, "r:") as tar:
            for count, member in enumerate(tar):
                if count > _MAX_MEMBERS:
                    raise DownloadError(path.name, f"has more than {_MAX_MEMBERS} files", "Use another server")
                key = photo_key(PurePosixPath(member.name).name)
                if not member.isreg() or key is None or key not in folder or folder.path(key).exists():
                    continue
                if failure := _store(tar, member, key, folder):
                    yield failure
    except tarfile.TarError as exc:
        raise DownloadError(path.name, f"is not a valid tar file ({exc})", "Try again later") from exc


def _store(tar: tarfile.TarFile, member: tarfile.TarInfo, key: int, folder: PhotoFolder) -> Failure | None:
    most = PhotoLimits().max_bytes
    if member.size > most:
        return Failure(f"{key:016x}", f"it has {member.size / 1e6:.1f} MB, more than the {most / 1e6:g} MB allowed")
    content = tar.extractfile(member)
    assert content is not None  # noqa: S101 - only for members that are no files
    try:
        folder.form.save(content.read(), folder.path(key))
    except PhotoError as exc:
        return Failure(f"{key:016x}", exc.reason)
    return None
