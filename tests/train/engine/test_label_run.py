"""Runs of another label than the country, with an architecture that the project registered itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from timm.models import register_model
from torch import Tensor, nn

from triovision.cli import main
from triovision.errors import RecipeError
from triovision.metrics.country import read_metrics
from triovision.train.data.loaders import LoadOptions
from triovision.train.data.manifest import read_manifest
from triovision.train.data.splits import split
from triovision.train.engine.run import train_country
from triovision.train.engine.run_folder import read_country_run
from triovision.train.models.build import build_country_network
from triovision.train.models.init_weights import init_backbone
from triovision.train.recipes.country_recipe import Recipe, read_recipe

COLOURS = {"Blue, 2012": (40, 60, 220), "FR": (220, 50, 60), "<b>Gold</b>": (230, 190, 60)}
RECIPE = f"""
base = "{Path(__file__).parents[1] / "tiny.toml"}"
architecture = "mean_colour"
normalisation = "divide_by_255"

[architecture_args]
width = 16

[data]
label_column = "paint"
min_photos = 5
validation_splits = ["split"]
sampler = "natural"

[augmentation]
policy = "vertical_flip"
train_size = 0

[optimisation]
epochs = 8
optimiser = "adamax"
learning_rate = 0.1
ema_decay = 0.0
patience = 8

[schedule]
name = "step"
"""


class MeanColour(nn.Module):
    """Two linear layers on the mean colour of a picture."""

    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        self.hidden, self.head = nn.Linear(3, width), nn.Linear(width, num_classes)

    def forward(self, batch_nchw: Tensor) -> Tensor:
        logits: Tensor = self.head(self.hidden(batch_nchw.mean(dim=(2, 3))).relu())
        return logits


@register_model
def mean_colour(num_classes: int, width: int, **_: object) -> MeanColour:
    return MeanColour(num_classes, width)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe and a manifest of 60 pictures of three paints, in three sources, without countries."""
    folder = tmp_path_factory.mktemp("paints")
    random = np.random.default_rng(0)
    rows = []
    for number, (paint, colour) in enumerate(COLOURS.items()):
        for i in range(20):
            file = f"{number}-{i}.png"
            noise = random.normal(0, 20, size=(40, 50, 3))
            Image.fromarray(np.clip(noise + colour, 0, 255).astype(np.uint8)).save(folder / file)
            rows.append({"file": file, "paint": paint, "source": str(i % 3), "split": "val" if i > 12 else "train"})
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    (folder / "recipe.toml").write_text(RECIPE)
    return folder


@pytest.fixture(scope="module")
def recipe(study: Path) -> Recipe:
    return read_recipe(str(study / "recipe.toml"))


@pytest.fixture(scope="module")
def command(study: Path) -> Callable[..., Result]:
    def invoke(*arguments: object) -> Result:
        options = ("--manifest", study / "manifest.csv", "--workers", 0)
        return CliRunner().invoke(main, ["train", *map(str, (*arguments, *options))])

    return invoke


@pytest.fixture(scope="module")
def finished(study: Path, command: Callable[..., Result]) -> Path:
    result = command("run", study / "recipe.toml", "--out", study / "run")
    assert result.exit_code == 0, result.output
    return study / "run"


def test_a_run_learns_the_column_that_its_recipe_names(finished: Path, command: Callable[..., Result]) -> None:
    run = read_country_run(finished)
    assert run.labels == tuple(sorted(COLOURS))
    assert isinstance(run.network, MeanColour)
    assert command("report", finished).exit_code == 0
    measured = read_metrics(finished)
    assert not measured.of_countries
    assert {row.country: row.photos for row in measured.splits["split"].countries} == dict.fromkeys(COLOURS, 7)
    assert measured.splits["split"].scores.top1 == 1
    told = command("evaluate", finished, "--where", "split=val", "--format", "json")
    assert json.loads(told.stdout)["scores"]["top1"] == 1


def test_a_report_shows_labels_as_they_are(finished: Path, command: Callable[..., Result]) -> None:
    command("report", finished)
    page = (finished / "report.html").read_text(encoding="utf-8")
    shown = page[page.index("<body") : page.index("</main>")]
    assert "Blue, 2012" in shown
    assert "&lt;b&gt;Gold" in shown
    assert "<b>Gold" not in shown
    assert "France" not in shown  # a paint of this name is no country
    assert "continent" not in shown
    assert "3 labels" in shown


def test_a_run_of_another_label_is_no_model_of_the_page(finished: Path, study: Path) -> None:
    words = study / "words.toml"
    words.write_text('summary = "a"\ndata = "b"\nlimits = "c"\nlicence = "d"\n')
    (study / "countries.csv").write_text("file,country,place\n0-0.png,FR,x\n")
    result = CliRunner().invoke(
        main,
        [
            *("train", "export", str(finished), "--manifest", str(study / "countries.csv"), "--id", "a.b"),
            *("--describe", str(words), "--models", str(study / "models")),
        ],
    )
    assert result.exit_code == 2, result.output
    assert "classifies `paint`" in result.stderr


def test_any_label_is_cross_validated(study: Path, command: Callable[..., Result]) -> None:
    result = command("cv", study / "recipe.toml", "--out", study / "cv", "--group", "source", "--folds", 3)
    assert result.exit_code == 0, result.output
    folds = json.loads((study / "cv" / "cv.json").read_text())["folds"]
    assert [fold["labels"] for fold in folds.values()] == [3, 3, 3]


def test_any_label_is_tuned(study: Path, command: Callable[..., Result]) -> None:
    (study / "space.toml").write_text('"preprocessing.input_size" = {choices = [32, 48]}\n')
    result = command(
        *("tune", study / "recipe.toml", "--set", "data.label_column=paint", "--space", study / "space.toml"),
        *("--trials", 2, "--epochs", 1, "--out", study / "tuned"),
    )
    assert result.exit_code == 0, result.output
    best = read_recipe(str(study / "tuned" / "best.toml"))
    assert best.label_column == "paint"
    assert best.augmentation.train_size == best.preprocessing.input_size


def test_any_label_is_split(study: Path) -> None:
    out = study / "parts.csv"
    manifest, options = str(study / "manifest.csv"), ["--label", "paint", "--by", "source", "--folds", "3"]
    result = CliRunner().invoke(main, ["train", "split", manifest, *options, "--column", "fold", "--out", str(out)])
    assert result.exit_code == 0, result.output
    table = read_manifest(out, label_column="paint").table
    assert table.groupby("source")["fold"].nunique().tolist() == [1, 1, 1]
    assert table.groupby("paint")["fold"].nunique().tolist() == [3, 3, 3]


def test_a_recipe_of_countries_is_stored_as_before() -> None:
    stored = read_recipe("tf_efficientnet_lite0").model_dump(mode="json")
    assert "label_column" not in stored["data"]
    assert Recipe.model_validate(stored).label_column == "country"


def test_a_manifest_has_to_be_read_with_the_label_of_the_recipe(study: Path, recipe: Recipe) -> None:
    (study / "both.csv").write_text("file,country,paint,split\n0-0.png,FR,FR,train\n")
    with pytest.raises(RecipeError, match=r"label_column.*is 'paint'.*'country'"):
        split(read_manifest(study / "both.csv"), recipe.data)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"freeze_blocks": 1}, "`freeze_blocks` needs the method.*group_matcher"),
        ({"optimisation": {"layer_decay": 0.5}}, "layer_decay` needs the method"),
        ({"last_layer": {"at_end": True}}, "`last_layer` needs the method.*get_classifier, forward_features"),
        ({"architecture_args": {}}, "width"),
    ],
)
def test_an_own_network_without_what_an_option_needs_is_an_error_in_words(
    recipe: Recipe, changes: dict[str, object], words: str
) -> None:
    changed = Recipe.model_validate(recipe.model_dump(mode="json") | changes)
    with pytest.raises(RecipeError, match=words):
        build_country_network(changed, 3)


def test_an_own_network_without_a_last_layer_takes_no_initial_weights(recipe: Recipe, finished: Path) -> None:
    with pytest.raises(RecipeError, match="lacks the method get_classifier"):
        init_backbone(build_country_network(recipe, 3), recipe, finished / "finished.safetensors")


def test_architectures_of_timm_outside_the_families_of_the_page_are_trained(
    study: Path, recipe: Recipe, tmp_path: Path
) -> None:
    fields = {"architecture": "test_byobnet", "architecture_args": {}, "freeze_blocks": 1}
    short = {"last_layer": {"at_end": True}, "optimisation": {"epochs": 1, "batch_size": 8, "precision": "32-true"}}
    other = Recipe.model_validate(recipe.model_dump(mode="json") | fields | short)
    photos = read_manifest(study / "manifest.csv", columns=["split"], label_column="paint")
    train_country(other, photos, tmp_path / "run", None, LoadOptions(workers=0))
    assert read_country_run(tmp_path / "run").labels == tuple(sorted(COLOURS))
