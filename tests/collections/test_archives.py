from __future__ import annotations

import io
import stat
import struct
import warnings
import zipfile
from collections.abc import Iterable

import pytest

from triovision.collections.archives import ArchiveLimits, ArchiveMember, iter_archive
from triovision.errors import PhotoError


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a duplicated name
        for name, data in members:
            archive.writestr(name, data)
    return content.getvalue()


def read(data: bytes, **limits: int) -> list[ArchiveMember | PhotoError]:
    return list(iter_archive(io.BytesIO(data), ArchiveLimits(**limits), "trip.zip"))


def names(items: Iterable[ArchiveMember | PhotoError]) -> list[str]:
    return [item.name for item in items if isinstance(item, ArchiveMember)]


def faults(items: Iterable[ArchiveMember | PhotoError]) -> list[tuple[str, str]]:
    return [(item.subject, item.reason) for item in items if isinstance(item, PhotoError)]


def test_files_come_in_order_with_their_bytes() -> None:
    items = read(zipped(("b/x.jpg", b"one"), ("a.png", b"two"), ("windows\\y.jpg", b"three"), ("é.jpg", b"")))
    assert items == [
        ArchiveMember("b/x.jpg", b"one"),
        ArchiveMember("a.png", b"two"),
        ArchiveMember("windows/y.jpg", b"three"),
        ArchiveMember("é.jpg", b""),
    ]


def test_folders_and_what_systems_add_are_skipped() -> None:
    junk = ["__MACOSX/._a.jpg", "trip/.DS_Store", "trip/Thumbs.db", "._b.jpg", "desktop.ini"]
    items = read(zipped(("trip/", b""), *((name, b"junk") for name in junk), ("trip/a.jpg", b"photo")))
    assert items == [ArchiveMember("trip/a.jpg", b"photo")]


@pytest.mark.parametrize("name", ["/etc/passwd.jpg", "../up.jpg", "a/../../up.jpg", "C:\\x.jpg", "..\\up.jpg"])
def test_a_path_that_leaves_the_archive_is_refused_and_the_rest_goes_on(name: str) -> None:
    items = read(zipped((name, b"x"), ("a.jpg", b"y")))
    assert names(items) == ["a.jpg"]
    assert faults(items) == [(name.replace("\\", "/"), "its path leaves the archive")]


def test_a_link_is_refused() -> None:
    link = zipfile.ZipInfo("link.jpg")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    items = read(zipped((link, b"/etc/passwd"), ("a.jpg", b"y")))
    assert names(items) == ["a.jpg"]
    assert faults(items) == [("link.jpg", "it is a link or a device and no file")]


def test_an_archive_inside_is_refused_by_its_name_or_its_content() -> None:
    inner = zipped(("a.jpg", b"x"))
    items = read(zipped(("in.zip", inner), ("in.jpg", inner), ("b.tar.gz", b"x"), ("a.jpg", b"y")))
    assert names(items) == ["a.jpg"]
    assert [subject for subject, _ in faults(items)] == ["in.zip", "in.jpg", "b.tar.gz"]
    assert {reason for _, reason in faults(items)} == {"it is an archive inside the archive"}


def test_the_second_file_of_a_name_is_refused() -> None:
    items = read(zipped(("a.jpg", b"first"), ("a.jpg", b"second")))
    assert items[0] == ArchiveMember("a.jpg", b"first")
    assert faults(items) == [("a.jpg", "the archive has another file of this name")]


def test_an_encrypted_file_is_refused() -> None:
    data = bytearray(zipped(("a.jpg", b"x"), ("b.jpg", b"y")))
    data[6] |= 1  # flag of the local header, and of the first entry of the directory
    data[data.index(b"PK\x01\x02") + 8] |= 1
    items = read(bytes(data))
    assert names(items) == ["b.jpg"]
    assert faults(items) == [("a.jpg", "it is encrypted")]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_bounds_are_refused(method: int) -> None:
    assert faults(read(zipped(("a.jpg", bytes(100)), method=method))) == [
        ("a.jpg", "it is compressed by a rare method")
    ]


def test_a_bomb_is_refused_after_its_first_megabytes() -> None:
    items = read(zipped(("bomb.jpg", bytes(20_000_000)), ("a.jpg", b"y")))
    assert names(items) == ["a.jpg"]
    assert faults(items) == [
        ("bomb.jpg", "it unpacks to far more bytes than a photo, like a decompression bomb"),
    ]


def test_a_file_above_the_limit_is_refused() -> None:
    items = read(zipped(("big.jpg", b"x" * 1001), ("fits.jpg", b"x" * 1000)), max_member_bytes=1000)
    assert names(items) == ["fits.jpg"]
    assert faults(items) == [("big.jpg", "it has more than the 0.001 MB allowed")]


@pytest.mark.parametrize("claimed", [3, 999])
def test_a_size_that_lies_does_not_pass(claimed: int) -> None:
    data = bytearray(zipped(("liar.jpg", b"x" * 2000), ("a.jpg", b"y")))
    entry = data.index(b"PK\x01\x02")
    for offset in (22, entry + 24):  # unpacked size in the local header and in the directory
        data[offset : offset + 4] = struct.pack("<I", claimed)
    items = read(bytes(data), max_member_bytes=1000)
    assert names(items) == ["a.jpg"]
    assert faults(items) == [("liar.jpg", "it is damaged in the archive")]


def test_damaged_bytes_cost_one_file() -> None:
    data = bytearray(zipped(("bad.jpg", b"photo"), ("a.jpg", b"y"), method=zipfile.ZIP_STORED))
    data[data.index(b"photo")] ^= 0xFF
    items = read(bytes(data))
    assert names(items) == ["a.jpg"]
    assert faults(items) == [("bad.jpg", "it is damaged in the archive")]


def test_too_many_files_end_with_an_error_of_the_archive() -> None:
    items = read(zipped(("x/", b""), *((f"{i}.jpg", b"x") for i in range(4))), max_members=3)
    assert names(items) == ["0.jpg", "1.jpg", "2.jpg"]
    assert faults(items) == [("trip.zip", "it has more than 3 files, and the rest was left out")]


def test_too_many_bytes_end_with_an_error_of_the_archive() -> None:
    items = read(zipped(*((f"{i}.jpg", b"x" * 400) for i in range(4))), max_total_bytes=1000)
    assert names(items) == ["0.jpg", "1.jpg"]
    assert [subject for subject, _ in faults(items)] == ["trip.zip"]


def test_the_table_of_contents_is_bounded_before_it_is_read() -> None:
    many = zipped(*((f"{i}.jpg", b"") for i in range(2000)), method=zipfile.ZIP_STORED)
    with pytest.raises(PhotoError, match=r"trip\.zip: its table of contents is too large"):
        read(many, max_members=1)


def test_entries_that_share_their_bytes_are_a_bomb() -> None:
    data = zipped(("a.jpg", b"x" * 500), method=zipfile.ZIP_STORED)
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entry = data[start:end]
    record = bytearray(data[end:])
    record[8:12] = struct.pack("<HH", 9, 9)
    record[12:16] = struct.pack("<I", 9 * len(entry))
    with pytest.raises(PhotoError, match="its files overlap"):
        read(data[:start] + 9 * entry + bytes(record))


@pytest.mark.parametrize("cut", [0, 10, 60])
def test_a_broken_archive_is_an_error_of_the_call(cut: int) -> None:
    data = zipped(("a.jpg", b"x" * 500), method=zipfile.ZIP_STORED)
    with pytest.raises(PhotoError, match="it is no ZIP archive, or is damaged"):
        iter_archive(io.BytesIO(data[:cut]))


def test_limits_are_positive() -> None:
    with pytest.raises(ValueError, match="max_members"):
        ArchiveLimits(max_members=0)
