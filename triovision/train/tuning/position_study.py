"""Studies of ResNetGPS with Optuna: the same machinery as for country classifiers, on other recipes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from lightning.pytorch.callbacks import Callback

from triovision.train.data.loaders import ReadOptions
from triovision.train.engine.position_run import CACHE, run
from triovision.train.recipes.position_recipe import RECIPES, GpsRecipe
from triovision.train.recipes.reader import RecipeBook
from triovision.train.tuning.study import StudyPlan


@dataclass(frozen=True, slots=True)
class GpsPlan(StudyPlan[GpsRecipe]):
    """What a study of a recipe of ResNetGPS is about.

    Attributes:
        reading: How photos are read; without a cache, all trials share one in the study's folder.
    """

    reading: ReadOptions

    @property
    def book(self) -> RecipeBook[GpsRecipe]:
        """The recipes of ResNetGPS."""
        return RECIPES

    def train(self, recipe: GpsRecipe, folder: Path, callbacks: Sequence[Callback]) -> Path:
        """An ordinary run; see `run`."""
        reading = replace(self.reading, cache=self.reading.cache or self.folder / CACHE)
        return run(recipe, self.manifest, folder, self.source, reading, callbacks=callbacks)


def published_space() -> Path:
    """The space that the study of ResNetGPS searched: a file of the package."""
    return Path(str(files("triovision.train.recipes") / "search_spaces" / "resnetgps.toml"))


def objectives(recipe: GpsRecipe) -> list[str]:
    """Names of the figures that can be an objective; all of them are better when they are smaller."""
    splits = [column.removeprefix("split_") for column in recipe.data.validation_splits]
    return ["val/median_km", "val/loss", *(f"{split}/{figure}" for split in splits for figure in ("median_km", "loss"))]
