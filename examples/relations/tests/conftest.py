"""Scenes and a recipe that train in seconds, and one finished run of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch

from examples.relations.annotations import read_annotations
from examples.relations.recipe import RECIPES, RelationRecipe
from examples.relations.scenes import counts_for, write_scenes
from examples.relations.study import Study
from triovision.train.engine.run_folder import write_weights

_RECIPE = """
base = "study"
name = "tiny"
description = "the smallest network on the smallest crops"
architecture = "test_resnet"
starting_weights = "none"

[preprocessing]
input_size = 32

[network]
embedding = 8

[optimisation]
epochs = 2
min_epochs = 1
"""


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of 60 pairs on textures, at least 4 of each relation, in the plain layout."""
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(folder, counts_for(40, 4), None, seed=0)
    return folder


@pytest.fixture(scope="session")
def recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(_RECIPE)
    return path


@pytest.fixture(scope="session")
def recipe(recipe_file: Path) -> RelationRecipe:
    return RECIPES.read(str(recipe_file))


@pytest.fixture(scope="session")
def weights(recipe: RelationRecipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a backbone, other than those it has without a file."""
    path = tmp_path_factory.mktemp("weights") / "backbone.safetensors"
    torch.manual_seed(1)
    write_weights(timm.create_model(recipe.architecture, num_classes=0), path)
    return path


@pytest.fixture(scope="session")
def study(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return Study(read_annotations(scenes), tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def finished(study: Study, recipe: RelationRecipe, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    study.run(recipe, folder, weights)
    return folder
