"""An organiser that is killed at random moments and repeated ends with the answers of an undisturbed one.

The moments are chosen as in `test_kills.py`. With `--sort move` no photo is ever lost either, and undo brings all back.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.collections.organiser.conftest import jpeg
from tests.soak.command_process import CommandProcess
from tests.soak.jobs import Job, file_hash
from triovision.collections.organiser.database import CollectionDatabase

PHOTOS = 150


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos in two folders, two copies, an archive and a file that is no photo."""
    folder = tmp_path_factory.mktemp("originals")
    for number in range(PHOTOS):
        path = folder / ("a", "b")[number % 2] / f"{number:03}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(jpeg(number))
    for number in range(2):
        (folder / f"copy {number}.jpg").write_bytes(jpeg(number))
    with zipfile.ZipFile(folder / "trip.zip", "w") as archive:
        for number in range(30):
            archive.writestr(f"{number}.jpg", jpeg(1000 + number))
    (folder / "note.jpg").write_text("this is no photo")
    return folder


@pytest.fixture
def organise(originals: Path, out: Path, tmp_path: Path, write_tiny_model: Callable[..., Path]) -> Callable[..., Job]:
    write_tiny_model(tmp_path / "models")

    def make(*options: str) -> Job:
        def prepare() -> None:
            shutil.copytree(originals, out / "photos")

        arguments = ("organise", out / "photos", "--to", out / "answers", "--batch-size", 4, "--device", "cpu")
        model = ("--model", "test_efficientnet.noise")
        env = {"TRIOVISION_MODELS": str(tmp_path / "models")}
        return Job((*arguments, *model, *options), out, env, prepare=prepare)

    return make


def described(out: Path) -> dict[str, Any]:
    """Answers, refusals and files of the database, in an order of their own and without times of the clock."""
    with CollectionDatabase(out / "answers", read_only=True) as database:
        answers = list(database.rows("SELECT * FROM answers ORDER BY content"))
        for row in answers:
            row["prediction"] = json.loads(row["prediction"]) | {"elapsed_ms": None}
        posteriors = "SELECT content, place_set, octet_length(weights) > 0 AS whole FROM posteriors ORDER BY content"
        files = "SELECT content, member, size, fault, archive, vanished FROM files ORDER BY ALL"
        return {
            "answers": answers,
            "posteriors": list(database.rows(posteriors)),
            "places": list(database.rows("SELECT place_set FROM place_sets ORDER BY ALL")),
            "refusals": list(database.rows("SELECT * FROM refusals ORDER BY ALL")),
            "files": list(database.rows(files)),
        }


def photo_hashes(folder: Path) -> list[str]:
    return sorted(file_hash(path) for path in folder.rglob("*") if path.is_file())


def kill_often(commands: CommandProcess, job: Job, kills: int, seed: int, check: Callable[[], None]) -> None:
    job.fresh()
    whole = job.run(commands)
    assert whole.status == 1, whole.output  # for the file that is no photo
    expected = described(job.out)
    assert len(expected["answers"]) == PHOTOS + 30
    moments, killed, rounds, kept = random.Random(seed), 0, 0, []  # noqa: S311 - moments, not secrets
    while killed < kills:
        job.fresh()
        rounds += 1
        for _ in range(5):  # kills of one folder at most; then it is to end
            ended = job.run(commands, moments.uniform(0, whole.seconds) if killed < kills else None)
            assert ended.orphans == 0
            check()
            if ended.status != -signal.SIGKILL:
                break
            killed += 1
            if (job.out / "answers" / "triovision.duckdb").exists():
                kept.append(len(described(job.out)["answers"]))
        else:
            ended = job.run(commands)
        assert ended.status == 1, ended.output
        assert described(job.out) == expected
        check()
    print(f"{killed} kills in {rounds} folders, after which {kept} answers were there; same database in the end")


def test_killed_runs_end_with_the_answers_of_an_undisturbed_one(
    commands: CommandProcess, organise: Callable[..., Job], long_form: bool
) -> None:
    kill_often(commands, organise(), 20 if long_form else 3, 1, lambda: None)


def test_killed_moves_lose_no_photo_and_are_taken_back(
    commands: CommandProcess, organise: Callable[..., Job], originals: Path, long_form: bool
) -> None:
    job, everything = organise("--sort", "move", "--write"), set(photo_hashes(originals))

    def nothing_is_lost() -> None:
        there = set(photo_hashes(job.out / "photos")) | set(photo_hashes(job.out / "answers" / "sorted"))
        assert everything <= there

    kill_often(commands, job, 20 if long_form else 3, 2, nothing_is_lost)
    undone = Job(("organise", "undo", job.out / "answers"), job.out).run(commands)
    assert undone.status == 0, undone.output
    assert photo_hashes(job.out / "photos") == photo_hashes(originals)
