"""Comparison tables of finished runs, from their `metrics.json` alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from triovision.errors import RecipeError
from triovision.files import atomic_write
from triovision.metrics.country import RunMetrics, SplitMetrics, read_metrics
from triovision.photo.names import spreadsheet_safe

TABLE = "comparison.csv"

_PERCENTAGES = ("top-1", "top-5", "macro recall", "ECE")
_BOUNDS = ("top-1 low", "top-1 high")
#: Caption of the tables. Which run is better needs both answers to each photo, which `metrics.json` does not hold.
NO_BEST = (
    "No value is marked as the best: differences smaller than the 95% intervals cannot be told apart. The intervals, "
    "in the columns low and high where the manifest has sources, are from resampling whole sources."
)


def read_runs(folders: Sequence[Path]) -> dict[str, RunMetrics]:
    """Read the metrics of finished runs by the name of their folder; folders with the same name by their path.

    Raises:
        RecipeError: If fewer than two runs are given, one is given twice, one has no `metrics.json`, or they were
            trained on different manifests: accuracies on different photos cannot be compared.
    """
    if len({folder.resolve() for folder in folders}) != len(folders) or len(folders) < 2:
        raise RecipeError("compare", f"got {', '.join(map(str, folders))}", "Give two or more different runs")
    short = [folder.resolve().name for folder in folders]
    names = [name if short.count(name) == 1 else str(folder) for name, folder in zip(short, folders, strict=True)]
    runs = {name: read_metrics(folder) for name, folder in zip(names, folders, strict=True)}
    reference = runs[names[0]]
    for name, run in runs.items():
        if run.manifest_sha256 != reference.manifest_sha256:
            reason = f"was trained on another manifest than {names[0]}, so their photos differ"
            raise RecipeError(name, reason, "Compare runs of one manifest")
    return runs


def warnings(runs: Mapping[str, RunMetrics]) -> list[str]:
    """Reasons why metrics of runs of one manifest cannot be compared."""
    (first, reference), *others = runs.items()
    messages = []
    for name, run in others:
        if run.labels != reference.labels:
            messages.append(
                f"{name} has {len(run.labels)} labels and {first} {len(reference.labels)}, which differ: "
                "their metrics are of different photos."
            )
        for split in sorted(run.splits.keys() ^ reference.splits.keys()):
            without = first if split in run.splits else name
            messages.append(f"{without} has no held-out photos for {split}.")
        for split in sorted(run.splits.keys() & reference.splits.keys()):
            photos, of_reference = (_held_out(r, split) for r in (run, reference))
            if photos != of_reference:
                messages.append(
                    f"{name} and {first} have different held-out photos for {split} ({photos} and {of_reference})."
                )
    return messages


def run_table(runs: Mapping[str, RunMetrics]) -> pd.DataFrame:
    """One row per run: recipe, architecture, cost and the metrics of each split as fractions; NaN where missing."""
    rows = []
    for name, run in runs.items():
        row: dict[str, Any] = {
            "run": name,
            "recipe": run.recipe["name"],
            "architecture": run.recipe["architecture"],
            "seed": run.recipe["seed"],
            "labels": len(run.labels),
            "parameters": run.cost.parameters,
            "epochs": run.cost.epochs,
            "training_s": run.cost.training_s,
            "photos_per_s": run.cost.photos_per_s,
        }
        for split, metrics in run.splits.items():
            row |= {
                f"{split} photos": metrics.scores.photos,
                f"{split} top-1": metrics.scores.top1,
                **_bounds(split, metrics),
                f"{split} top-5": metrics.scores.top5,
                f"{split} macro recall": metrics.scores.macro_recall,
                f"{split} ECE": metrics.after.expected_calibration_error if metrics.after else None,
            }
        rows.append(row)
    return pd.DataFrame(rows)


def seed_groups(runs: Mapping[str, RunMetrics]) -> dict[str, list[str]]:
    """Names of the runs whose recipes differ only in the seed, by the name of the recipe.

    Different recipes with the same name are distinguished by their first run.
    """
    by_recipe: dict[str, list[str]] = {}
    for name, run in runs.items():
        seedless = {field: value for field, value in run.recipe.items() if field != "seed"}
        by_recipe.setdefault(json.dumps([seedless, run.labels], sort_keys=True), []).append(name)
    recipes = [runs[members[0]].recipe["name"] for members in by_recipe.values()]
    return {
        recipe if recipes.count(recipe) == 1 else f"{recipe} ({members[0]})": members
        for recipe, members in zip(recipes, by_recipe.values(), strict=True)
    }


def group_table(table: pd.DataFrame, groups: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Mean and standard deviation (over seeds, n - 1) of every fraction, one row per recipe; NaN for a single run."""
    columns = [column for column in table if column.endswith(_PERCENTAGES)]
    rows = []
    for recipe, members in groups.items():
        values = table[table["run"].isin(members)][columns].astype(float)
        row: dict[str, Any] = {"recipe": recipe, "runs": len(values)}
        for column in columns:
            row |= {f"{column} mean": values[column].mean(), f"{column} sd": values[column].std(ddof=1)}
        rows.append(row)
    return pd.DataFrame(rows)


def table_text(table: pd.DataFrame) -> str:
    """A table for the terminal, transposed: one line per metric; fractions in per cent."""
    shown = pd.DataFrame({column: [cell_text(column, value) for value in table[column]] for column in table})
    return str(shown.set_index(shown.columns[0]).rename_axis(index=None).T.to_string())


def write_comparison(table: pd.DataFrame, out: Path) -> None:
    """Write the table of `run_table` to `comparison.csv` in a folder, created if needed."""
    atomic_write(out / TABLE, table.map(spreadsheet_safe).to_csv(index=False))


def _bounds(split: str, metrics: SplitMetrics) -> dict[str, float | None]:
    by_source = metrics.by_source
    return {f"{split} top-1 low": by_source.top1_low, f"{split} top-1 high": by_source.top1_high} if by_source else {}


def _held_out(run: RunMetrics, split: str) -> int:
    scores = run.splits[split].scores
    return scores.photos + scores.without_label


def cell_text(column: str, value: Any) -> str:  # noqa: ANN401 - a cell of a table
    """A cell of `run_table` or `group_table` as text, without control characters of untrusted names."""
    if pd.isna(value):
        return "\N{EN DASH}"
    if column.removesuffix(" mean").removesuffix(" sd").endswith((*_PERCENTAGES, *_BOUNDS)):
        return f"{value:.1%}"
    if column == "training_s":
        return duration(value)
    if isinstance(value, str):
        return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in value)
    return f"{value:,.1f}" if isinstance(value, float) and not value.is_integer() else f"{value:,.0f}"


def duration(seconds: float) -> str:
    """A duration as text, such as `"1 h 05 min"`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min {rest:02d} s"
