"""Cross-validation: one ordinary run for each fold, and the mean and spread of their figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from triovision.errors import ManifestError, RecipeError
from triovision.metrics.country import METRICS, RunMetrics, SplitMetrics, read_metrics
from triovision.reporting.run import write_report
from triovision.train.data.loaders import LoadOptions
from triovision.train.data.manifest import Manifest, read_manifest, write_manifest
from triovision.train.data.splits import divide_into_folds, whole_groups
from triovision.train.engine.run import train_country
from triovision.train.engine.run_folder import read_country_run
from triovision.train.evaluation.country import scalar_metrics
from triovision.train.recipes.country_recipe import Recipe
from triovision.viz import LIGHT, figures_page
from triovision.viz.study_figures import metric_spread

FOLDS = "folds.parquet"
#: As `report` has it when it is not told otherwise.
_WANTED_ACCURACY = 0.75
_NO_SHARES = ("negative_log_likelihood",)


@dataclass(frozen=True, slots=True)
class FoldedManifest:
    """A manifest with a column `split_fold_<n>` for each fold, `val` for its photos and `train` for all others.

    Attributes:
        manifest: The photos.
        columns: Names of the columns.
        always_learnt: Countries whose photos are trained on with every fold, because they could not be divided.
    """

    manifest: Manifest
    columns: tuple[str, ...]
    always_learnt: tuple[str, ...]


def fold_manifest(
    manifest: Manifest, folder: Path, group: Literal["place", "none"], folds: int, seed: int
) -> FoldedManifest:
    """Divide photos into folds, stratified by country, and keep them in `folds.parquet`.

    Args:
        manifest: Photos; all of them take part, whatever its columns of splits say.
        folder: Where the file goes, or lies already.
        group: `"place"` never divides the photos of a place.
        folds: Number of folds, at least 2.
        seed: Seed of the division.

    Raises:
        ManifestError: If there are too few photos or places.
        RecipeError: If the folder holds other folds.
    """
    by: Literal["place", "random"] = "place" if group == "place" else "random"
    groups = whole_groups(manifest.table, by, np.empty((0, 2), dtype=np.intp))
    parts = divide_into_folds(manifest.table, groups, by, folds=folds, seed=seed)
    columns = tuple(f"split_fold_{fold + 1}" for fold in range(folds))
    held_out = {column: np.where(parts.part == str(fold), "val", "train") for fold, column in enumerate(columns)}
    if empty := [column for column, part in held_out.items() if not (part == "val").any()]:
        remedy = "Ask for fewer folds, group by none, or add photos of more places"
        raise ManifestError("The manifest", f"leaves nothing for {', '.join(empty)}", remedy)
    table, path = manifest.table.assign(**held_out), folder / FOLDS
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_manifest(table, path)
    # An ordinary manifest, so that `report`, `export` and all else work on each fold's run.
    found = read_manifest(path, manifest.root, ["place"])
    compared = ["file", "country", "place", *columns]
    if not set(compared) <= set(found.table) or not found.table[compared].astype(str).equals(
        table[compared].astype(str)
    ):
        raise RecipeError(str(path), "holds other folds or other photos", "Give another --out folder")
    return FoldedManifest(found, columns, parts.kept_in_train)


def cross_validate(
    recipe: Recipe,
    folded: FoldedManifest,
    folder: Path,
    source: Path | None,
    loading: LoadOptions,
    say: Callable[[str], object],
) -> dict[str, RunMetrics]:
    """Train and measure one run a fold; what a killed cross-validation finished is not done again.

    Args:
        recipe: What to train; its columns of splits give way to the folds.
        folded: See `fold_manifest`.
        folder: Each run's folder is `fold-<n>` in it.
        source: Starting weights of the backbone, or None.
        loading: How photos are read.
        say: Told which fold it is.

    Returns:
        Figures by the name of the run's folder.

    Raises:
        RecipeError: If a run cannot be trained or measured; see `run`.
    """
    found = {}
    for number, column in enumerate(folded.columns, start=1):
        own = folder / f"fold-{number}"
        data = recipe.data.model_copy(update={"validation_splits": (column,)})
        say(f"fold {number} of {len(folded.columns)}: {own}")
        train_country(recipe.model_copy(update={"data": data}), folded.manifest, own, source, loading)
        if not (own / METRICS).exists():
            write_report(read_country_run(own), folded.manifest, _WANTED_ACCURACY, loading.workers, show_photos=False)
        found[own.name] = read_metrics(own)
    return found


def spread_table(runs: dict[str, RunMetrics]) -> pd.DataFrame:
    """One row a figure: its value in each fold, mean and standard deviation (n - 1), NaN where there is none."""
    columns = {name: _fold_figures(metrics) for name, metrics in runs.items()}
    table = pd.DataFrame(columns).astype(float)
    mean, sd = table.mean(axis=1), table.std(axis=1, ddof=1)
    return table.assign(mean=mean, sd=sd).rename_axis("metric").reset_index()


def spread_text(table: pd.DataFrame) -> str:
    """The table for the terminal, shares in per cent."""
    shown = table.set_index("metric")
    for metric in shown.index.difference(_NO_SHARES):
        shown.loc[metric] *= 100
    names = [metric if metric in _NO_SHARES else f"{metric} %" for metric in shown.index]
    return str(shown.set_axis(names).to_string(float_format=lambda value: f"{value:.2f}", na_rep="\N{EN DASH}"))


def write_cross_validation(recipe: Recipe, runs: dict[str, RunMetrics], table: pd.DataFrame, folder: Path) -> Path:
    """Write `cv.json`, `cv.csv` and `cv.html`.

    Returns:
        The page.
    """
    rows = table.set_index("metric").astype(object).where(table.set_index("metric").notna(), None)
    facts = {
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
    (folder / "cv.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    table.to_csv(folder / "cv.csv", index=False)
    values = {str(row["metric"]): [float(row[name]) for name in runs] for row in table.to_dict("records")}
    shares = {name: found for name, found in values.items() if name not in _NO_SHARES}
    others = {name: found for name, found in values.items() if name in _NO_SHARES}
    pages = {
        "Shares": metric_spread(shares, tuple(runs), LIGHT, ".0%"),
        "Log-likelihood": metric_spread(others, tuple(runs), LIGHT, ".2f"),
    }
    page = folder / "cv.html"
    page.write_text(figures_page(pages, f"{recipe.name}: {len(runs)} folds"), encoding="utf-8")
    return page


def _only_split(metrics: RunMetrics) -> SplitMetrics:
    return next(iter(metrics.splits.values()))


def _fold_figures(metrics: RunMetrics) -> dict[str, float | None]:
    gaps = metrics.overfitting.gaps
    return scalar_metrics(_only_split(metrics)) | {"overfitting_gap": gaps[0].gap if gaps else None}
