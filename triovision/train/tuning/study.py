"""Study plans for both kinds of recipe, the journal of their trials, and the best recipe."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import optuna
from filelock import FileLock, Timeout
from lightning.pytorch.callbacks import Callback
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from triovision.errors import RecipeError
from triovision.files import atomic_write
from triovision.photo.names import spreadsheet_safe
from triovision.train.data.dataset import NO_LABEL, targets
from triovision.train.data.loaders import LoadOptions
from triovision.train.data.manifest import Manifest
from triovision.train.data.positions import located
from triovision.train.data.splits import marked_rows, split
from triovision.train.engine.run import CACHE, train_country, train_position
from triovision.train.recipes.country_recipe import Recipe
from triovision.train.recipes.position_recipe import PositionRecipe
from triovision.train.recipes.reader import RecipeReader
from triovision.train.tuning.search_space import Point, SearchSpace, value_at

JOURNAL, BEST, TRIALS = "study.journal", "best.toml", "trials.csv"
#: Attribute of a trial: why it failed.
ERROR = "error"
#: Attributes of a study: see `StudyPlan.config` and `StudyPlan.validation_photos`.
CONFIG, PHOTOS = "config", "photos"
#: With fewer finished trials, the importance of a field is chance.
MIN_TRIALS_FOR_IMPORTANCE = 5
_NAME = "study"
#: The pruner compares a trial with others from its second epoch on, once five trials are finished.
_STARTUP_TRIALS, _WARMUP_EPOCHS = 5, 1


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """Recipe, search space, objective and photos of a study.

    Attributes:
        book: The recipes of this kind: `RECIPES` of country classifiers or of ResNetGPS.
        recipe_name: Name or file of the recipe.
        overrides: Its replaced fields.
        space: Fields to search and their ranges.
        manifest: Photos with the recipe's validation columns and `place`.
        folder: Folder of the study and of its trials.
        metric: The objective: a metric that is logged after each epoch, such as `new_places/top1`. The best epoch
            counts.
        direction: Whether the objective should be large or small.
        epochs: Epochs of each trial; None for the recipe's own.
        weights: Initial weights of the backbone, or None.
        options: How photos are read. Runs of ResNetGPS use the fields of `ReadOptions` only; without a cache, all
            their trials share one in the study's folder.
    """

    book: RecipeReader[Recipe] | RecipeReader[PositionRecipe]
    recipe_name: str
    overrides: tuple[str, ...]
    space: SearchSpace
    manifest: Manifest
    folder: Path
    metric: str
    direction: Literal["maximize", "minimize"]
    epochs: int | None
    weights: Path | None
    options: LoadOptions

    def recipe(self, point: Point) -> Recipe | PositionRecipe:
        """Read the recipe with the values of a trial.

        Raises:
            RecipeError: If the values do not fit each other.
        """
        short = [] if self.epochs is None else [f"optimisation.epochs={self.epochs}", "optimisation.min_epochs=1"]
        return self.book.read(self.recipe_name, [*self.overrides, *short, *self.space.overrides(point)])

    def train(self, point: Point, folder: Path, callbacks: Sequence[Callback]) -> Path:
        """Train the recipe with the values of a trial, as an ordinary run in a folder of its own.

        Raises:
            RecipeError: If it cannot be trained.
        """
        recipe, options = self.recipe(point), self.options
        if isinstance(recipe, PositionRecipe):
            options = replace(options, cache=options.cache or self.folder / CACHE)
            return train_position(recipe, self.manifest, folder, self.weights, options, callbacks=callbacks)
        return train_country(recipe, self.manifest, folder, self.weights, options, callbacks=callbacks)

    def config(self) -> dict[str, Any]:
        """Everything that the values of two trials must share to be comparable, as JSON-serialisable values."""
        recipe = self.recipe({})
        return {
            "recipe": recipe.model_dump(mode="json"),
            "space": self.space.config(),
            "manifest": self.manifest.sha256,
            "metric": self.metric,
            "direction": self.direction,
            "weights": None if self.weights is None else str(self.weights.resolve()),
        } | (self.options.config(recipe) if isinstance(recipe, Recipe) else {})

    def validation_photos(self) -> int:
        """Count the photos that the objective is measured on; `val/…` is a mean over all splits."""
        recipe = self.recipe({})
        if isinstance(recipe, Recipe):
            splits = split(self.manifest, recipe.data)
            known = {name: targets(part, splits.labels) != NO_LABEL for name, part in splits.validation.items()}
        else:
            _, known = marked_rows(located(self.manifest).manifest, recipe.data.validation_splits)
        counts = {name: int(rows.sum()) for name, rows in known.items()}
        return counts.get(self.metric.partition("/")[0], sum(counts.values()))


def objectives(recipe: Recipe | PositionRecipe) -> list[str]:
    """Names of the logged metrics that a study can optimise, the default first."""
    splits = [column.removeprefix("split_") for column in recipe.data.validation_splits]
    if isinstance(recipe, PositionRecipe):
        return ["val/median_km", "val/loss", *(f"{split}/{name}" for split in splits for name in ("median_km", "loss"))]
    return [*(f"{split}/{name}" for split in splits for name in ("top1", "loss")), "val/loss"]


@contextmanager
def open_study(plan: StudyPlan) -> Iterator[optuna.Study]:
    """Open the study of a folder for one command at a time.

    Trials that were interrupted by a kill are marked as failed and queued again.

    Raises:
        RecipeError: If the folder holds another study, or another command uses it.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # the commands print their own messages
    plan.folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(plan.folder / ".lock", timeout=0):
            _cut_partial_line(plan.folder / JOURNAL)
            study = load_study(plan, RandomSampler())
            config = plan.config()
            previous = study.user_attrs.get(CONFIG, config)
            if differ := [name for name in config | previous if config.get(name) != previous.get(name)]:
                reason = f"holds another study ({' and '.join(differ)} differ)"
                raise RecipeError(str(plan.folder), reason, "Give another --out folder")
            study.set_user_attr(CONFIG, config)
            study.set_user_attr(PHOTOS, plan.validation_photos())
            for trial in study.get_trials(states=(TrialState.RUNNING,)):
                study.enqueue_trial(trial.params, user_attrs=trial.user_attrs)
                study.tell(trial.number, state=TrialState.FAIL)
            yield study
    except Timeout as exc:
        remedy = "Wait for it; --jobs gives one command several trials at a time"
        raise RecipeError(str(plan.folder), "is in use by another command", remedy) from exc


def best_trial(plan: StudyPlan, study: optuna.Study, trials: Sequence[FrozenTrial] | None = None) -> FrozenTrial:
    """Find the finished trial with the best value, the first of equals.

    Args:
        plan: Direction and folder of the study.
        study: The study.
        trials: Trials to choose from; None for all.

    Raises:
        RecipeError: If no trial is finished.
    """
    candidates = study.get_trials(deepcopy=False) if trials is None else trials
    complete = [trial for trial in candidates if trial.state == TrialState.COMPLETE]
    if not complete:
        errors = [trial.user_attrs[ERROR] for trial in candidates if ERROR in trial.user_attrs]
        cause = f" (the last: {errors[-1].rstrip('.')})" if errors else ""
        remedy = "Correct the cause or the space, or run more trials"
        raise RecipeError(str(plan.folder), f"not one trial was finished{cause}", remedy)
    return (max if plan.direction == "maximize" else min)(complete, key=_value)


def _value(trial: FrozenTrial) -> float:
    return math.nan if trial.value is None else trial.value


def load_study(plan: StudyPlan, sampler: BaseSampler) -> optuna.Study:
    """Load the study from its journal, or create it. Each process loads its own."""
    pruner = optuna.pruners.MedianPruner(_STARTUP_TRIALS, _WARMUP_EPOCHS)
    return optuna.create_study(
        storage=_storage(plan.folder),
        study_name=_NAME,
        direction=plan.direction,
        sampler=sampler,
        pruner=pruner,
        load_if_exists=True,
    )


def read_study(folder: Path) -> optuna.Study:
    """Read the study of a folder.

    Raises:
        RecipeError: If the folder holds no study.
    """
    if not (folder / JOURNAL).exists():
        raise RecipeError(str(folder), "holds no study", "Give the --out folder of a study")
    return optuna.load_study(study_name=_NAME, storage=_storage(folder))


def _storage(folder: Path) -> JournalStorage:
    # Optuna recommends this storage, and not SQLite, for several processes.
    return JournalStorage(JournalFileBackend(str(folder / JOURNAL)))


def _cut_partial_line(journal: Path) -> None:
    """Remove a record that a kill left incomplete: the next one would be appended to it, and both would be lost."""
    if journal.exists():
        content = journal.read_bytes()
        os.truncate(journal, content.rfind(b"\n") + 1)


def write_results(plan: StudyPlan, study: optuna.Study) -> str:
    """Write the best recipe (`best.toml`) and the table of trials (`trials.csv`) into the study's folder.

    Returns:
        The best trial and the written files, as text for the terminal.

    Raises:
        RecipeError: If no trial is finished.
    """
    best = best_trial(plan, study)
    atomic_write(plan.folder / BEST, best_recipe(plan, best.params))
    table = study.trials_dataframe(attrs=("number", "state", "value", "duration", "params", "user_attrs"))
    table["duration"] = table["duration"].dt.total_seconds()
    table = table.rename(columns={"duration": "duration_s"}).map(spreadsheet_safe)
    atomic_write(plan.folder / TRIALS, table.to_csv(index=False))
    values = ", ".join(f"{field} = {_toml(value)}" for field, value in best.params.items())
    files = ", ".join(str(plan.folder / name) for name in (BEST, TRIALS))
    return f"best: trial {best.number}, {plan.metric} {best.value:.4g}: {values}\nwrote {files}"


def best_recipe(plan: StudyPlan, point: dict[str, Any]) -> str:
    """Write a recipe in TOML: the study's recipe as `base`, its replaced fields and those of a point.

    The trials' own number of epochs is left out: trials may be shorter than the run that they prepare.
    """
    overrides = [*plan.overrides, *plan.space.overrides(point)]
    recipe = plan.book.read(plan.recipe_name, overrides)
    packaged = plan.recipe_name in plan.book.names()
    base = plan.recipe_name if packaged else str(Path(plan.recipe_name).resolve())
    fields = dict.fromkeys(override.partition("=")[0].strip() for override in overrides)
    leaves = dict(leaf for field in fields for leaf in _leaves(field, value_at(recipe, field)))
    lines = [f"base = {_toml(base)}", *(f"{field} = {_toml(value)}" for field, value in leaves.items())]
    return "\n".join(lines) + "\n"


def _leaves(field: str, value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - any value of a recipe
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(f"{field}.{name}", inner)
    else:
        yield field, value


def _toml(value: Any) -> str:  # noqa: ANN401
    """A value in TOML, which writes numbers, texts and arrays as JSON does."""
    return json.dumps(value, ensure_ascii=False)
