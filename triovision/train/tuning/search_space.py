"""Search spaces: ranges and choices for the fields of a recipe, read from TOML, and grids around a point."""

from __future__ import annotations

import json
import tomllib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import BaseModel, Field, FiniteFloat, JsonValue, ValidationError
from pydantic_core import to_jsonable_python

from triovision.errors import RecipeError, faults
from triovision.train.recipes.country_recipe import RECIPES
from triovision.train.recipes.reader import RecipeReader
from triovision.train.recipes.sections import Section

Point = Mapping[str, Any]
"""A value for each field of a space, as Optuna stores it."""


class _Range(Section):
    low: int | FiniteFloat
    high: int | FiniteFloat
    log: bool = False
    step: int | FiniteFloat | None = None


class _Choices(Section):
    choices: list[JsonValue] = Field(min_length=1)


_REMEDY = (
    'Write `"section.field" = {low = 1e-5, high = 1e-2, log = true}`, `{low = 1, high = 9, step = 2}` or '
    "`{choices = [...]}`, the field's name in quotes"
)


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """Fields of a recipe and their possible values.

    Attributes:
        entries: Ranges and choices of the file by field.
        distributions: The same as Optuna's distributions. A choice that is a list or a table is named by its JSON text.
    """

    entries: Mapping[str, _Range | _Choices]
    distributions: dict[str, BaseDistribution]

    def overrides(self, point: Point) -> list[str]:
        """A point as overrides for `RecipeReader.read`."""
        return [f"{field}={json.dumps(self._recipe_value(field, value))}" for field, value in point.items()]

    def config(self) -> dict[str, Any]:
        """The ranges and choices as JSON-serialisable values."""
        return {field: entry.model_dump(exclude_defaults=True) for field, entry in sorted(self.entries.items())}

    def grid_around(self, point: Point) -> list[dict[str, Any]]:
        """All combinations of each number of the point and its two neighbours.

        The neighbours of a field with a step lie one step below and above; those of any other number are its half and
        its double, within the bounds. Choices keep their value.
        """
        values = [self._neighbours(field, point[field]) for field in self.entries]
        return [dict(zip(self.entries, chosen, strict=True)) for chosen in product(*values)]

    def _recipe_value(self, field: str, value: Any) -> Any:  # noqa: ANN401 - any TOML value
        entry = self.entries[field]
        choices = entry.choices if isinstance(entry, _Choices) else []
        return next((choice for choice in choices if _optuna_value(choice) == value), value)

    def _neighbours(self, field: str, value: Any) -> list[Any]:  # noqa: ANN401
        entry, distribution = self.entries[field], self.distributions[field]
        if not isinstance(entry, _Range):
            return [value]
        number = int if isinstance(distribution, IntDistribution) else float
        if entry.step is not None:
            near = {round(value - entry.step, 12), value, round(value + entry.step, 12)}
        else:
            near = {max(entry.low, value / 2), value, min(entry.high, value * 2)}
        return sorted({number(v) for v in near if entry.low <= v <= entry.high})


def read_space(
    path: Path, recipe_name: str, overrides: Sequence[str] = (), book: RecipeReader[Any] = RECIPES
) -> SearchSpace:
    """Read a space, and check every bound and choice against the recipe.

    Args:
        path: TOML file. For each field of the recipe, such as `"optimisation.learning_rate"`, it gives `low` and
            `high` and optionally `log` or `step`, or it gives `choices`.
        recipe_name: Name or file of the recipe.
        overrides: Its replaced fields.
        book: The recipes of its kind.

    Raises:
        RecipeError: If the file cannot be read, a field or value does not fit the recipe, or a range is empty.
    """
    book.read(recipe_name, overrides)  # its own errors must not be reported as errors of the space
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise RecipeError(str(path), f"is no TOML file that can be read ({exc})", _REMEDY) from exc
    if not table:
        raise RecipeError(str(path), "names no field", _REMEDY)
    entries = {field: _entry(f"{path}, `{field}`", entry) for field, entry in table.items()}
    distributions = {
        field: _distribution(
            f"{path}, `{field}`", field, entry, lambda more: book.read(recipe_name, [*overrides, more])
        )
        for field, entry in entries.items()
    }
    return SearchSpace(entries, distributions)


def published_space() -> Path:
    """Path of the search space of the published ResNetGPS study."""
    return Path(str(files("triovision.train.recipes") / "search_spaces" / "resnetgps.toml"))


def value_at(recipe: BaseModel, field: str) -> Any:  # noqa: ANN401 - any value of a recipe
    """Value of a field by its dotted name."""
    keys = [key.strip() for key in field.split(".")]
    # Of the recipe itself, because a dump leaves out `data.label_column` where it is the default.
    value = reduce(lambda table, key: table[key] if isinstance(table, Mapping) else getattr(table, key), keys, recipe)
    return to_jsonable_python(value)


def _entry(subject: str, table: Any) -> _Range | _Choices:  # noqa: ANN401
    kind = _Choices if isinstance(table, dict) and "choices" in table else _Range
    try:
        return kind.model_validate(table)
    except ValidationError as exc:
        raise RecipeError(subject, f"is neither a range nor choices ({faults(exc)})", _REMEDY) from exc


def _distribution(
    subject: str, field: str, entry: _Range | _Choices, recipe_with: Callable[[str], BaseModel]
) -> BaseDistribution:
    given = entry.choices if isinstance(entry, _Choices) else [entry.low, entry.high]
    values = []
    for value in given:
        try:
            values.append(value_at(recipe_with(f"{field}={json.dumps(value)}"), field))
        except RecipeError as exc:
            raise RecipeError(subject, f"{json.dumps(value)} does not fit the recipe ({exc.reason})", _REMEDY) from exc
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Optuna would shorten a range that its step does not divide
            if isinstance(entry, _Choices):
                return CategoricalDistribution([_optuna_value(choice) for choice in entry.choices])
            return _range(entry, values)
    except (ValueError, UserWarning) as exc:
        raise RecipeError(subject, str(exc).rstrip("."), _REMEDY) from exc


def _range(entry: _Range, bounds: list[Any]) -> BaseDistribution:
    """An integer range where the recipe's field holds integers, else a float range."""
    if not all(isinstance(bound, int | float) and not isinstance(bound, bool) for bound in bounds):
        raise ValueError("is no number: give choices")
    low, high = bounds
    if not (isinstance(low, int) and isinstance(high, int)):
        return FloatDistribution(low, high, entry.log, entry.step)
    if entry.step is not None and entry.step != int(entry.step):
        raise ValueError(f"is a whole number, and the step is {entry.step}")
    return IntDistribution(low, high, entry.log, 1 if entry.step is None else int(entry.step))


def _optuna_value(choice: JsonValue) -> bool | int | float | str | None:
    return json.dumps(choice) if isinstance(choice, list | dict) else choice
