from __future__ import annotations

from pathlib import Path

import pytest

from examples.relations.recipe import RECIPES, read_backbones
from triovision.errors import RecipeError

BACKBONE = '[resnet50]\narchitecture = "test_resnet"\nmean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.5]\n'


def test_the_study_is_the_published_one() -> None:
    recipe = RECIPES.read("study")
    o, s, n = recipe.optimisation, recipe.schedule, recipe.network
    assert (recipe.architecture, recipe.preprocessing.input_size, recipe.class_weights) == ("resnet50", 128, "balanced")
    assert (n.dropout1, n.dropout2, n.embedding, n.temperature) == (0.3, 0.2, 128, 0.07)
    assert recipe.data.oversampling == ((100, 3), (500, 2))
    assert (o.optimiser, o.learning_rate, o.batch_size, o.clip_norm) == ("adam", 1e-4, 16, 1)
    assert (o.epochs, o.min_epochs, o.patience) == (50, 15, 5)
    assert (s.name, s.factor, s.patience, s.floor) == ("plateau", 0.5, 3, 1e-6)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("small_backbone", {"architecture"}),
        ("unweighted", {"class_weights"}),
        ("no_oversampling", {"data"}),
        ("constant_rate", {"schedule"}),
        ("before", {"architecture", "class_weights", "data", "schedule"}),
        ("spatial_only", {"network"}),
        ("visual_only", {"network"}),
    ],
)
def test_each_recipe_differs_from_the_study_in_its_own_fields(name: str, fields: set[str]) -> None:
    study, recipe = RECIPES.read("study").model_dump(), RECIPES.read(name).model_dump()
    assert {field for field in study if study[field] != recipe[field]} == fields | {"name", "description"}


def test_every_recipe_is_tested() -> None:
    assert len(RECIPES.names()) == 8


def test_another_backbone_takes_the_place_of_one(tmp_path: Path) -> None:
    path = tmp_path / "backbones.toml"
    path.write_text(BACKBONE + 'weights = "a.safetensors"\n')
    backbones = read_backbones(path)
    assert backbones["resnet50"].weights == tmp_path / "a.safetensors"
    study = RECIPES.read("study")
    found = backbones["resnet50"].replace_in(study)
    assert (found.architecture, found.preprocessing.mean) == ("test_resnet", (0.5, 0.5, 0.5))
    same = {"exclude": {"architecture", "preprocessing"}}
    assert found.model_dump(**same) == study.model_dump(**same)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[resnet50", "not readable TOML"),
        ('[resnet50]\narchitecture = "x"', "`resnet50.mean`: Field required"),
        (BACKBONE + "size = 3", "`resnet50.size`"),
    ],
)
def test_a_wrong_file_of_backbones_names_the_field(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "backbones.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=words):
        read_backbones(path)


def test_a_backbone_with_an_impossible_standard_deviation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "backbones.toml"
    path.write_text(BACKBONE.replace("std = [0.5, 0.5, 0.5]", "std = [0.0, 0.5, 0.5]"))
    with pytest.raises(RecipeError, match=r"preprocessing\.std"):
        read_backbones(path)["resnet50"].replace_in(RECIPES.read("study"))
