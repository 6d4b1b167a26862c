"""A recipe: one small TOML file that names everything a run depends on."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from triovision.errors import RecipeError, faults
from triovision.inference.preprocessing import Preprocessing
from triovision.train.recipe_sections import Augmentation, Data, LastLayer, Loss, Optimisation, Schedule, Section

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_UNIT = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


class Recipe(Section):
    """Everything that a run depends on beside the manifest and the starting weights.

    Attributes:
        name: Short name; also that of the run.
        description: One line for people.
        architecture: Name of a timm architecture.
        architecture_args: Its arguments beside the dropout, such as `img_size`; they go into the model's card.
        drop_rate: Dropout before the last layer.
        starting_weights: `none`: random. `hub`: timm's ImageNet weights, unless a file is given. `file`: a file
            (safetensors) has to be given.
        freeze_blocks: The stem and this many of the first stages keep their starting weights and statistics; 0 to
            train all layers. A block of a vision transformer counts as a stage.
        seed: Seed of everything random.
        normalisation: `given`: by the mean and the standard deviation of the preprocessing. `imagenet`: by those of
            ImageNet. `divide_by_255`: to between 0 and 1. `z_score`: by those of the training photos, measured once
            when a run begins; until then what the preprocessing gives, or ImageNet's.
        preprocessing: What the network sees when it is used.
        data: See `Data`.
        augmentation: See `Augmentation`.
        loss: See `Loss`.
        optimisation: See `Optimisation`.
        schedule: See `Schedule`.
        last_layer: See `LastLayer`.
    """

    name: str
    description: str
    architecture: str
    architecture_args: dict[str, Any] = Field(default_factory=dict)
    drop_rate: float = Field(default=0.2, ge=0, lt=1)
    starting_weights: Literal["none", "hub", "file"] = "hub"
    freeze_blocks: int = Field(default=0, ge=0)
    seed: int = 0
    normalisation: Literal["given", "imagenet", "divide_by_255", "z_score"] = "given"
    preprocessing: Preprocessing
    data: Data = Data()
    augmentation: Augmentation = Augmentation()
    loss: Loss = Loss()
    optimisation: Optimisation = Optimisation()
    schedule: Schedule = Schedule()
    last_layer: LastLayer = LastLayer()

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


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = files("triovision.train") / "recipes"
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".toml"))


def read_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe by its name in the package or from a TOML file.

    A recipe may name another one as its `base`, by name or path, and give only what differs.

    Args:
        name_or_path: Name or file.
        overrides: Fields to replace, each `section.field=value` with the value in TOML; a value that is no TOML is
            text, so that words need no quotes.

    Raises:
        RecipeError: If there is no such recipe, or a field is unknown, missing or out of its range.
    """
    table = _table(name_or_path, ())
    for override in overrides:
        table = _merged(table, _override(override))
    try:
        return Recipe.model_validate(table)
    except ValidationError as exc:
        raise RecipeError(name_or_path, faults(exc), "Correct the recipe; `Recipe` documents every field") from exc


def _table(name_or_path: str, derived: tuple[str, ...]) -> dict[str, Any]:
    """The recipe's own table over that of its base; `derived` are the recipes on the way here."""
    if name_or_path in derived:
        raise RecipeError(derived[0], f"`base` leads in a circle back to {name_or_path}", "Name another base")
    try:
        table = tomllib.loads(_text(name_or_path))
    except tomllib.TOMLDecodeError as exc:
        raise RecipeError(name_or_path, f"is no valid TOML ({exc})", "Correct the recipe") from exc
    base = table.pop("base", None)
    if base is None:
        return table
    if not isinstance(base, str):
        raise RecipeError(name_or_path, "`base` is no text", "Give the name or the file of a recipe")
    return _merged(_table(base, (*derived, name_or_path)), table)


def _text(name_or_path: str) -> str:
    if name_or_path in recipe_names():
        return (files("triovision.train") / "recipes" / f"{name_or_path}.toml").read_text(encoding="utf-8")
    try:
        return Path(name_or_path).read_text(encoding="utf-8")
    except (OSError, ValueError) as exc:  # a path with a null byte is a ValueError
        remedy = f"Give a TOML file or one of {', '.join(recipe_names())}"
        raise RecipeError(name_or_path, "is no recipe that can be read", remedy) from exc


def _merged(table: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The table with the changes, sections field by field."""
    merged = dict(table)
    for key, value in changes.items():
        both = isinstance(merged.get(key), Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _override(text: str) -> dict[str, Any]:
    """`a.b=value` as `{"a": {"b": value}}`."""
    field, equals, value = text.partition("=")
    keys = [key.strip() for key in field.split(".")]
    if not equals or not all(keys):
        raise RecipeError(text, "names no field and value", "Give `section.field=value`, such as optimisation.epochs=3")
    nested: Any = _value(value.strip())
    for key in reversed(keys):
        nested = {key: nested}
    changes: dict[str, Any] = nested
    return changes


def _value(text: str) -> Any:  # noqa: ANN401 - whatever TOML can say
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    # A line break would begin another field.
    return table["value"] if table.keys() == {"value"} else text
