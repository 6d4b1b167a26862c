from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tests.collections.organiser.conftest import Organise
from triovision.collections.organiser.database import CollectionDatabase
from triovision.collections.organiser.progress import FailureRateError, Progress, RunOptions
from triovision.collections.organiser.run import organise
from triovision.collections.organiser.walk import path_text
from triovision.errors import CollectionError
from triovision.inference import GeoModel, load_model
from triovision.photo import read_photo


def rows(out: Path, query: str) -> list[dict[str, object]]:
    with CollectionDatabase(out, read_only=True) as database:
        return list(database.rows(query))


def count(out: Path, table: str) -> int:
    return rows(out, f"SELECT count(*) AS n FROM {table}")[0]["n"]  # noqa: S608 - our own name


def test_every_photo_has_the_answer_of_the_model(run: Organise, photos: Path, out: Path, model: GeoModel) -> None:
    progress = run(photos)
    assert (progress.answered, progress.done, progress.plan.work, progress.plan.appeared) == (8, 8, 8, 8)
    found = rows(out, "SELECT * FROM files JOIN answers USING (content) ORDER BY path")
    assert [row["path"] for row in found] == sorted(str(path) for path in photos.rglob("*.jpg"))
    for row in found:
        path = Path(row["path"])
        (prediction,) = model.predict([read_photo(path.read_bytes(), path.name)])
        assert row["country"] == prediction.countries[0].country
        assert row["probability"] == round(prediction.countries[0].probability, 6)
        assert row["mtime_ns"] == path.stat().st_mtime_ns


def test_the_second_run_reads_nothing(run: Organise, photos: Path, out: Path) -> None:
    run(photos)
    progress = run(photos)
    assert (progress.plan.work, progress.answered, progress.repeated) == (0, 0, 0)
    assert count(out, "answers") == 8


def test_copies_touched_files_and_overlapping_sources_are_answered_once(run: Organise, photos: Path, out: Path) -> None:
    (photos / "copy.jpg").write_bytes((photos / "a" / "0.jpg").read_bytes())
    progress = run(photos, photos / "a")
    assert (progress.answered, progress.repeated) == (8, 1)
    os.utime(photos / "a" / "0.jpg", ns=(1, 1))
    progress = run(photos)
    assert (progress.plan.changed, progress.answered, progress.repeated) == (1, 0, 1)
    assert (count(out, "answers"), count(out, "files")) == (8, 9)


def test_photos_that_appear_change_and_vanish_are_counted(
    run: Organise, photos: Path, out: Path, make_jpeg: Callable[..., bytes]
) -> None:
    run(photos)
    (photos / "b" / "1.jpg").write_bytes(make_jpeg(101))
    (photos / "b" / "3.jpg").unlink()
    (photos / "new.jpg").write_bytes(make_jpeg(102))
    progress = run(photos)
    plan = progress.plan
    assert (plan.appeared, plan.changed, plan.vanished, plan.work, progress.answered) == (1, 1, 1, 2, 2)
    vanished = rows(out, "SELECT path FROM files WHERE vanished")
    assert vanished == [{"path": str(photos / "b" / "3.jpg")}]
    (photos / "b" / "3.jpg").write_bytes(make_jpeg(3))
    assert run(photos).answered == 0
    assert not rows(out, "SELECT path FROM files WHERE vanished")


def test_a_run_over_another_folder_marks_nothing_as_vanished(
    run: Organise, photos: Path, tmp_path: Path, make_jpeg: Callable[..., bytes]
) -> None:
    run(photos)
    other = tmp_path / "holiday two"  # its name begins like that of the first
    other.mkdir()
    (other / "x.jpg").write_bytes(make_jpeg(50))
    assert run(other).plan.vanished == 0


def test_what_cannot_be_read_is_listed_and_the_rest_is_answered(run: Organise, photos: Path, out: Path) -> None:
    (photos / "note.jpg").write_text("this is no photo")
    (photos / "empty.jpg").write_bytes(b"")
    (photos / "film.mov").write_bytes(b"film")
    (photos / ".hidden.jpg").write_bytes(b"hidden")
    (photos / "dangling.jpg").symlink_to(photos / "nowhere.jpg")
    os.mkfifo(photos / "pipe.jpg")
    with (photos / "huge.jpg").open("wb") as file:
        file.truncate(30_000_001)
    progress = run(photos)
    assert (progress.answered, progress.refused, progress.unreadable, progress.plan.others) == (8, 2, 1, 1)
    faults = {Path(row["path"]).name: row["fault"] for row in rows(out, "SELECT * FROM files WHERE fault IS NOT NULL")}
    assert set(faults) == {"dangling.jpg", "pipe.jpg", "huge.jpg"}
    assert "more than the 30 MB" in faults["huge.jpg"]
    again = run(photos)
    assert (again.refused, again.unreadable) == (0, 1)  # the large file is looked at again, the refused ones are not
    assert run(photos, retry=True).refused == 2


def test_members_of_archives_are_photos_too(
    run: Organise, photos: Path, out: Path, make_jpeg: Callable[..., bytes]
) -> None:
    archive = photos / "trip.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("day 1/x.jpg", make_jpeg(200))
        file.writestr("again.jpg", make_jpeg(0))
        file.writestr("broken.jpg", b"\xff\xd8\xff\xe0")
        file.writestr("../evil.jpg", make_jpeg(201))
    (photos / "damaged.zip").write_bytes(b"PK\x03\x04")
    progress = run(photos)
    assert (progress.answered, progress.repeated, progress.refused, progress.unreadable) == (9, 1, 1, 2)
    found = rows(out, "SELECT member FROM files JOIN answers USING (content) WHERE member <> '' ORDER BY member")
    assert [row["member"] for row in found] == ["again.jpg", "day 1/x.jpg"]
    assert run(photos).plan.work == 1  # the damaged one
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("only.jpg", make_jpeg(202))
    assert run(photos).answered == 1
    members = rows(out, "SELECT member FROM files WHERE member <> ''")
    assert members == [{"member": "only.jpg"}]


def test_an_archive_that_was_left_half_read_is_read_again_and_its_members_come_once(
    run: Organise, photos: Path, out: Path, make_jpeg: Callable[..., bytes]
) -> None:
    with zipfile.ZipFile(photos / "trip.zip", "w") as file:
        for number in range(3):
            file.writestr(f"{number}.jpg", make_jpeg(200 + number))
    run(photos)
    # As a kill leaves it: members without the row of their archive.
    with duckdb.connect(out / "triovision.duckdb") as connection:
        connection.execute("DELETE FROM files WHERE archive")
    assert run(photos).plan.work == 1
    members = rows(out, "SELECT member FROM files WHERE member <> '' ORDER BY member")
    assert members == [{"member": f"{number}.jpg"} for number in range(3)]


def test_another_model_answers_anew_and_both_answers_stay(
    run: Organise, photos: Path, out: Path, tmp_path: Path, write_tiny_model: Callable[..., Path]
) -> None:
    run(photos)
    write_tiny_model(tmp_path / "models", "test_efficientnet.other", seed=1)
    progress = Progress()
    with CollectionDatabase(out) as database:
        organise(database, load_model("test_efficientnet.other", "cpu"), [photos], RunOptions(), progress)
    assert progress.answered == 8
    assert count(out, "answers") == 16
    assert run(photos).plan.work == 0


def test_a_run_that_goes_wrong_ends_and_keeps_its_answers(run: Organise, photos: Path, out: Path) -> None:
    for number in range(150):
        (photos / "b" / f"x{number}.jpg").write_text(f"no photo {number}")
    with pytest.raises(FailureRateError, match="more than the 50% allowed"):
        run(photos, max_failure_rate=0.5)
    assert 4 <= count(out, "answers") <= 8
    assert run(photos).plan.work < 150


def test_an_interruption_keeps_what_was_computed(photos: Path, out: Path, model: GeoModel, run: Organise) -> None:
    progress = Progress()

    def interrupt() -> None:
        if progress.answered:
            raise KeyboardInterrupt

    with CollectionDatabase(out) as database, pytest.raises(KeyboardInterrupt):
        organise(database, model, [photos], RunOptions(batch_size=3), progress, interrupt)
    assert count(out, "answers") == 3
    assert run(photos).answered == 5
    assert count(out, "answers") == 8


def test_a_name_that_is_no_utf8_is_kept_to_the_byte(run: Organise, photos: Path, out: Path) -> None:
    odd = os.fsencode(photos) + b"/\xff\xfe.jpg"
    os.rename(photos / "a" / "0.jpg", odd)
    run(photos)
    assert {row["path"] for row in rows(out, "SELECT path FROM files")} >= {path_text(os.fsdecode(odd))}
    assert run(photos).plan.work == 0


def test_the_results_are_no_source(photos: Path, model: GeoModel) -> None:
    progress = Progress()
    inside = photos / "sorted"
    inside.mkdir()
    (inside / "copy.jpg").write_bytes((photos / "a" / "0.jpg").read_bytes())
    with CollectionDatabase(inside) as database:
        organise(database, model, [photos], RunOptions(), progress)
    assert progress.plan.found == 8


def test_a_missing_source_marks_nothing_and_says_so(run: Organise, photos: Path, out: Path) -> None:
    run(photos)
    with pytest.raises(CollectionError, match=r"does not exist\. Check the path, or connect the disk"):
        run(photos / "gone")
    assert not rows(out, "SELECT path FROM files WHERE vanished")
