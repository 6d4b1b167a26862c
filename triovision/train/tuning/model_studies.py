"""Comparisons and hyper-parameter studies of a model, from the folders that training commands leave behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState
from pydantic import ValidationError

from triovision.errors import RecipeError, faults
from triovision.metrics.model_studies import CONTROL, ComparedRow, Comparison, HyperparameterStudy, Measure, Trial
from triovision.metrics.position import NETWORK_METHODS
from triovision.train.evaluation.compare import TABLE
from triovision.train.evaluation.model_studies import Study, proportion_interval
from triovision.train.tuning.cross_validation import RESULTS as CROSS_VALIDATION
from triovision.train.tuning.position_benchmark import RESULTS as BENCHMARK
from triovision.train.tuning.study import CONFIG, JOURNAL, MIN_TRIALS_FOR_IMPORTANCE, PHOTOS, read_study

_STATES: Final[dict[TrialState, Literal["complete", "pruned", "failed"]]] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
_SCORES: Final = {"top1": "top-1", "top5": "top-5", "macro_recall": "macro recall"}


def read_folders(folders: Sequence[Path], command: str) -> list[Study]:
    """Read what training commands left in folders; cross-validations become one comparison.

    Args:
        folders: Output folders of `train compare`, `train cv`, `train benchmark resnetgps`, `train tune`,
            `train search` or `train gps tune`.
        command: Command that reads them, for the file.

    Raises:
        RecipeError: If a folder holds none of these, or one that is damaged.
    """
    readers: dict[str, Callable[[Path, str], Study]] = {
        TABLE: recipe_comparison,
        BENCHMARK: version_comparison,
        JOURNAL: hyperparameter_study,
    }
    studies, cross_validations = [], []
    for folder in folders:
        if (folder / CROSS_VALIDATION).exists():
            cross_validations.append(folder)
            continue
        name = next((name for name in readers if (folder / name).exists()), None)
        if name is None:
            remedy = "Give the --out folder of `train compare`, `cv`, `benchmark resnetgps`, `tune` or `search`"
            raise RecipeError(str(folder), "holds no comparison, cross-validation, benchmark or study", remedy)
        studies.append(_read(readers[name], folder, command))
    if cross_validations:
        studies.append(_read(cross_validation_comparison, cross_validations, command))
    return studies


def recipe_comparison(folder: Path, command: str) -> Comparison:
    """Comparison of the runs of `train compare`: one row for each run and validation split.

    Args:
        folder: Folder with `comparison.csv`.
        command: Command that reads it.
    """
    table = pd.read_csv(folder / TABLE)
    splits = [column.removesuffix(" photos") for column in table if column.endswith(" photos")]
    by_source = any(f"{split} top-1 low" in table for split in splits)
    names = table["recipe"].where(~table["recipe"].duplicated(keep=False), table["recipe"] + " (" + table["run"] + ")")
    rows = [
        ComparedRow(name=name, on=split, photos=int(run[f"{split} photos"]), metrics=_scores(run, split, by_source))
        for name, run in zip(names, table.to_dict("records"), strict=True)
        for split in splits
        if run[f"{split} photos"] > 0
    ]
    epochs = " / ".join(f"{n:g}" for n in sorted(set(table["epochs"])))
    return Comparison(
        name="comparison",
        kind="recipes",
        measured_on=f"one run a row; epochs: {epochs}; validation photos whose country has a label",
        command=command,
        folds=None,
        interval="sources" if by_source else "photos",
        metric="top1",
        rows=tuple(rows),
    )


def cross_validation_comparison(folders: Sequence[Path], command: str) -> Comparison:
    """Comparison of recipes by the results of `train cv`: one row for each folder.

    Args:
        folders: Folders with `cv.json`, with the same number of folds.
        command: Command that reads them.

    Raises:
        RecipeError: If the numbers of folds differ.
    """
    results = [json.loads((folder / CROSS_VALIDATION).read_bytes()) for folder in folders]
    folds = len(results[0]["folds"])
    if any(len(result["folds"]) != folds for result in results):
        listed = ", ".join(map(str, folders))
        raise RecipeError(listed, "have different numbers of folds", "Give cross-validations with the same folds")
    rows = [
        ComparedRow(
            name=result["recipe"]["name"],
            on="held-out folds",
            photos=sum(fold["photos"] for fold in result["folds"].values()),
            metrics=_spreads({name: (result["mean"].get(name), result["sd"].get(name)) for name in _SCORES}),
        )
        for result in results
    ]
    return Comparison(
        name="cross-validation",
        kind="recipes",
        measured_on=f"{folds} folds; the photos of each fold by a run on the others",
        command=command,
        folds=folds,
        interval=None,
        metric="top1",
        rows=tuple(rows),
    )


def version_comparison(folder: Path, command: str) -> Comparison:
    """Comparison of the versions of ResNetGPS: one row for each version and method of prediction.

    Args:
        folder: Folder of `train benchmark resnetgps` with `benchmark.json`.
        command: Command that reads it.
    """
    results = json.loads((folder / BENCHMARK).read_bytes())
    photos = {
        version: sum(sum(fold["validation"].values()) for fold in folds.values())
        for version, folds in results["photos"].items()
    }
    metrics: dict[tuple[str, str], dict[str, tuple[Any, Any]]] = {}
    for row in results["rows"]:
        metrics.setdefault((row["version"], row["mode"]), {})[row["metric"]] = (row["mean"], row["sd"])
    first = next(iter(photos))
    rows = [
        ComparedRow(
            name=version if method in NETWORK_METHODS else CONTROL,
            on=method,
            photos=photos[version],
            metrics=_spreads(values),
        )
        for (version, method), values in metrics.items()
        # The controls run no regressor, and so are the same for each version.
        if method in NETWORK_METHODS or version == first
    ]
    folds = len(next(iter(results["photos"].values())))
    epochs = next(iter(results["recipes"].values()))["optimisation"]["epochs"]
    return Comparison(
        name="versions",
        kind="versions",
        measured_on=f"{folds} folds by place; epochs: {epochs}; photos with a position",
        command=command,
        folds=folds,
        interval=None,
        metric="median_km",
        rows=tuple(rows),
    )


def hyperparameter_study(folder: Path, command: str) -> HyperparameterStudy:
    """Trials and importances of a study.

    Args:
        folder: Folder of `train tune`, `train search` or `train gps tune`.
        command: Command that reads it.

    Raises:
        RecipeError: If the folder holds no study with a finished trial.
    """
    study = read_study(folder)
    trials = [trial for trial in study.get_trials(deepcopy=False) if trial.state in _STATES]
    values = [trial.value for trial in trials if trial.state == TrialState.COMPLETE and trial.value is not None]
    if not values:
        raise RecipeError(str(folder), "holds a study without a finished trial", "Finish it with its own command")
    config = study.user_attrs[CONFIG]
    # Equal values have no differences to explain.
    enough = len(values) >= MIN_TRIALS_FOR_IMPORTANCE and len(set(values)) > 1
    importances = optuna.importance.get_param_importances(study) if enough else {}
    epochs, photos = config["recipe"]["optimisation"]["epochs"], study.user_attrs.get(PHOTOS)
    interval = proportion_interval(study.best_value, photos) if photos and config["metric"].endswith("/top1") else None
    return HyperparameterStudy(
        name=config["recipe"]["name"],
        measured_on=f"epochs a trial: {epochs}; the best epoch counts; manifest {config['manifest'][:12]}",
        command=command,
        metric=config["metric"],
        direction=config["direction"],
        photos=photos,
        count=len(trials),
        pruned=sum(trial.state == TrialState.PRUNED for trial in trials),
        first=values[0],
        best=study.best_value,
        best_low=None if interval is None else interval.low,
        best_high=None if interval is None else interval.high,
        worst=min(values) if config["direction"] == "maximize" else max(values),
        chosen=study.best_params,
        trials=tuple(_trial(trial) for trial in trials),
        importances={name: float(share) for name, share in importances.items()},
    )


def _trial(trial: FrozenTrial) -> Trial:
    return Trial(number=trial.number, state=_STATES[trial.state], value=trial.value, parameters=trial.params)


def _scores(run: dict[str, Any], split: str, by_source: bool) -> dict[str, Measure]:
    """Scores of one run on one split, with the interval of its top-1 accuracy."""
    measures = {name: Measure(value=run[f"{split} {column}"]) for name, column in _SCORES.items()}
    top1 = measures["top1"]
    if by_source:
        low, high = run[f"{split} top-1 low"], run[f"{split} top-1 high"]
        bounds = {"low": None if pd.isna(low) else low, "high": None if pd.isna(high) else high}
    else:
        interval = proportion_interval(top1.value, int(run[f"{split} photos"]))
        bounds = {"low": interval.low, "high": interval.high}
    return measures | {"top1": top1.model_copy(update=bounds)}


def _spreads(metrics: dict[str, tuple[float | None, float | None]]) -> dict[str, Measure]:
    """Means and standard deviations by metric; those without a mean are left out."""
    return {name: Measure(value=mean, sd=sd) for name, (mean, sd) in metrics.items() if mean is not None}


def _read(reader: Callable[[Any, str], Study], source: Path | list[Path], command: str) -> Study:
    """Call a reader; RecipeError where a file is damaged, or of another version."""
    try:
        return reader(source, command)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as exc:
        listed = str(source) if isinstance(source, Path) else ", ".join(map(str, source))
        detail = faults(exc) if isinstance(exc, ValidationError) else str(exc)
        remedy = "Give the command that wrote it again"
        raise RecipeError(listed, f"has no results of this version ({detail})", remedy) from exc
