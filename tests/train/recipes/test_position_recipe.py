from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from triovision.errors import RecipeError
from triovision.geo.city_metadata import CITY_METADATA
from triovision.inference.standardisation import read_standardisation
from triovision.networks.resnetgps import VERSIONS
from triovision.train.losses.position import POSITION_LOSSES
from triovision.train.models.build import build_position_loss, build_position_network
from triovision.train.recipes.position_recipe import RECIPES, PositionRecipe
from triovision.train.tuning.search_space import published_space, read_space
from triovision.train.tuning.study import objectives

SCALING = read_standardisation({"mean": [0.0, 0.0], "scale": [1.0, 1.0]})


def test_the_recipes_differ_in_what_their_names_say() -> None:
    variants = ["resnetgps_v1_layer4", "resnetgps_v1_mixture"]
    assert RECIPES.names() == sorted([*(f"resnetgps_{version}" for version in VERSIONS), *variants])
    recipes = [RECIPES.read(f"resnetgps_{version}") for version in VERSIONS]
    assert [recipe.version for recipe in recipes] == list(VERSIONS)
    alike = {"name", "description", "version"}
    assert all(recipe.model_dump(exclude=alike) == recipes[0].model_dump(exclude=alike) for recipe in recipes)
    assert RECIPES.read("resnetgps_v1_layer4").trains == "layer4"


def test_the_default_is_the_best_of_the_study() -> None:
    recipe = RECIPES.read("resnetgps_v1")
    o, schedule = recipe.optimisation, recipe.schedule
    assert (o.batch_size, o.learning_rate, o.weight_decay, o.optimiser) == (64, 3.24e-4, 4.86e-6, "adamw")
    assert tuple(recipe.dropouts.model_dump().values()) == (0.123, 0.093, 0.132, 0.189, 0.123)
    assert (schedule.name, schedule.factor, schedule.patience) == ("plateau", 0.375, 5)
    assert recipe.loss.name == "mse_degrees"


def test_every_version_can_be_chosen() -> None:
    assert get_args(PositionRecipe.model_fields["version"].annotation) == VERSIONS


def test_an_unknown_loss_is_refused_with_the_registered_names() -> None:
    recipe = RECIPES.read("resnetgps_v1", ["loss.name=hinge"])
    with pytest.raises(RecipeError, match=f"'hinge'.*{', '.join(POSITION_LOSSES)}"):
        build_position_loss(recipe, SCALING)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_mixture_widens_the_last_layer(version: str) -> None:
    fields = [f"version={version}", "architecture=test_resnet", "loss.name=von_mises_fisher_mixture"]
    recipe = RECIPES.read("resnetgps_v1", [*fields, "loss.components=3"])
    loss = build_position_loss(recipe, SCALING)
    assert build_position_network(recipe, len(CITY_METADATA), loss.n_outputs).n_outputs == loss.n_outputs > 2


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("version=v5", "`version`"),
        ("trains=all", "`trains`"),
        ("dropouts.dropout1=1.0", "`dropouts.dropout1`"),
        ("optimisation.label_smoothing=0.1", "`optimisation.label_smoothing`.*`PositionRecipe` documents"),
        ("loss.components=0", "`loss.components`"),
    ],
)
def test_a_wrong_field_is_named(override: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        RECIPES.read("resnetgps_v1", [override])


def test_a_missing_recipe_names_those_there_are() -> None:
    with pytest.raises(RecipeError, match="resnetgps_v1, resnetgps_v1_layer4, resnetgps_v1_mixture, resnetgps_v2"):
        RECIPES.read("resnetgps_v9")


def test_a_backbone_without_a_last_stage_is_named() -> None:
    recipe = RECIPES.read("resnetgps_v1", ["architecture=efficientnet_b0"])
    with pytest.raises(RecipeError, match=r"efficientnet_b0 cannot be built.*resnet50_v1"):
        build_position_network(recipe, 3, 2)


def test_the_published_space_fits_the_recipes(tmp_path: Path) -> None:
    space = read_space(published_space(), "resnetgps_v1", (), RECIPES)
    dropouts = {f"dropouts.{name}" for name in RECIPES.read("resnetgps_v1").dropouts.model_dump()}
    others = {f"optimisation.{name}" for name in ("batch_size", "learning_rate", "weight_decay", "optimiser")}
    assert set(space.entries) == dropouts | others | {"schedule.factor", "schedule.patience"}
    (tmp_path / "space.toml").write_text('"dropouts.dropout9" = {low = 0.0, high = 0.5}')
    with pytest.raises(RecipeError, match=r"dropouts\.dropout9"):
        read_space(tmp_path / "space.toml", "resnetgps_v1", (), RECIPES)


def test_objectives_name_the_splits() -> None:
    assert objectives(RECIPES.read("resnetgps_v1"))[:3] == ["val/median_km", "val/loss", "new_places/median_km"]
