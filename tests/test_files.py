from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from triovision.files import atomic_open, atomic_path, atomic_write, durable_replace


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

    def noted(descriptor: int) -> None:
        status = os.fstat(descriptor)
        events.append("folder" if stat.S_ISDIR(status.st_mode) else ("file", status.st_size))

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(Path, "replace", lambda self, target: (events.append("replace"), replace(self, target))[1])
    atomic_write(path, b"12345")
    assert events == [("file", 5), "replace", "folder"]


def test_concurrent_writers_leave_the_whole_content_of_one(tmp_path: Path) -> None:
    path = tmp_path / "shared"
    contents = [bytes([i]) * 100_000 for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: atomic_write(path, content), contents))
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_and_all_it_holds_are_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "part" / "deep").mkdir(parents=True)
    (tmp_path / "part" / "deep" / "weights").write_bytes(b"1234")
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    inodes = {path.stat().st_ino for path in (tmp_path / "part").rglob("*")} | {tmp_path.stat().st_ino}
    durable_replace(tmp_path / "part", tmp_path / "model")
    assert inodes <= set(synced)
    assert (tmp_path / "model" / "deep" / "weights").read_bytes() == b"1234"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


WRITER = """
import os, signal, sys
from pathlib import Path
from triovision.files import atomic_open
with atomic_open(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_writer_left_is_deleted_and_what_others_write_is_not(tmp_path: Path) -> None:
    path = tmp_path / "wei-ghts.1"
    subprocess.run([sys.executable, "-c", WRITER, path], cwd=Path(__file__).parents[1], check=False)
    (left,) = tmp_path.iterdir()
    others = [
        tmp_path / f".weights.another-machine-{2**22 + 1}-1.part",  # a folder that machines share
        tmp_path / f".weights.{socket.gethostname()}-{os.getppid()}-1.part",  # of a process that runs
        tmp_path / ".model.part",
    ]
    for other in others:
        other.touch()
    atomic_write(path, b"whole")
    assert not left.exists()
    assert sorted(tmp_path.iterdir()) == sorted([path, *others])


def write_to_a_full_disk(path: Path) -> None:
    with atomic_open(path) as file:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")


def flush_to_a_full_disk(path: Path) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as disk:
        disk.setattr(os, "fsync", full)
        atomic_write(path, b"new")


@pytest.mark.parametrize("write", [write_to_a_full_disk, flush_to_a_full_disk])
def test_a_full_disk_leaves_the_old_file_and_no_part(tmp_path: Path, write: Callable[[Path], None]) -> None:
    path = tmp_path / "weights"
    atomic_write(path, b"old")
    with pytest.raises(OSError, match="No space left"):
        write(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["/bin/umount", folder], check=True)


def test_a_disk_that_is_really_full_leaves_the_old_file_and_no_part(small_disk: Path) -> None:
    path = small_disk / "weights"
    atomic_write(path, b"old")
    with pytest.raises(OSError, match="No space left"):
        atomic_write(path, bytes(2_000_000))
    assert path.read_bytes() == b"old"
    assert list(small_disk.iterdir()) == [path]
    atomic_write(path, bytes(500_000))  # the room is free again
