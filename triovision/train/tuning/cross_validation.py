"""Cross-validation of a recipe: folds, one run per fold, mean and standard deviation of its metrics."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from triovision.errors import ManifestError, RecipeError
from triovision.files import atomic_write
from triovision.metrics.country import METRICS, RunMetrics, SplitMetrics, read_metrics
from triovision.train.data.loaders import LoadOptions
from triovision.train.data.manifest import Manifest, read_manifest, write_manifest
from triovision.train.data.splits import By, Parts, divide_into_folds, whole_groups, without_test
from triovision.train.engine.run import train_country
from triovision.train.engine.run_folder import read_country_run
from triovision.train.evaluation.country import scalar_metrics, write_run_metrics
from triovision.train.recipes.country_recipe import Recipe

Group = Literal["place", "source", "none"]

FOLDS, RESULTS = "folds.parquet", "cv.json"
#: Metrics that are not fractions of one.
NOT_FRACTIONS = ("negative_log_likelihood",)
#: The default of `triovision train report`.
_TARGET_ACCURACY = 0.75


@dataclass(frozen=True, slots=True)
class FoldedManifest:
    """A manifest with one split column per fold, `split_fold_<n>`: `val` for the photos of the fold, else `train`.

    Attributes:
        manifest: The photos.
        columns: Names of the split columns.
        always_in_training: Labels that could not be divided; their photos are training photos in every fold.
        without_training: Labels whose photos are all in one fold, so that they have no training photo there.
    """

    manifest: Manifest
    columns: tuple[str, ...]
    always_in_training: tuple[str, ...]
    without_training: tuple[str, ...]


def fold_manifest(manifest: Manifest, folder: Path, group: Group, folds: int, seed: int) -> FoldedManifest:
    """Divide photos into folds, stratified by country, and write them to `folds.parquet`.

    Args:
        manifest: Photos; all but those of `without_test` are divided, whatever its split columns contain.
        folder: Folder of the file; a file of an earlier call is checked and kept.
        group: `"place"` or `"source"` keeps the photos of each in one fold.
        folds: Number of folds, at least 2.
        seed: Seed of the division.

    Raises:
        ManifestError: If the manifest has too few photos, places or sources.
        RecipeError: If the folder holds other folds.
    """
    manifest = without_test(manifest)
    by: By = "random" if group == "none" else group
    groups = whole_groups(manifest.table, by, np.empty((0, 2), dtype=np.intp))
    parts = divide_into_folds(manifest.table, groups, by, folds=folds, seed=seed, label_column=manifest.label_column)
    return _written(manifest, folder, parts, folds)


def column_folds(manifest: Manifest, folder: Path, column: str) -> FoldedManifest:
    """Read the folds from a column of a manifest and write them to `folds.parquet`.

    Args:
        manifest: Photos. `column` holds their folds, from 0; `train` are training photos of every fold, and photos
            marked `test` are left out, as are those of `without_test`.
        folder: Folder of the file; a file of an earlier call is checked and kept.
        column: Column of the folds, such as `split_new_sources`.

    Raises:
        ManifestError: If the column holds other values, fewer than two folds, or folds with a gap.
        RecipeError: If the folder holds other folds.
    """
    manifest = without_test(manifest)
    manifest = manifest.where(manifest.table[column] != "test")
    part = manifest.table[column].to_numpy(dtype=str)
    names = set(part.tolist()) - {"train"}
    if len(names) < 2 or names != {str(fold) for fold in range(len(names))}:
        found = ", ".join(sorted(names)[:5]) or "nothing"
        raise ManifestError(f"`{column}`", f"holds {found}", "Give a column of folds 0, 1, 2 …, `train` and `test`")
    folds = pd.Series(part).groupby(manifest.labels.to_numpy()).unique()
    single = tuple(str(label) for label, values in folds.items() if len(values) == 1 and values[0] != "train")
    return _written(manifest, folder, Parts(part, (), single), len(names))


def _written(manifest: Manifest, folder: Path, parts: Parts, folds: int) -> FoldedManifest:
    """Write the folds as an ordinary manifest, so that `report` and `export` work on the run of each fold."""
    columns = tuple(f"split_fold_{fold + 1}" for fold in range(folds))
    held_out = {column: np.where(parts.part == str(fold), "val", "train") for fold, column in enumerate(columns)}
    if empty := [column for column, part in held_out.items() if not (part == "val").any()]:
        remedy = "Give fewer folds, group by none, or add photos of more places"
        raise ManifestError("The manifest", f"leaves nothing for {', '.join(empty)}", remedy)
    table, path = manifest.table.assign(**held_out), folder / FOLDS
    if not path.exists():
        write_manifest(table, path, manifest.label_column)
    places = ["place"] if "place" in table else []
    folded = read_manifest(path, manifest.root, places, manifest.label_column)
    compared = ["file", manifest.label_column, *places, *columns]
    if not set(compared) <= set(folded.table) or not folded.table[compared].astype(str).equals(
        table[compared].astype(str)
    ):
        raise RecipeError(str(path), "holds other folds or other photos", "Give another --out folder")
    return FoldedManifest(folded, columns, parts.kept_in_train, parts.without_training)


def cross_validate(
    recipe: Recipe,
    folded: FoldedManifest,
    folder: Path,
    weights: Path | None,
    options: LoadOptions,
    log: Callable[[str], object],
) -> dict[str, RunMetrics]:
    """Train and measure one run per fold. After a kill, the same call skips the finished folds.

    Args:
        recipe: The recipe; the folds replace its validation splits.
        folded: See `fold_manifest`.
        folder: Parent of the run folders, `fold-<n>`.
        weights: Initial weights of the backbone, or None.
        options: How photos are read.
        log: Receives a message for each fold.

    Returns:
        Metrics by the name of the run folder.

    Raises:
        RecipeError: If a run cannot be trained or measured; see `train_country`.
    """
    metrics = {}
    for number, column in enumerate(folded.columns, start=1):
        run_folder = folder / f"fold-{number}"
        data = recipe.data.model_copy(update={"validation_splits": (column,)})
        log(f"fold {number} of {len(folded.columns)}: {run_folder}")
        train_country(recipe.model_copy(update={"data": data}), folded.manifest, run_folder, weights, options)
        if not (run_folder / METRICS).exists():
            write_run_metrics(read_country_run(run_folder), folded.manifest, _TARGET_ACCURACY, options.workers)
        metrics[run_folder.name] = read_metrics(run_folder)
    return metrics


def spread_table(runs: dict[str, RunMetrics]) -> pd.DataFrame:
    """Mean and standard deviation (n - 1) of each metric over the folds.

    Returns:
        One row per metric: `metric`, its value in each fold, `mean` and `sd`; NaN where a value is undefined.
    """
    table = pd.DataFrame({name: _fold_metrics(metrics) for name, metrics in runs.items()}).astype(float)
    mean, sd = table.mean(axis=1), table.std(axis=1, ddof=1)
    return table.assign(mean=mean, sd=sd).rename_axis("metric").reset_index()


def spread_text(table: pd.DataFrame) -> str:
    """The table as text for the terminal, fractions in per cent."""
    shown = table.set_index("metric")
    for metric in shown.index.difference(NOT_FRACTIONS):
        shown.loc[metric] *= 100
    names = [metric if metric in NOT_FRACTIONS else f"{metric} %" for metric in shown.index]
    return str(shown.set_axis(names).to_string(float_format=lambda value: f"{value:.2f}", na_rep="\N{EN DASH}"))


def write_results(recipe: Recipe, runs: dict[str, RunMetrics], table: pd.DataFrame, folder: Path) -> None:
    """Write the metrics of all folds, their means and standard deviations to `cv.json` and `cv.csv`.

    Args:
        recipe: The recipe.
        runs: See `cross_validate`.
        table: See `spread_table`.
        folder: Folder of the files.
    """
    rows = table.set_index("metric").astype(object).where(table.set_index("metric").notna(), None)
    results = {
        "recipe": recipe.model_dump(mode="json"),
        "folds": {
            name: {
                "labels": len(metrics.labels),
                "photos": _only_split(metrics).scores.photos,
                "without_label": _only_split(metrics).scores.without_label,
                "metrics": rows[name].to_dict(),
            }
            for name, metrics in runs.items()
        },
        "mean": rows["mean"].to_dict(),
        "sd": rows["sd"].to_dict(),
    }
    atomic_write(folder / RESULTS, json.dumps(results, indent=1) + "\n")
    atomic_write(folder / "cv.csv", table.to_csv(index=False))


def _only_split(metrics: RunMetrics) -> SplitMetrics:
    return next(iter(metrics.splits.values()))


def _fold_metrics(metrics: RunMetrics) -> dict[str, float | None]:
    gaps, by_source = metrics.overfitting.gaps, _only_split(metrics).by_source
    means = (
        {"top1_by_source": by_source.top1_by_source, "top5_by_source": by_source.top5_by_source} if by_source else {}
    )
    return scalar_metrics(_only_split(metrics)) | means | {"overfitting_gap": gaps[0].gap if gaps else None}
