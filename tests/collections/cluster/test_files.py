from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from triovision.collections.cluster.files import found_files, read_file
from triovision.errors import CollectionError, PhotoError


@pytest.fixture
def bucket() -> str:
    """Object storage in memory, with fsspec's interface."""
    storage = fsspec.filesystem("memory")
    storage.rm("/bucket", recursive=True) if storage.exists("/bucket") else None
    for name in ("a.jpg", "deep/b.HEIC", "notes.txt", "old.zip"):
        storage.pipe_file(f"/bucket/{name}", name.encode())
    return "memory://bucket"


def test_photos_of_object_storage_are_found_and_read_by_their_addresses(bucket: str) -> None:
    kinds = {file.path: file.kind for file, _ in found_files([bucket], "out")}
    assert {path.rpartition("bucket/")[2]: kind for path, kind in kinds.items()} == {
        "a.jpg": "photo",
        "deep/b.HEIC": "photo",
        "notes.txt": "other",
        "old.zip": "archive",
    }
    (photo,) = [path for path in kinds if path.endswith("b.HEIC")]
    assert read_file(photo) == b"deep/b.HEIC"


def test_a_version_changes_with_the_content(bucket: str) -> None:
    before = {file.path: version for file, version in found_files([bucket], "out")}
    fsspec.filesystem("memory").pipe_file("/bucket/a.jpg", b"other")
    after = {file.path: version for file, version in found_files([bucket], "out")}
    assert [path for path in before if before[path] != after[path]] == [next(p for p in before if p.endswith("a.jpg"))]


def test_folders_and_storage_go_together_without_the_results(bucket: str, write_photos: Callable[[int], Path]) -> None:
    folder = write_photos(2)
    (folder / "out").mkdir()
    (folder / "out" / "part.jpg").touch()
    paths = [file.path for file, _ in found_files([str(folder), bucket], str(folder / "out")) if file.kind == "photo"]
    assert len(paths) == 4
    assert not any("part.jpg" in path for path in paths)


@pytest.mark.parametrize("source", ["nosuch://bucket/folder", "memory://empty", "/no/such/folder"])
def test_a_source_that_cannot_be_used_is_named(source: str) -> None:
    with pytest.raises(CollectionError, match=r"bucket|empty|such"):
        list(found_files([source], "out"))


@pytest.mark.parametrize("path", ["memory://bucket/gone.jpg", "/no/such/gone.jpg", "nosuch://bucket/gone.jpg"])
def test_a_photo_that_cannot_be_read_is_a_photo_error(path: str) -> None:
    with pytest.raises(PhotoError, match=r"^gone\.jpg: it cannot be read"):
        read_file(path)
