"""A recipe: one small TOML file that names everything a run depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field, model_validator

from triovision.train.recipes.reader import RecipeBook
from triovision.train.recipes.sections import Augmentation, Data, LastLayer, Loss, Optimisation, RunRecipe

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_UNIT = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


class Recipe(RunRecipe):
    """Everything that a run of a country classifier depends on beside the manifest and the starting weights.

    `RunRecipe` and what follows.

    Attributes:
        architecture_args: Arguments of the architecture beside the dropout, such as `img_size`; they go into the
            model's card.
        drop_rate: Dropout before the last layer.
        freeze_blocks: The stem and this many of the first stages keep their starting weights and statistics; 0 to
            train all layers. A block of a vision transformer counts as a stage.
        normalisation: `given`: by the mean and the standard deviation of the preprocessing. `imagenet`: by those of
            ImageNet. `divide_by_255`: to between 0 and 1. `z_score`: by those of the training photos, measured once
            when a run begins; until then what the preprocessing gives, or ImageNet's.
        data: See `Data`.
        augmentation: See `Augmentation`.
        loss: See `Loss`.
        optimisation: See `Optimisation`.
        last_layer: See `LastLayer`.
    """

    architecture_args: dict[str, Any] = Field(default_factory=dict)
    drop_rate: float = Field(default=0.2, ge=0, lt=1)
    freeze_blocks: int = Field(default=0, ge=0)
    normalisation: Literal["given", "imagenet", "divide_by_255", "z_score"] = "given"
    data: Data = Data()
    augmentation: Augmentation = Augmentation()
    loss: Loss = Loss()
    optimisation: Optimisation = Optimisation()
    last_layer: LastLayer = LastLayer()

    def timm_arguments(self) -> dict[str, Any]:
        """The arguments of the architecture."""
        return self.architecture_args

    @model_validator(mode="before")
    @classmethod
    def _named_normalisation(cls, recipe: Any) -> Any:  # noqa: ANN401 - whatever stands in the file
        """Write the mean and the standard deviation that `normalisation` names."""
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


#: The recipes of country classifiers.
RECIPES = RecipeBook(Recipe, "country")


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    return RECIPES.names()


def read_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe by its name in the package or from a TOML file; see `RecipeBook.read`.

    Raises:
        RecipeError: If there is no such recipe, or a field is unknown, missing or out of its range.
    """
    return RECIPES.read(name_or_path, overrides)
