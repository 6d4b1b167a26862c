"""Benchmark of the four ResNetGPS architectures: the same hyper-parameters, cross-validated by place."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import pandas as pd

from triovision.files import atomic_write
from triovision.metrics.country import METRICS
from triovision.metrics.position import METHODS, PositionMetrics, PositionScores, read_position_metrics
from triovision.train.data.loaders import ReadOptions
from triovision.train.engine.run import CACHE, train_position
from triovision.train.engine.run_folder import read_position_run
from triovision.train.evaluation.position import write_metrics
from triovision.train.recipes.position_recipe import PositionRecipe
from triovision.train.tuning.cross_validation import FoldedManifest

VersionMetrics = dict[str, dict[str, PositionMetrics]]
"""Metrics by the version and the name of the fold."""

RESULTS = "benchmark.json"
_METRICS = tuple(name for name in PositionScores.model_fields if name != "photos")
_FRACTIONS = tuple(name for name in _METRICS if name.startswith("within_"))


def run_benchmark(
    recipes: Sequence[PositionRecipe],
    folded: FoldedManifest,
    folder: Path,
    weights: Path | None,
    options: ReadOptions,
    log: Callable[[str], object],
) -> VersionMetrics:
    """Train and measure one run per fold and version. After a kill, the same call skips the finished runs.

    The country probabilities come from a linear probe on the training photos of each run: a classifier that was
    trained on a held-out photo would know its country.

    Args:
        recipes: One recipe per version; the folds replace their validation splits.
        folded: See `fold_manifest`; only photos with a position.
        folder: Parent of the run folders, `<version>/fold-<n>`.
        weights: Initial weights of the backbone, or None.
        options: How photos are read; without a cache, all runs share one in the folder.
        log: Receives a message for each run.

    Raises:
        RecipeError: If a run cannot be trained or measured; see `train_position`.
    """
    options = replace(options, cache=options.cache or folder / CACHE)
    metrics: VersionMetrics = {recipe.version: {} for recipe in recipes}
    runs = list(product(enumerate(folded.columns, start=1), recipes))
    for number, ((fold, column), recipe) in enumerate(runs, start=1):
        run_folder = folder / recipe.version / f"fold-{fold}"
        log(f"run {number} of {len(runs)}: {run_folder}")
        data = recipe.data.model_copy(update={"validation_splits": (column,)})
        train_position(recipe.model_copy(update={"data": data}), folded.manifest, run_folder, weights, options)
        if not (run_folder / METRICS).exists():
            write_metrics(read_position_run(run_folder), folded.manifest, None, options)
        metrics[recipe.version][run_folder.name] = read_position_metrics(run_folder)
    return metrics


def spread_table(versions: VersionMetrics) -> pd.DataFrame:
    """Mean and standard deviation (n - 1) over the folds.

    Returns:
        One row per mode of prediction, version and metric: `mode`, `version`, `metric`, the value in each fold, `mean`
        and `sd`; NaN where a value is undefined.
    """
    rows = []
    for mode, (version, folds), metric in product(METHODS, versions.items(), _METRICS):
        values = {name: getattr(_only_split(metrics)[mode], metric) for name, metrics in folds.items()}
        rows.append({"mode": mode, "version": version, "metric": metric, **values})
    table = pd.DataFrame(rows)
    folds = table[list(next(iter(versions.values())))].astype(float)
    return table.assign(mean=folds.mean(axis=1), sd=folds.std(axis=1, ddof=1))


def spread_text(table: pd.DataFrame) -> str:
    """The table as text for the terminal: one block per mode, one line per version, mean ± standard deviation."""
    blocks = []
    for mode, of_mode in table.groupby("mode", sort=False):
        cells = {
            version: [_cell(row.metric, row.mean, row.sd) for row in rows.itertuples()]
            for version, rows in of_mode.groupby("version", sort=False)
        }
        shown = pd.DataFrame.from_dict(cells, orient="index", columns=[_heading(metric) for metric in _METRICS])
        blocks.append(f"{METHODS[str(mode)]}\n{shown.to_string()}")
    return "\n\n".join(blocks)


def write_results(versions: VersionMetrics, table: pd.DataFrame, folder: Path) -> None:
    """Write the recipes and metrics of all versions to `benchmark.json` and `benchmark.csv`.

    Args:
        versions: See `run_benchmark`.
        table: See `spread_table`.
        folder: Folder of the files.
    """
    results = {
        "photos": {
            version: {name: metrics.photos.model_dump() for name, metrics in folds.items()}
            for version, folds in versions.items()
        },
        "recipes": {version: next(iter(folds.values())).recipe for version, folds in versions.items()},
        "rows": table.astype(object).where(table.notna(), None).to_dict("records"),
    }
    atomic_write(folder / RESULTS, json.dumps(results, indent=1) + "\n")
    atomic_write(folder / "benchmark.csv", table.to_csv(index=False))


def _only_split(metrics: PositionMetrics) -> dict[str, PositionScores]:
    return next(iter(metrics.splits.values()))


def _heading(metric: str) -> str:
    return metric.removeprefix("within_").replace("_", " ") + (" %" if metric in _FRACTIONS else "")


def _cell(metric: str, mean: float, sd: float) -> str:
    if pd.isna(mean):
        return "\N{EN DASH}"
    factor, digits = (100, 1) if metric in _FRACTIONS else (1, 3 if metric.startswith("r2") else 0)
    spread = "" if pd.isna(sd) else f" ± {factor * sd:.{digits}f}"
    return f"{factor * mean:.{digits}f}{spread}"
