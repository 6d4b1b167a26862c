from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

Run = Callable[..., Result]


def write_manifest(folder: Path, rows: list[str]) -> Path:
    path = folder / "manifest.csv"
    path.write_text("file,country,lat,lon,part\n" + "\n".join(rows) + "\n")
    return path


def evaluate(run: Run, manifest: Path, *arguments: str) -> Result:
    return run("evaluate", "--manifest", manifest, "--model", "test_efficientnet.noise", "--format", "json", *arguments)


def test_evaluate_counts_and_lists_what_it_cannot_read(run: Run, photo_folder: Path) -> None:
    rows = ["0.jpg,FR,48.9,2.4,a", "1.jpg,NA,,,a", "note.jpg,US,,,a", "2.jpg,JP,35,139,b", "gone.jpg,CN,,,a"]
    result = evaluate(run, write_manifest(photo_folder, rows))
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert found["metrics"]["photos"] == 3
    assert found["metrics"]["photos_known_country"] == 2
    assert found["metrics"]["photos_with_position"] == 2
    assert found["metrics"]["unreadable"] == 2
    assert [entry["file"] for entry in found["unreadable"]] == ["note.jpg", "gone.jpg"]


def test_evaluate_tells_known_surroundings_from_new_ones(run: Run, photo_folder: Path) -> None:
    manifest = write_manifest(photo_folder, ["0.jpg,FR,48.9,2.4,a", "1.jpg,FR,45.8,4.8,a", "2.jpg,FR,,,a"])
    training = photo_folder / "training.csv"
    # The evaluated photos themselves, and those marked `test`, are no training photos.
    rows = ["0.jpg,FR,48.9,2.4,0", "x.jpg,FR,45.8,4.8,test", "y.jpg,FR,45.8,4.9,0", "z.jpg,FR,0,0,1"]
    training.write_text("file,country,lat,lon,split_new_sources\n" + "\n".join(rows) + "\n")
    found = json.loads(evaluate(run, manifest, "--training-manifest", str(training)).stdout)["metrics"]
    assert found["trained_under_1_km_photos"] == 0
    assert found["trained_1_to_25_km_photos"] == 1
    assert found["trained_over_200_km_photos"] == 1
    assert found["trained_1_to_25_km_median_km"] > 0
    assert "trained_under_1_km_photos" not in json.loads(evaluate(run, manifest).stdout)["metrics"]


def test_evaluate_takes_the_rows_that_are_asked_for(run: Run, photo_folder: Path) -> None:
    manifest = write_manifest(photo_folder, ["0.jpg,FR,,,a", "1.jpg,FR,,,b", "2.jpg,FR,,,b"])
    assert json.loads(evaluate(run, manifest, "--where", "part=b").stdout)["metrics"]["photos"] == 2
    assert evaluate(run, manifest, "--where", "part=c").exit_code == 2
    assert "lacks the column" in evaluate(run, manifest, "--where", "nothing=c").stderr


def test_csv_has_a_row_for_each_metric(run: Run, photo_folder: Path) -> None:
    manifest = write_manifest(photo_folder, ["0.jpg,FR,48.9,2.4,a", "note.jpg,FR,,,b"])
    result = run("evaluate", "--manifest", manifest, "--model", "test_efficientnet.noise", "--format", "csv")
    rows = {row["metric"]: row["value"] for row in csv.DictReader(io.StringIO(result.stdout))}
    assert float(rows["photos"]) == 1
    assert "note.jpg" in result.stderr
    assert result.exit_code == 1
