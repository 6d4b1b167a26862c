from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from triovision.files import atomic_open, atomic_path, atomic_write


def test_a_file_and_its_folder_are_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "note.txt"
    atomic_write(path, "né\n")
    assert path.read_bytes() == "né\n".encode()
    atomic_write(path, b"\x00\x01")
    assert path.read_bytes() == b"\x00\x01"
    assert list(path.parent.iterdir()) == [path]


def write_half(path: Path) -> None:
    with atomic_open(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt


def write_half_by_name(path: Path) -> None:
    with atomic_path(path) as part:
        part.write_bytes(b"half")
        raise KeyboardInterrupt


@pytest.mark.parametrize("write", [write_half, write_half_by_name])
def test_after_an_exception_the_old_file_is_unchanged_and_nothing_else_is_left(tmp_path: Path, write) -> None:
    path = tmp_path / "weights"
    atomic_write(path, b"old")
    with pytest.raises(KeyboardInterrupt):
        write(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_bytes_are_on_the_disk_before_the_file_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, events = tmp_path / "weights", []
    replace = Path.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: events.append(("fsync", os.fstat(descriptor).st_size)))
    monkeypatch.setattr(Path, "replace", lambda self, target: (events.append("replace"), replace(self, target))[1])
    atomic_write(path, b"12345")
    assert events == [("fsync", 5), "replace"]


def test_concurrent_writers_leave_the_whole_content_of_one(tmp_path: Path) -> None:
    path = tmp_path / "shared"
    contents = [bytes([i]) * 100_000 for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: atomic_write(path, content), contents))
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]
