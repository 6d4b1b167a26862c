from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from triovision.cli import main
from triovision.train.data.dataset import targets
from triovision.train.data.loaders import LoadOptions
from triovision.train.data.manifest import read_manifest
from triovision.train.engine.run import train_country
from triovision.train.engine.run_folder import read_country_run
from triovision.train.evaluation.split_metrics import scores
from triovision.train.models.forward import network_outputs
from triovision.train.recipes.country_recipe import read_recipe


@pytest.fixture(scope="module")
def finished(colours: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    photos = read_manifest(colours / "manifest.csv", columns=["place", "split_new_places"])
    folder = tmp_path_factory.mktemp("run")
    train_country(read_recipe(str(colours / "tiny.toml")), photos, folder, None, LoadOptions(workers=0))
    return folder


def evaluated(finished: Path, manifest: Path, *options: str) -> Result:
    command = ["train", "evaluate", str(finished), "--manifest", str(manifest), "--workers", "0", *options]
    return CliRunner().invoke(main, command)


def test_the_photos_that_are_asked_for_are_measured(finished: Path, colours: Path) -> None:
    result = evaluated(finished, colours / "manifest.csv", "--where", "split_new_places=val", "--format", "json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    photos = read_manifest(colours / "manifest.csv")
    held_out = photos.where(photos.table["split_new_places"] == "val")
    kept = read_country_run(finished)
    expected = scores(network_outputs(kept.network, held_out, kept.recipe, 0), targets(held_out, kept.labels))
    assert found["scores"] == pytest.approx(expected.model_dump())
    assert found["scores"]["photos"] == 10
    assert found["measured"] == 10
    assert "training photos of the run" not in result.stderr


def test_photos_that_were_learnt_from_and_countries_without_a_label_are_counted(finished: Path, colours: Path) -> None:
    result = evaluated(finished, colours / "manifest.csv")
    assert result.exit_code == 0, result.output
    # 15 of each of two countries were learnt from, and Namibia's photo perhaps, which has no label.
    assert any(f"{n} of these 41 photos were training photos" in result.stderr for n in (30, 31))
    assert "countries without a label in the run, left out of every accuracy: 1, NA (1)" in result.stderr
    lines = dict(line.split() for line in result.stdout.splitlines())
    assert (lines["photos"], lines["without_label"]) == ("40", "1")
    assert 0 <= float(lines["top1"]) <= 1


def test_another_manifest_will_do(finished: Path, colours: Path) -> None:
    (colours / "others.csv").write_text("file,country\nFR0.png,FR\nNA0.png,NA\n")
    result = evaluated(finished, colours / "others.csv")
    assert result.exit_code == 0, result.output
    assert "training photos of the run" not in result.stderr
    only_unknown = evaluated(finished, colours / "others.csv", "--where", "country=NA")
    assert only_unknown.exit_code == 0, only_unknown.output
    assert "top1" not in only_unknown.stdout


def test_sources_and_places_are_counted_where_the_manifest_has_them(finished: Path, colours: Path) -> None:
    rows = ["file,country,place,source", "FR0.png,FR,a,x", "FR1.png,FR,b,x", "JP0.png,JP,c,y"]
    (colours / "sources.csv").write_text("\n".join(rows) + "\n")
    result = evaluated(finished, colours / "sources.csv")
    assert result.exit_code == 0, result.output
    lines = dict(line.split() for line in result.stdout.splitlines())
    assert (lines["photos"], lines["places"], lines["sources"]) == ("3", "3", "2")
    assert float(lines["top1_low"]) <= float(lines["top1"]) <= float(lines["top1_high"])
    assert "top1_by_source" in lines


@pytest.mark.parametrize(
    ("where", "words"), [("country", "COLUMN=VALUE"), ("country=XX", "No photo"), ("year=1", "lacks the column")]
)
def test_a_condition_that_fits_nothing_is_refused(finished: Path, colours: Path, where: str, words: str) -> None:
    result = evaluated(finished, colours / "manifest.csv", "--where", where)
    assert result.exit_code == 2
    assert words in result.stderr
