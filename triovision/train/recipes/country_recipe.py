"""Recipe of a country run: everything that training a country classifier depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field, model_validator

from triovision.train.recipes.reader import RecipeReader
from triovision.train.recipes.sections import (
    Augmentation,
    CountryDataSection,
    CountryLossSection,
    LastLayer,
    Optimisation,
    RunRecipe,
)

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_UNIT = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


class Recipe(RunRecipe):
    """The recipe of a country run.

    Attributes:
        architecture_args: Arguments of `timm.create_model` beside the dropout rate, such as `img_size`; the card of the
            model repeats them.
        drop_rate: Dropout before the last layer.
        freeze_blocks: Number of first stages that are frozen with the stem; 0 trains all layers. A block of a vision
            transformer counts as a stage.
        normalisation: `given`: the mean and the standard deviation of `preprocessing`. `imagenet`: those of ImageNet.
            `divide_by_255`: values between 0 and 1. `z_score`: those of the training photos, computed when a run
            starts.
        data: See `CountryDataSection`.
        augmentation: See `Augmentation`.
        loss: See `CountryLossSection`.
        optimisation: See `Optimisation`.
        last_layer: See `LastLayer`.
    """

    architecture_args: dict[str, Any] = Field(default_factory=dict)
    drop_rate: float = Field(default=0.2, ge=0, lt=1)
    freeze_blocks: int = Field(default=0, ge=0)
    normalisation: Literal["given", "imagenet", "divide_by_255", "z_score"] = "given"
    data: CountryDataSection = CountryDataSection()
    augmentation: Augmentation = Augmentation()
    loss: CountryLossSection = CountryLossSection()
    optimisation: Optimisation = Optimisation()
    last_layer: LastLayer = LastLayer()

    @property
    def label_column(self) -> str:
        """`data.label_column`."""
        return self.data.label_column

    def timm_arguments(self) -> dict[str, Any]:
        """`architecture_args`."""
        return self.architecture_args

    @model_validator(mode="before")
    @classmethod
    def _named_normalisation(cls, recipe: Any) -> Any:  # noqa: ANN401 - any value of the file
        """Fill in the mean and the standard deviation that `normalisation` names."""
        if not isinstance(recipe, Mapping):
            return recipe
        given = recipe.get("preprocessing", {})
        if not isinstance(given, Mapping | BaseModel):
            return recipe
        match recipe.get("normalisation"):
            case "imagenet":
                given = dict(given) | _IMAGENET
            case "divide_by_255":
                given = dict(given) | _UNIT
            case "z_score":
                given = _IMAGENET | dict(given)
        return {**recipe, "preprocessing": given}

    @model_validator(mode="before")
    @classmethod
    def _train_size_of_input(cls, recipe: Any) -> Any:  # noqa: ANN401 - any value of the file
        """Fill in the input size where `augmentation.train_size` is 0."""
        if not isinstance(recipe, Mapping):
            return recipe
        augmentation, given = recipe.get("augmentation", {}), recipe.get("preprocessing", {})
        if not isinstance(augmentation, Mapping) or augmentation.get("train_size") != 0:
            return recipe
        if not isinstance(given, Mapping) or "input_size" not in given:
            return recipe
        return {**recipe, "augmentation": {**augmentation, "train_size": given["input_size"]}}


#: The recipes of country classifiers.
RECIPES = RecipeReader(Recipe, "country")


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    return RECIPES.names()


def read_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe by its name in the package or from a TOML file; see `RecipeReader.read`.

    Raises:
        RecipeError: If there is no such recipe, or a field is unknown, missing or out of its range.
    """
    return RECIPES.read(name_or_path, overrides)
