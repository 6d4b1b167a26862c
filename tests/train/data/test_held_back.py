"""Photos marked `test` in `split_new_sources`: no command trains, tunes, validates or calibrates on them.

Where a command runs, their files are missing, so that it would fail or complain if it read one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from triovision.cli import main
from triovision.train.data.manifest import Manifest, read_manifest, write_manifest
from triovision.train.data.positions import build_position_data
from triovision.train.data.splits import marked_rows, split, without_test
from triovision.train.engine.run_folder import read_country_run
from triovision.train.evaluation.calibration import held_out
from triovision.train.recipes.country_recipe import read_recipe, recipe_names
from triovision.train.recipes.position_recipe import RECIPES
from triovision.train.tuning.cross_validation import FOLDS

SPLITS = ("split_new_places", "split_known_places", "split")


@pytest.fixture
def marked() -> Manifest:
    """Forty photos of each of three countries with every mark of the older splits; a third is marked `test`."""
    n = np.arange(120)
    part = np.where(n % 4 == 0, "val", "train")
    table = pd.DataFrame(
        {
            "file": [f"{i}.jpg" for i in n],
            "country": np.array(["FR", "JP", "AD"])[n // 40],
            "lat": n / 4.0,
            "lon": n / 2.0,
            "place": [f"place{i // 5}" for i in n],
            "source": [f"source{i % 3}" for i in n],
            "split_new_sources": np.array(["0", "1", "test"])[n % 3],
            **dict.fromkeys(SPLITS, part),
        }
    )
    return Manifest(table, Path(), "a" * 64)


def sources(part: Manifest) -> set[str]:
    return set(part.table["source"])


@pytest.mark.parametrize("name", recipe_names())
def test_no_country_recipe_of_the_package_gets_a_test_photo(name: str, marked: Manifest) -> None:
    data = read_recipe(name).data
    for min_photos in (2, 1000):  # with labels, and with held-out countries instead of labels
        splits = split(marked, data.model_copy(update={"min_photos": min_photos}))
        parts = [splits.training, *splits.validation.values(), splits.held_out_countries]
        assert set.union(*map(sources, parts)) == {"source0", "source1"}


@pytest.mark.parametrize("name", RECIPES.names())
def test_no_position_recipe_of_the_package_gets_a_test_photo(name: str, marked: Manifest) -> None:
    task = build_position_data(marked, RECIPES.read(name))
    assert sources(task.photos.manifest) == {"source0", "source1"}


def test_no_split_has_a_test_photo_in_any_part(marked: Manifest) -> None:
    training, validation = marked_rows(marked, SPLITS)
    chosen = np.logical_or.reduce([training, *validation.values()])
    assert sources(marked.where(pd.Series(chosen))) == {"source0", "source1"}
    assert len(without_test(marked)) == 80
    unmarked = Manifest(marked.table.drop(columns="split_new_sources"), Path(), "")
    assert len(without_test(unmarked)) == 120


@pytest.fixture
def missing(colours: Path, tmp_path: Path) -> Path:
    """Manifest whose photos marked `test` do not exist."""
    photos = read_manifest(colours / "manifest.csv").table
    fold = pd.Series([str(i % 2) for i in range(len(photos))])
    real = photos.assign(split_new_sources=fold, source="source" + fold)
    lost = real.assign(file="lost_" + real["file"], split_new_sources="test", source="new")
    path = tmp_path / "manifest.csv"
    write_manifest(pd.concat([real, lost], ignore_index=True), path)
    return path


def train(command: str, colours: Path, manifest: Path, *options: object) -> Result:
    arguments = ["train", command, colours / "tiny.toml", "--manifest", manifest, "--root", colours, *options]
    return CliRunner().invoke(main, [*map(str, arguments), "--workers", "0"], catch_exceptions=False)


def test_a_run_and_its_report_read_no_test_photo(colours: Path, missing: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = train("run", colours, missing, "--out", out, "--max-unreadable", "0")
    assert done.exit_code == 0, done.output
    run, photos = read_country_run(out), read_manifest(missing, colours)
    assert len(held_out(run, photos, 0).target) == 10  # as without the photos marked `test`
    report = ["train", "report", out, "--manifest", missing, "--root", colours, "--workers", "0"]
    done = CliRunner().invoke(main, list(map(str, report)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    done = train("baselines", colours, missing, "--run", out)
    assert done.exit_code == 0, done.output
    assert "country of the source" in done.output
    assert "run run" in done.output


def test_a_cross_validation_reads_no_test_photo(colours: Path, missing: Path, tmp_path: Path) -> None:
    out = tmp_path / "cv"
    options = ("--fold-column", "split_new_sources", "--max-unreadable", "0")
    done = train("cv", colours, missing, "--out", out, *options)
    assert done.exit_code == 0, done.output
    assert "top1_by_source" in done.output
    assert sources(read_manifest(out / FOLDS)) == {"source0", "source1"}
