"""The four architectures under the same hyper-parameters, cross-validated by place."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
from optuna.trial import TrialState

from triovision.errors import RecipeError
from triovision.metrics.country import METRICS
from triovision.metrics.position import WAYS, PositionMetrics, PositionScores, read_position_metrics
from triovision.reporting.study import study_figures
from triovision.train.data.loaders import ReadOptions
from triovision.train.engine.position_run import CACHE, run
from triovision.train.engine.position_run_folder import read_gps_run
from triovision.train.evaluation.position import write_metrics
from triovision.train.recipes.position_recipe import GpsRecipe
from triovision.train.tuning.cross_validation import FoldedManifest
from triovision.train.tuning.study import read_study
from triovision.viz import LIGHT, figures_page
from triovision.viz.position_figures import position_figures

Versions = dict[str, dict[str, PositionMetrics]]
"""Metrics by the version and the name of the fold."""

_FIGURES = tuple(name for name in PositionScores.model_fields if name != "photos")
#: Shares, shown in per cent.
_SHARES = tuple(name for name in _FIGURES if name.startswith("within_"))


def benchmark(
    recipes: Sequence[GpsRecipe],
    folded: FoldedManifest,
    folder: Path,
    weights: Path | None,
    reading: ReadOptions,
    say: Callable[[str], object],
) -> Versions:
    """Train and measure one run a fold and version; what a killed benchmark finished is not done again.

    The countries are those of a linear probe on the photos that each run learnt from, because a classifier that had
    learnt from a held-out photo would know its country.

    Args:
        recipes: One recipe a version; their columns of splits give way to the folds.
        folded: See `fold_manifest`; of photos with a position alone.
        folder: Each run's folder is `<version>/fold-<n>` in it.
        weights: Starting weights of the backbone, or None.
        reading: How photos are read; without a cache, all runs share one in the folder.
        say: Told which run it is.

    Raises:
        RecipeError: If a run cannot be trained or measured; see `run`.
    """
    reading = replace(reading, cache=reading.cache or folder / CACHE)
    found: Versions = {recipe.version: {} for recipe in recipes}
    runs = list(product(enumerate(folded.columns, start=1), recipes))
    for number, ((fold, column), recipe) in enumerate(runs, start=1):
        own = folder / recipe.version / f"fold-{fold}"
        say(f"run {number} of {len(runs)}: {own}")
        data = recipe.data.model_copy(update={"validation_splits": (column,)})
        run(recipe.model_copy(update={"data": data}), folded.manifest, own, weights, reading)
        if not (own / METRICS).exists():
            write_metrics(read_gps_run(own), folded.manifest, None, reading)
        found[recipe.version][own.name] = read_position_metrics(own)
    return found


def spread_table(versions: Versions) -> pd.DataFrame:
    """One row a way, version and figure: its value in each fold, mean and standard deviation (n - 1)."""
    rows = []
    for way, (version, folds), figure in product(WAYS, versions.items(), _FIGURES):
        values = {name: getattr(_only_split(metrics)[way], figure) for name, metrics in folds.items()}
        rows.append({"way": way, "version": version, "figure": figure, **values})
    table = pd.DataFrame(rows)
    folds = table[list(next(iter(versions.values())))].astype(float)
    return table.assign(mean=folds.mean(axis=1), sd=folds.std(axis=1, ddof=1))


def spread_text(table: pd.DataFrame) -> str:
    """The table for the terminal: one block a way, one line a version, mean ± standard deviation."""
    blocks = []
    for way, of_way in table.groupby("way", sort=False):
        cells = {
            version: [_cell(row.figure, row.mean, row.sd) for row in rows.itertuples()]
            for version, rows in of_way.groupby("version", sort=False)
        }
        shown = pd.DataFrame.from_dict(cells, orient="index", columns=[_heading(figure) for figure in _FIGURES])
        blocks.append(f"{WAYS[str(way)]}\n{shown.to_string()}")
    return "\n\n".join(blocks)


def finished_study_figures(folder: Path) -> dict[str, go.Figure]:
    """History and importances of a study by `gps tune`, by heading.

    Raises:
        RecipeError: If the folder holds no study with a finished trial.
    """
    study = read_study(folder)
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        raise RecipeError(str(folder), "holds a study without a finished trial", "Finish it with its own command")
    figures = study_figures(study, str(study.user_attrs["facts"]["metric"]))
    return {f"Study: {heading.lower()}": figure for heading, figure in figures.items()}


def write_benchmark(
    versions: Versions, table: pd.DataFrame, folder: Path, more_figures: Mapping[str, go.Figure]
) -> Path:
    """Write `benchmark.json`, `benchmark.csv` and `benchmark.html`.

    Args:
        versions: See `benchmark`.
        table: See `spread_table`.
        folder: Where they go.
        more_figures: Figures for the end of the page, by heading.

    Returns:
        The page.
    """
    figures = position_figures(versions, LIGHT) | dict(more_figures)
    facts = {
        "photos": {
            version: {name: metrics.photos.model_dump() for name, metrics in folds.items()}
            for version, folds in versions.items()
        },
        "recipes": {version: next(iter(folds.values())).recipe for version, folds in versions.items()},
        "rows": table.astype(object).where(table.notna(), None).to_dict("records"),
    }
    (folder / "benchmark.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    table.to_csv(folder / "benchmark.csv", index=False)
    page = folder / "benchmark.html"
    folds = len(next(iter(versions.values())))
    page.write_text(figures_page(figures, f"ResNetGPS: {len(versions)} architectures, {folds} folds"), encoding="utf-8")
    return page


def _only_split(metrics: PositionMetrics) -> dict[str, PositionScores]:
    return next(iter(metrics.splits.values()))


def _heading(figure: str) -> str:
    return figure.removeprefix("within_").replace("_", " ") + (" %" if figure in _SHARES else "")


def _cell(figure: str, mean: float, sd: float) -> str:
    if pd.isna(mean):
        return "\N{EN DASH}"
    factor, digits = (100, 1) if figure in _SHARES else (1, 3 if figure.startswith("r2") else 0)
    spread = "" if pd.isna(sd) else f" ± {factor * sd:.{digits}f}"
    return f"{factor * mean:.{digits}f}{spread}"
