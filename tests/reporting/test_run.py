from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from safetensors.torch import save_file

from triovision.cli import main
from triovision.metrics.country import read_metrics
from triovision.networks import build_classifier
from triovision.train.data.manifest import read_manifest
from triovision.train.engine.run_folder import read_country_run
from triovision.train.evaluation.country import measure_run
from triovision.train.recipes.country_recipe import read_recipe

LABELS = ("FR", "JP", "NA")
#: Names that a page must not believe.
SPLIT = "<b>new"
FILE = '"><img src=x onerror=alert(1)>.png'
RECIPE = f"""
name = "</script><script>alert(1)</script>"
description = "a network of random weights <i>"
architecture = "test_efficientnet"
starting_weights = "none"
[preprocessing]
input_size = 32
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
[data]
min_photos = 5
validation_splits = ["split_{SPLIT}", "split_known"]
"""


class Page(HTMLParser):
    """Elements of a page, and the text outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] not in {"script", "style"}:
            self.words += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of 121 photos of three countries and one without a label, and a run on it that took 60 s."""
    folder = tmp_path_factory.mktemp("study")
    random = np.random.default_rng(0)
    rows = [f"file,country,place,split_{SPLIT},split_known"]
    for country in LABELS:
        for i in range(40):
            name = FILE if (country, i) == ("FR", 0) else f"{country}{i}.png"
            Image.fromarray(random.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(folder / name)
            quoted = '"' + name.replace('"', '""') + '"'
            new, known = ("val" if i < 15 else "train"), ("val" if i >= 30 else "train")
            rows.append(f"{quoted},{country},{country}_{i},{new},{known}")
    Image.fromarray(random.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(folder / "US.png")
    rows.append("US.png,US,us,train,val")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    (folder / "recipe.toml").write_text(RECIPE)
    _write_run(folder)
    return folder


def _write_run(folder: Path) -> None:
    run = folder / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "logs" / "version_0").mkdir(parents=True)
    (run / "logs" / "version_0" / "metrics.csv").write_text(
        f"epoch,step,train/loss,val/loss,{SPLIT}/top1,known/top1\n0,1,2,,,\n0,1,,1.5,0.25,0.5\n1,3,1,,,\n1,3,,2,0.5,0.5\n"
    )
    facts = {
        "recipe": read_recipe(str(folder / "recipe.toml")).model_dump(mode="json"),
        "manifest_sha256": read_manifest(folder / "manifest.csv").sha256,
        "labels": LABELS,
    }
    (run / "run.json").write_text(json.dumps(facts))
    torch.manual_seed(0)
    network = build_classifier("test_efficientnet", len(LABELS))
    save_file(network.state_dict(), run / "finished.safetensors")
    torch.save(
        {"epoch": 1, "callbacks": {"Timer": {"time_elapsed": {"train": 60.0}}}}, run / "checkpoints" / "last.ckpt"
    )


@pytest.fixture(scope="module")
def command() -> Callable[..., Result]:
    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(main, ["train", *map(str, arguments)], catch_exceptions=False)

    return invoke


@pytest.fixture(scope="module")
def measured(study: Path, command: Callable[..., Result]) -> Path:
    result = command("report", study / "run", "--manifest", study / "manifest.csv", "--workers", 0)
    assert result.exit_code == 0, result.output
    return study / "run"


def test_a_report_leaves_metrics_that_can_be_read_back(measured: Path) -> None:
    found = read_metrics(measured)
    assert list(found.splits) == [SPLIT, "known"]
    assert (found.splits[SPLIT].scores.photos, found.splits["known"].scores.photos) == (45, 30)
    assert found.splits["known"].scores.without_label == 1
    assert found.cost.epochs == 2
    assert found.cost.best_epoch == 1
    assert found.cost.training_photos == 45
    assert found.cost.photos_per_s == pytest.approx(2 * 45 / 60)
    assert found.overfitting.training.photos == 45  # all of them: more were held out
    assert [gap.split for gap in found.overfitting.gaps] == [SPLIT, "known"]
    assert [epoch.values["val/loss"] for epoch in found.epochs] == [1.5, 2]


def test_every_photo_is_measured_or_fitted_on_and_none_is_both(measured: Path) -> None:
    found = read_metrics(measured)
    photos = sum(s.scores.photos + s.scores.without_label for s in found.splits.values())
    seen = sum(s.measured for s in found.splits.values())
    assert photos == 76
    assert f"fitted on {photos - seen} held-out photos" in found.calibration
    for split in found.splits.values():
        assert split.before is not None
        assert sum(b.photos for b in split.before.bins) == split.measured


def test_files_stand_beside_their_own_answers(measured: Path) -> None:
    # Each photo's country is in its file's name, so a shifted row would show.
    for split in read_metrics(measured).splits.values():
        for photo in (*split.best, *split.worst):
            assert photo.file in {f"{photo.truth}{i}.png" for i in range(40)} | {"US.png", FILE}


def test_the_page_needs_no_network_and_believes_no_name(measured: Path) -> None:
    text = (measured / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert len(page.of("script")) == 3  # figures, Plotly, ours
    assert text.count("plotly.js v") == 1
    assert page.of("img") == []
    assert not [a for _, a in page.elements if "src" in a or (a.get("href") or "#")[0] != "#"]
    assert page.of("i") == page.of("b") == []
    assert "</script><script>alert(1)</script>" in page.words
    (policy,) = [a["content"] for a in page.of("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "script-src 'sha256-" in policy


def test_photos_are_embedded_when_asked_for(study: Path, measured: Path, command: Callable[..., Result]) -> None:
    result = command("report", measured, "--manifest", study / "manifest.csv", "--workers", 0, "--photos")
    assert result.exit_code == 0, result.output
    images = Page((measured / "report.html").read_text(encoding="utf-8")).of("img")
    assert images
    assert all((image["src"] or "").startswith("data:image/jpeg;base64,") for image in images)


def test_few_photos_are_not_calibrated_on(study: Path) -> None:
    run, photos = read_country_run(study / "run"), read_manifest(study / "manifest.csv")
    number = photos.table.groupby("country").cumcount()
    few = (number < 3) | number.between(15, 29)  # three held out of each country, and those to learn from
    found = measure_run(run, photos.where(few), 0.75, workers=0)
    assert found.calibration.startswith("Not calibrated")
    split = found.splits[SPLIT]
    assert (split.scores.photos, split.measured, split.after, split.at_threshold) == (9, 9, None, None)
    assert found.splits["known"].scores.top1 is None  # only the photo without a label is left


def test_faults_are_named(study: Path, tmp_path: Path, command: Callable[..., Result]) -> None:
    nothing = command("report", tmp_path, "--manifest", study / "manifest.csv")
    assert (nothing.exit_code, "holds no finished run" in nothing.output) == (2, True)
    other = tmp_path / "other.csv"
    other.write_text(f"file,country,place,split_{SPLIT},split_known\na.png,FR,p,val,train\n")
    foreign = command("report", study / "run", "--manifest", other)
    assert (foreign.exit_code, "another manifest" in foreign.output) == (2, True)


@pytest.mark.parametrize("text", ["", "{}", '{"version": 2}', "[1]", '{"version": 1, "labels": ["<x>"]}'])
def test_metrics_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "metrics.json").write_text(text)
    command = CliRunner().invoke(main, ["train", "compare", str(tmp_path), str(tmp_path / "x"), "--out", str(tmp_path)])
    assert command.exit_code == 2
    assert "no metrics of this version" in command.output
