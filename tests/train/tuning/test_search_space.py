from __future__ import annotations

from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from triovision.errors import RecipeError
from triovision.train.recipes.country_recipe import read_recipe
from triovision.train.tuning.search_space import SearchSpace, read_space

RECIPE = "tf_efficientnet_lite0"
SPACE = """
"optimisation.learning_rate" = {low = 1e-5, high = 1e-2, log = true}
"optimisation.batch_size" = {low = 8, high = 64}
"drop_rate" = {low = 0, high = 0.5, step = 0.25}
"augmentation.rotation" = {low = 0, high = 30}
"schedule.name" = {choices = ["cosine", "plateau"]}
"augmentation.jpeg_quality" = {choices = [[25, 95], [60, 95]]}
"optimisation.precision" = {choices = ["32", "bf16-mixed"]}
"""


def space(tmp_path: Path, text: str) -> SearchSpace:
    (tmp_path / "space.toml").write_text(text)
    return read_space(tmp_path / "space.toml", RECIPE)


def test_each_field_becomes_what_the_recipe_holds(tmp_path: Path) -> None:
    assert space(tmp_path, SPACE).distributions == {
        "optimisation.learning_rate": FloatDistribution(1e-5, 1e-2, log=True),
        "optimisation.batch_size": IntDistribution(8, 64),
        "drop_rate": FloatDistribution(0, 0.5, step=0.25),
        "augmentation.rotation": FloatDistribution(0, 30),  # written without a point, but a float in the recipe
        "schedule.name": CategoricalDistribution(("cosine", "plateau")),
        "augmentation.jpeg_quality": CategoricalDistribution(("[25, 95]", "[60, 95]")),
        "optimisation.precision": CategoricalDistribution(("32", "bf16-mixed")),
    }


def test_a_point_becomes_a_recipe(tmp_path: Path) -> None:
    point = {
        "optimisation.learning_rate": 3e-5,
        "augmentation.jpeg_quality": "[60, 95]",
        "optimisation.precision": "32",  # a word, though it looks like a number
        "schedule.name": "plateau",
    }
    recipe = read_recipe(RECIPE, space(tmp_path, SPACE).overrides(point))
    assert recipe.optimisation.learning_rate == 3e-5
    assert recipe.augmentation.jpeg_quality == (60, 95)
    assert recipe.optimisation.precision == "32"
    assert recipe.schedule.name == "plateau"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no field"),
        ("a = ", "no TOML file"),
        ('"drop_rate" = 0.5', "`drop_rate`: is neither a range nor choices"),
        ("optimisation.epochs = {low = 1, high = 2}", "`optimisation`: is neither.*`low`: Field required.*in quotes"),
        ('"optimisation.epoch" = {low = 1, high = 2}', "`optimisation.epoch`: 1 does not fit.*not permitted"),
        ('"drop_rate" = {low = 0.1, high = 1.5}', "`drop_rate`: 1.5 does not fit.*less than 1"),
        ('"drop_rate" = {low = 0.5, high = 0.1}', "`drop_rate`: .*low <= high"),
        ('"drop_rate" = {low = 0.0, high = 0.5, log = true}', "`drop_rate`: .*low > 0"),
        ('"drop_rate" = {low = 0.0, high = 0.5, step = 0.2}', "`drop_rate`: .*not divisible"),
        ('"drop_rate" = {low = 0.0}', "`drop_rate`: .*`high`: Field required"),
        ('"drop_rate" = {low = 0.0, high = 0.5, steps = 0.1}', "`drop_rate`: .*`steps`: Extra inputs"),
        ('"drop_rate" = {low = nan, high = 0.5}', "`drop_rate`: .*finite number"),
        ('"optimisation.epochs" = {low = 1, high = 9, step = 0.5}', "`optimisation.epochs`: is a whole number"),
        ('"optimisation.freeze_norm" = {low = 0, high = 1}', "`optimisation.freeze_norm`: is no number"),
        ('"schedule.name" = {choices = []}', "`schedule.name`: .*at least 1 item"),
        ('"schedule.name" = {choices = ["cosine", "linear"]}', '`schedule.name`: "linear" does not fit'),
    ],
)
def test_what_is_no_space_is_refused_in_words(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        space(tmp_path, text)


def test_a_missing_file_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no TOML file"):
        read_space(tmp_path / "none.toml", RECIPE)


def test_the_grid_halves_doubles_and_keeps_within_the_bounds(tmp_path: Path) -> None:
    found = space(
        tmp_path,
        """
        "optimisation.learning_rate" = {low = 1e-4, high = 1e-2, log = true}
        "optimisation.batch_size" = {low = 8, high = 64}
        "drop_rate" = {low = 0.0, high = 0.5, step = 0.25}
        " schedule . factor" = {low = 0.1, high = 0.3, step = 0.1}
        "schedule.name" = {choices = ["cosine", "plateau"]}
        """,
    ).grid_around(
        {
            "optimisation.learning_rate": 8e-3,
            "optimisation.batch_size": 9,
            "drop_rate": 0.5,
            " schedule . factor": 0.2,
            "schedule.name": "plateau",
        }
    )
    rates, sizes, drops, factors = (
        sorted({point[field] for point in found})
        for field in ("optimisation.learning_rate", "optimisation.batch_size", "drop_rate", " schedule . factor")
    )
    assert rates == [4e-3, 8e-3, 1e-2]
    assert sizes == [8, 9, 18]
    assert all(isinstance(size, int) for size in sizes)
    assert drops == [0.25, 0.5]
    assert factors == [0.1, 0.2, 0.3]
    assert {point["schedule.name"] for point in found} == {"plateau"}
    assert len(found) == 3 * 3 * 2 * 3
