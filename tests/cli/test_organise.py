from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from triovision.cli import main
from triovision.collections.organiser.database import DATABASE, CollectionDatabase

Run = Callable[..., Result]
MODEL = ("--model", "test_efficientnet.noise", "--device", "cpu")


@pytest.fixture
def run(tmp_path: Path, write_tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Run:
    write_tiny_model(tmp_path / "models")
    monkeypatch.setenv("TRIOVISION_MODELS", str(tmp_path / "models"))

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return invoke


def test_a_folder_is_answered_and_the_refusal_makes_the_status_1(run: Run, photo_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("organise", photo_folder, "--to", out, *MODEL, "--format", "json")
    result = run(*arguments, "--export", "geoparquet,csv", "--export", "gpx", "--failures", tmp_path / "failures.csv")
    assert result.exit_code == 1
    summary = json.loads(result.stdout)
    expected = {"found": 7, "answered": 6, "refused": 1, "without_answer": 1, "answers": 6, "vanished": 0}
    assert expected.items() <= summary.items()
    assert pq.read_metadata(out / "photos.geo.parquet").num_rows == 6
    assert (out / "photos.csv").exists()
    assert (out / "photos.gpx").exists()
    assert len((tmp_path / "failures.csv").read_text().splitlines()) == 2
    (photo_folder / "note.jpg").unlink()
    again = run(*arguments)
    assert again.exit_code == 0
    assert {"found": 6, "answered": 0, "without_answer": 0, "vanished": 1}.items() <= json.loads(again.stdout).items()


def test_sorting_and_positions_are_a_dry_run_until_write(run: Run, photo_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (photo_folder / "note.jpg").unlink()
    wanted = ("--sort", "move", "--positions", "digikam", "--min-probability", "0")
    arguments = ("organise", photo_folder, "--to", out, *MODEL, *wanted)
    before = sorted(photo_folder.iterdir())
    dry = run(*arguments)
    assert dry.exit_code == 0
    assert "6 sorted, if you add --write." in dry.stdout
    assert "6 positions, if you add --write." in dry.stdout
    assert sorted(photo_folder.iterdir()) == before
    done = run(*arguments, "--write", "--format", "csv")
    assert done.exit_code == 0
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["photo"] for row in rows[:6]] == [str(path) for path in before]
    assert not list(photo_folder.iterdir())
    assert len(list((out / "sorted").rglob("*.jpg"))) == len(list((out / "sorted").rglob("*.jpg.xmp"))) == 6
    back = run("organise", "undo", out)
    assert back.exit_code == 0
    assert "6 taken back." in back.stdout
    assert sorted(photo_folder.glob("*.jpg")) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("photos",),
        ("--to", "out"),
        ("photos", "--to", "out", "--export", "shapefile"),
        ("photos", "--to", "out", "--max-failure-rate", "2"),
        ("nowhere", "--to", "out"),
        ("undo",),
        ("undo", "nowhere"),
    ],
)
def test_wrong_usage_is_2(
    run: Run, arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    model = () if arguments[0] == "undo" else MODEL
    assert run("organise", *arguments, *model).exit_code == 2


def test_too_many_failures_end_the_run_with_1(run: Run, photo_folder: Path, tmp_path: Path) -> None:
    for number in range(120):
        (photo_folder / f"x{number}.jpg").write_text(f"no photo {number}")
    result = run("organise", photo_folder, "--to", tmp_path / "out", *MODEL, "--max-failure-rate", "0.1")
    assert result.exit_code == 1
    assert "of 100 photos failed, more than the 10% allowed" in result.stderr


def test_the_help_shows_the_command_as_it_is_typed(run: Run) -> None:
    text = run("organise", "--help").stdout
    assert text.startswith("Usage: triovision organise [OPTIONS] SOURCE...")
    assert text.count("triovision organise holiday/") == 2
    assert "triovision organise undo answers" in run("organise", "undo", "--help").stdout


@pytest.fixture
def many_photos(tmp_path: Path) -> Path:
    folder = tmp_path / "many"
    folder.mkdir()
    random = np.random.default_rng(1)
    for number in range(400):
        Image.fromarray(random.integers(0, 256, (60, 80, 3), np.uint8)).save(folder / f"{number:03}.jpg")
    return folder


def test_ctrl_c_on_a_terminal_keeps_the_answers_and_says_how_to_go_on(
    run: Run, many_photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = ["organise", str(many_photos), "--to", str(out), *MODEL, "--batch-size", "8"]
    terminal, other_end = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))  # a bar needs a width
    # A shell in the background makes its commands ignore the signal.
    listening = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{listening}; from triovision.cli import main; main()"
    process = subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.DEVNULL, stderr=other_end)
    os.close(other_end)
    shown = b""
    while not re.search(rb"[1-9]\d*/400", shown):  # the bar of the progress: some photos were read
        shown += os.read(terminal, 1000)
    process.send_signal(signal.SIGINT)
    while process.poll() is None:
        try:
            shown += os.read(terminal, 1000)
        except OSError:  # Linux reports the end so
            time.sleep(0.01)
    os.close(terminal)
    assert process.returncode == 130, shown.decode(errors="replace")
    text = shown.decode(errors="replace")
    assert re.search(r"Stopped: \d+ of 400 files were read, .* The same command goes on from here\.", text)
    with CollectionDatabase(out, read_only=True) as database:
        (kept,) = database.first("SELECT count(*) FROM answers")
    assert kept < 400
    assert not (out / f"{DATABASE}.wal").exists()
    result = run(*arguments, "--format", "json")
    summary = json.loads(result.stdout)
    assert (summary["answered"], summary["answers"]) == (400 - kept, 400)
