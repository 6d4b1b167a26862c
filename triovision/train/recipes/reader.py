"""Reader of recipes from TOML files: by name or path, with a base recipe and overrides."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from triovision.errors import RecipeError, faults

R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class RecipeReader(Generic[R]):
    """Reads the recipes of one kind.

    Attributes:
        kind: Class of the recipes.
        folder: Folder with the recipes that come with `package`.
        package: Python package that holds the folder.
    """

    kind: type[R]
    folder: str
    package: str = "triovision.train.recipes"

    @property
    def _folder(self) -> Traversable:
        return files(self.package) / self.folder

    def names(self) -> list[str]:
        """Names of the recipes that come with the package."""
        return sorted(Path(entry.name).stem for entry in self._folder.iterdir() if entry.name.endswith(".toml"))

    def read(self, name_or_path: str, overrides: Sequence[str] = ()) -> R:
        """Read a recipe by its name in the package or from a TOML file.

        A recipe may name another recipe as its `base`, by name or path (beside it, or from the working directory), and
        hold only the fields that differ.

        Args:
            name_or_path: Name or file.
            overrides: Fields to replace, each `section.field=value` with the value in TOML; a value that is not valid
                TOML is taken as text, so that a word needs no quotes.

        Raises:
            RecipeError: If there is no such recipe, or a field is unknown, missing or out of its range.
        """
        table = self._table(name_or_path, ())
        for override in overrides:
            table = _merged(table, _override(override))
        try:
            return self.kind.model_validate(table)
        except ValidationError as exc:
            remedy = f"Correct the recipe; `{self.kind.__name__}` documents every field"
            raise RecipeError(name_or_path, faults(exc), remedy) from exc

    def _table(self, name_or_path: str, derived: tuple[str, ...]) -> dict[str, Any]:
        """The table of a recipe merged over that of its base; `derived` are the recipes that led here."""
        if name_or_path in derived:
            raise RecipeError(derived[0], f"its `base` recipes form a circle at {name_or_path}", "Name another base")
        try:
            table = tomllib.loads(self._text(name_or_path))
        except tomllib.TOMLDecodeError as exc:
            raise RecipeError(name_or_path, f"is not valid TOML ({exc})", "Correct the recipe") from exc
        base = table.pop("base", None)
        if base is None:
            return table
        if not isinstance(base, str):
            raise RecipeError(name_or_path, "`base` is not text", "Give the name or the file of a recipe")
        beside = Path(name_or_path).parent / base
        if base not in self.names() and beside.is_file():
            base = str(beside)
        return _merged(self._table(base, (*derived, name_or_path)), table)

    def _text(self, name_or_path: str) -> str:
        if name_or_path in self.names():
            return (self._folder / f"{name_or_path}.toml").read_text(encoding="utf-8")
        try:
            return Path(name_or_path).read_text(encoding="utf-8")
        except (OSError, ValueError) as exc:  # a path with a null byte is a ValueError
            remedy = f"Give a TOML file or one of {', '.join(self.names())}"
            raise RecipeError(name_or_path, "is not a readable recipe", remedy) from exc


def _merged(table: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The table with the changes, sections merged field by field."""
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
        raise RecipeError(
            text, "is not a field and its value", "Give `section.field=value`, such as optimisation.epochs=3"
        )
    nested: Any = _value(value.strip())
    for key in reversed(keys):
        nested = {key: nested}
    changes: dict[str, Any] = nested
    return changes


def _value(text: str) -> Any:  # noqa: ANN401 - any TOML value
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    # A line break would begin another field.
    return table["value"] if table.keys() == {"value"} else text
