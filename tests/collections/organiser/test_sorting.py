from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.collections.organiser.conftest import Organise
from triovision.collections.organiser import sorting
from triovision.collections.organiser.database import CollectionDatabase
from triovision.collections.organiser.photos import latest_model
from triovision.collections.organiser.sorting import LOG, SORTED, plan_sort, sort, undo
from triovision.errors import CollectionError
from triovision.geo import country_name

Sort = Callable[..., list[sorting.Sorted]]


@pytest.fixture
def sort_photos(out: Path) -> Sort:
    def invoke(how: str, by: str = "country") -> list[sorting.Sorted]:
        with CollectionDatabase(out) as database:
            return list(sort(database, latest_model(database), how, by))

    return invoke


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of every file below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def answered(out: Path) -> Iterator[dict[str, object]]:
    with CollectionDatabase(out, read_only=True) as database:
        yield from database.rows("SELECT * FROM files JOIN answers USING (content)")


@pytest.fixture
def old_photos(photos: Path) -> Path:
    """The photos with times of long ago, which must stay."""
    for number, path in enumerate(sorted(photos.rglob("*.jpg"))):
        os.utime(path, ns=(10**18 + number, 10**18 + number))
    return photos


def test_a_dry_run_names_the_folders_and_writes_nothing(run: Organise, old_photos: Path, out: Path) -> None:
    run(old_photos)
    before = contents(old_photos)
    with CollectionDatabase(out) as database:
        steps = list(plan_sort(database, latest_model(database), "country"))
    expected = {str(out / SORTED / country_name(row["country"]) / Path(row["path"]).name) for row in answered(out)}
    assert {step.target for step in steps} == expected
    assert contents(old_photos) == before
    assert not (out / SORTED).exists()


@pytest.mark.parametrize("how", ["link", "copy", "move"])
def test_sorting_and_undo(run: Organise, old_photos: Path, out: Path, sort_photos: Sort, how: str) -> None:
    run(old_photos)
    before = contents(old_photos)
    steps = sort_photos(how)
    assert len(steps) == 8
    assert not [step for step in steps if step.fault]
    by_name = {Path(name).name: content for name, content in before.items()}
    assert {Path(step.target).name: contents(Path(step.target).parent)[Path(step.target).name] for step in steps} == (
        by_name
    )
    assert contents(old_photos) == ({} if how == "move" else before)
    assert all(Path(step.target).is_symlink() == (how == "link") for step in steps)
    assert sort_photos(how) == []
    assert run(old_photos).plan.vanished == 0
    assert not [step for step in undo(out) if step.fault]
    assert contents(old_photos) == before
    assert not (out / SORTED).exists()
    assert not (out / LOG).exists()
    assert run(old_photos).plan.work == 0
    assert len(sort_photos("copy")) == 8


def test_two_photos_of_one_name_and_two_of_one_content_all_stay(
    run: Organise, photos: Path, out: Path, sort_photos: Sort
) -> None:
    for number, name in enumerate(["x", "y", "z"]):
        (photos / name).mkdir()
        data = (photos / "a" / "0.jpg").read_bytes() if number < 2 else (photos / "b" / "1.jpg").read_bytes()
        (photos / name / "same.jpg").write_bytes(data)
    run(photos)
    before = contents(photos)
    steps = sort_photos("move")
    assert len({step.target for step in steps}) == len(steps) == 11
    list(undo(out))
    assert contents(photos) == before


def test_members_of_an_archive_are_copied_out_of_it(
    run: Organise, photos: Path, out: Path, sort_photos: Sort, make_jpeg: Callable[..., bytes]
) -> None:
    archive = photos / "trip.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("day/x.jpg", make_jpeg(300))
    run(archive)
    data = archive.read_bytes()
    (step,) = sort_photos("move")
    assert Path(step.target).read_bytes() == make_jpeg(300)
    assert archive.read_bytes() == data
    list(undo(out))
    assert archive.read_bytes() == data
    assert not Path(step.target).exists()


def test_a_photo_that_changed_since_its_answer_stays_where_it_is(
    run: Organise, photos: Path, sort_photos: Sort
) -> None:
    run(photos)
    changed = photos / "a" / "0.jpg"
    changed.write_bytes(b"something else")
    faults = {step.photo: step.fault for step in sort_photos("move") if step.fault}
    assert list(faults) == [str(changed)]
    assert "has changed since it was answered" in faults[str(changed)]
    assert changed.read_bytes() == b"something else"


def test_what_was_edited_in_the_sorted_folder_is_not_lost_by_undo(
    run: Organise, photos: Path, out: Path, sort_photos: Sort
) -> None:
    run(photos)
    edited, occupied = (Path(step.target) for step in sort_photos("move")[:2])
    edited.write_bytes(b"edited")
    (photos / "a" / occupied.name).write_bytes(b"a new photo at the old place")
    faults = {step.target: step.fault for step in undo(out) if step.fault}
    assert faults.keys() == {str(edited), str(occupied)}
    assert "was changed in the sorted folder" in faults[str(edited)]
    assert edited.read_bytes() == b"edited"
    assert (photos / "a" / occupied.name).read_bytes() == b"a new photo at the old place"
    assert occupied.exists()
    assert len((out / LOG).read_text().splitlines()) == 2


@pytest.mark.parametrize("moment", ["before the log", "before the database", "before the originals are deleted"])
def test_a_move_that_is_killed_loses_nothing_and_goes_on(
    run: Organise, photos: Path, out: Path, sort_photos: Sort, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    run(photos)
    before = contents(photos)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if moment == "before the log":
            patch.setattr(sorting, "_log", die)
        elif moment == "before the database":
            patch.setattr(CollectionDatabase, "write", die)
        else:
            patch.setattr(Path, "unlink", die)
        with pytest.raises(KeyboardInterrupt):
            sort_photos("move")
    assert contents(photos) == before
    sort_photos("move")
    assert contents(photos) == {}
    assert len(contents(out / SORTED)) == 8
    assert not [step for step in undo(out) if step.fault]
    assert contents(photos) == before


def test_undo_without_a_log_says_so(out: Path) -> None:
    with pytest.raises(CollectionError, match="nothing was sorted here"):
        list(undo(out))


def test_a_line_of_the_log_that_was_cut_is_left_out_and_a_damaged_one_is_named(
    run: Organise, photos: Path, out: Path, sort_photos: Sort
) -> None:
    run(photos)
    sort_photos("copy")
    lines = (out / LOG).read_text().splitlines(keepends=True)
    (out / LOG).write_text("".join([*lines[:3], "[]\n", *lines[3:]]))
    with pytest.raises(CollectionError, match="line 4 is damaged"):
        list(undo(out))
    (out / LOG).write_text("".join(lines) + json.dumps({"path": "cut"})[:-3])
    assert len(list(undo(out))) == 8
