from __future__ import annotations

from pathlib import Path

import pytest

from examples.cars.__main__ import RECIPES
from triovision.train.models.build import build_country_network
from triovision.train.recipes.country_recipe import Recipe, read_recipe
from triovision.train.tuning.search_space import read_space

SPACE = RECIPES / "space.toml"


def recipe(name: str) -> Recipe:
    return read_recipe(str(RECIPES / f"{name}.toml"))


def test_the_versions_differ_as_published() -> None:
    first, second = recipe("v1"), recipe("v2")
    optimisation = first.optimisation
    assert (first.architecture, first.freeze_blocks, first.label_column) == ("resnet18", 0, "class")
    assert (optimisation.optimiser, optimisation.learning_rate) == ("adam", 1e-3)
    assert (optimisation.batch_size, optimisation.epochs) == (64, 10)
    assert (first.preprocessing.mean, first.preprocessing.std) == ((0, 0, 0), (1, 1, 1))
    assert first.augmentation.policy == "none"
    assert first.augmentation.train_size == first.preprocessing.input_size
    assert first.schedule.step_epochs >= optimisation.epochs  # the rate stays as it is
    assert (second.augmentation.policy, second.augmentation.rotation) == ("flip_rotation", 15)
    assert (second.schedule.name, second.schedule.factor, second.schedule.patience) == ("plateau", 0.1, 5)
    assert second.optimisation == optimisation.model_copy(update={"batch_size": 32})


def test_the_second_version_on_places_keeps_its_training() -> None:
    second, places = recipe("v2"), recipe("places")
    for section in ("optimisation", "schedule", "loss"):
        assert getattr(places, section) == getattr(second, section)
    assert places.augmentation == second.augmentation.model_copy(update={"train_size": 160})
    assert places.label_column == "place"


def test_a_resnet18_has_a_new_last_layer_of_196_classes() -> None:
    network = build_country_network(recipe("v1"), 196)
    assert network.get_submodule("fc").weight.shape == (196, 512)


def test_the_published_space_fits_the_recipe() -> None:
    space = read_space(SPACE, str(RECIPES / "v2.toml"))
    assert len(space.distributions) == 10
    size = "preprocessing.input_size"
    largest = read_recipe(str(RECIPES / "v2.toml"), space.overrides({size: 672, "normalisation": "z_score"}))
    assert (largest.augmentation.train_size, largest.normalisation) == (672, "z_score")


def test_the_step_of_the_published_space_comes_within_the_run() -> None:
    steps = read_space(SPACE, str(RECIPES / "v2.toml")).config()["schedule.step_epochs"]["choices"]
    assert max(steps) < recipe("v2").optimisation.epochs


@pytest.mark.parametrize("name", ["v1", "v2", "places"])
def test_a_recipe_is_found_from_any_folder(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert recipe(name).name == name
