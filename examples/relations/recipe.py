"""Recipe of the study: backbone, layers, class weights, oversampling, optimiser, schedule and stopping rule."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveInt, TypeAdapter, ValidationError

from triovision.errors import RecipeError, faults
from triovision.train.recipes.reader import RecipeReader
from triovision.train.recipes.sections import RunRecipe, Section


class DataSection(Section):
    """The pairs of a run.

    Attributes:
        oversampling: Pairs of a number of training pairs and a number of draws per epoch; the first pair whose first
            number exceeds the training pairs of a relation applies to it. Empty: each pair is drawn once.
        val_fraction: Share of the training pictures that validate where the annotations mark none.
    """

    oversampling: tuple[tuple[PositiveInt, PositiveInt], ...] = ((100, 3), (500, 2))
    val_fraction: float = Field(default=0.2, gt=0, lt=1)


class NetworkSection(Section):
    """The trained layers; see `RelationHead`.

    Attributes:
        branches: Branches that reach the fusion; the ablations leave one out.
        embedding: Size of the embeddings of a pair and of a relation.
        dropout1: Dropout after the first layer of the visual projection.
        dropout2: Dropout after its second layer.
        temperature: Divisor of the cosines.
    """

    branches: Literal["both", "visual", "spatial"] = "both"
    embedding: int = Field(default=128, ge=2)
    dropout1: float = Field(default=0.3, ge=0, lt=1)
    dropout2: float = Field(default=0.2, ge=0, lt=1)
    temperature: float = Field(default=0.07, gt=0)


class RelationRecipe(RunRecipe):
    """The recipe of a relation run; the backbone `architecture` is frozen.

    Attributes:
        architecture_args: Arguments of `timm.create_model` that the initial weights require.
        class_weights: `balanced` weights a relation by n / (k · n_c), with n training pairs of k relations.
        data: See `DataSection`.
        network: See `NetworkSection`.
    """

    architecture_args: dict[str, Any] = Field(default_factory=dict)
    class_weights: Literal["none", "balanced"] = "balanced"
    data: DataSection = DataSection()
    network: NetworkSection = NetworkSection()

    def timm_arguments(self) -> dict[str, Any]:
        """`architecture_args`."""
        return self.architecture_args


#: The recipes of this study.
RECIPES = RecipeReader(RelationRecipe, "recipes", package="examples.relations")


class Backbone(Section):
    """What takes the place of the backbone of a recipe.

    Attributes:
        architecture: Name of a timm architecture.
        architecture_args: See `RelationRecipe`.
        mean: Mean of each channel on the scale 0 to 1.
        std: Standard deviation of each channel on the scale 0 to 1.
        weights: safetensors file, relative to the file that names it; None for timm's weights.
    """

    architecture: str
    architecture_args: dict[str, Any] = Field(default_factory=dict)
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    weights: Path | None = None

    def replace_in(self, recipe: RelationRecipe) -> RelationRecipe:
        """The recipe with this backbone.

        Raises:
            RecipeError: If the mean or the standard deviation is out of range.
        """
        changes = self.model_dump(include={"architecture", "architecture_args"})
        changes["preprocessing"] = recipe.preprocessing.model_dump() | self.model_dump(include={"mean", "std"})
        try:
            return RelationRecipe.model_validate(recipe.model_dump() | changes)
        except ValidationError as exc:
            raise RecipeError(self.architecture, faults(exc), "Correct the file of backbones") from exc


def read_backbones(path: Path) -> dict[str, Backbone]:
    """Read a TOML file with a table for each architecture of the recipes that is to be replaced.

    Raises:
        RecipeError: If it cannot be read, or a field is unknown or missing.
    """
    try:
        found = TypeAdapter(dict[str, Backbone]).validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as exc:
        raise RecipeError(str(path), faults(exc), "Correct it; `Backbone` documents every field") from exc
    except (OSError, ValueError) as exc:
        raise RecipeError(str(path), f"is not readable TOML ({exc})", "Give a file of backbones") from exc
    return {
        name: one.model_copy(update={"weights": path.parent / one.weights}) if one.weights else one
        for name, one in found.items()
    }
