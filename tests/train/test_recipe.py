from __future__ import annotations

from pathlib import Path

import pytest

from triovision.errors import RecipeError
from triovision.networks import build_classifier
from triovision.train.recipe import read_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_names_a_network_that_can_be_built(name: str) -> None:
    recipe = read_recipe(name)
    assert recipe.name == name
    build_classifier(recipe.architecture, 2, drop_rate=recipe.drop_rate)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name =", "TOML"),
        ('name = "x"', "architecture"),
        ("surprise = 1", "surprise"),
        ("[data]\nmin_photos = 1", "data.min_photos"),
        ("[optimisation]\nlearning_rate = -1", "optimisation.learning_rate"),
    ],
)
def test_a_wrong_recipe_names_the_field(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=words):
        read_recipe(str(path))


def test_a_missing_recipe_names_those_there_are() -> None:
    with pytest.raises(RecipeError, match="tf_efficientnet_lite0"):
        read_recipe("efficientnet_b99")
