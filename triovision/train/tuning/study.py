"""A study: what is varied and measured, and the file that remembers its trials and survives a kill."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import optuna
from filelock import FileLock, Timeout
from lightning.pytorch.callbacks import Callback
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from triovision.errors import RecipeError
from triovision.train.data.loaders import LoadOptions
from triovision.train.data.manifest import Manifest
from triovision.train.engine.run import run
from triovision.train.recipes.country_recipe import RECIPES, Recipe
from triovision.train.recipes.reader import RecipeBook
from triovision.train.recipes.sections import RunRecipe
from triovision.train.tuning.search_space import Point, SearchSpace

JOURNAL = "study.journal"
_NAME = "study"
#: What a trial keeps beside Optuna's own: why it failed.
ERROR = "error"
#: A trial is compared with others after its second epoch at the earliest, once so many have been finished.
_STARTUP_TRIALS, _WARMUP_EPOCHS = 5, 1


R = TypeVar("R", bound=RunRecipe)


@dataclass(frozen=True, slots=True)
class StudyPlan(ABC, Generic[R]):
    """What a study of any kind of recipe is about.

    Attributes:
        recipe_name: Name or file of the recipe.
        overrides: Its replaced fields.
        space: What is varied.
        manifest: Photos with the recipe's validation columns and `place`.
        folder: Where the study and its trials are kept.
        metric: The objective: a figure that is logged after each epoch, such as `new_places/top1`, at its best epoch.
        direction: Whether it should be large or small.
        epochs: Epochs of each trial; the recipe's own when None.
        source: Starting weights of the backbone, or None.
    """

    recipe_name: str
    overrides: tuple[str, ...]
    space: SearchSpace
    manifest: Manifest
    folder: Path
    metric: str
    direction: Literal["maximize", "minimize"]
    epochs: int | None
    source: Path | None

    @property
    @abstractmethod
    def book(self) -> RecipeBook[R]:
        """The recipes of this kind."""

    @abstractmethod
    def train(self, recipe: R, folder: Path, callbacks: Sequence[Callback]) -> object:
        """Train the recipe of a trial in a folder of its own.

        Raises:
            RecipeError: If it cannot be trained.
        """

    def recipe(self, point: Point) -> R:
        """The recipe of a trial.

        Raises:
            RecipeError: If the values do not fit each other.
        """
        short = [] if self.epochs is None else [f"optimisation.epochs={self.epochs}", "optimisation.min_epochs=1"]
        return self.book.read(self.recipe_name, [*self.overrides, *short, *self.space.overrides(point)])

    def facts(self) -> dict[str, Any]:
        """What the values of two trials must have in common to be compared."""
        recipe = self.recipe({})
        return {
            "recipe": recipe.model_dump(mode="json"),
            "space": self.space.facts(),
            "manifest": self.manifest.sha256,
            "metric": self.metric,
            "direction": self.direction,
            "weights": None if self.source is None else str(self.source.resolve()),
        }


@dataclass(frozen=True, slots=True)
class Plan(StudyPlan[Recipe]):
    """What a study of a country classifier's recipe is about.

    Attributes:
        loading: How photos are read.
    """

    loading: LoadOptions

    @property
    def book(self) -> RecipeBook[Recipe]:
        """The recipes of country classifiers."""
        return RECIPES

    def train(self, recipe: Recipe, folder: Path, callbacks: Sequence[Callback]) -> Path:
        """An ordinary run; see `run`."""
        return run(recipe, self.manifest, folder, self.source, self.loading.workers, self.loading, callbacks=callbacks)

    def facts(self) -> dict[str, Any]:
        """The same with what changes the pictures."""
        # Not `super()`: a dataclass with slots is another class than the one that `super` was compiled in.
        return StudyPlan.facts(self) | self.loading.facts(self.recipe({}))


def objectives(recipe: Recipe) -> list[str]:
    """Names of the figures that can be an objective."""
    splits = [column.removeprefix("split_") for column in recipe.data.validation_splits]
    return [f"{split}/{figure}" for split in splits for figure in ("top1", "loss")] + ["val/loss"]


@contextmanager
def opened(plan: StudyPlan[Any]) -> Iterator[optuna.Study]:
    """The study of a folder, for one command at a time; trials that a kill broke off are failed and queued again.

    Raises:
        RecipeError: If the folder holds another study or another command is at work in it.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # what there is to say is said here
    plan.folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(plan.folder / ".lock", timeout=0):
            _cut_half_line(plan.folder / JOURNAL)
            study = load_study(plan, RandomSampler())
            facts = plan.facts()
            begun = study.user_attrs.get("facts", facts)
            if differ := [name for name in facts | begun if facts.get(name) != begun.get(name)]:
                reason = f"holds another study ({' and '.join(differ)} differ)"
                raise RecipeError(str(plan.folder), reason, "Give another --out folder")
            study.set_user_attr("facts", facts)
            for trial in study.get_trials(states=(TrialState.RUNNING,)):
                study.enqueue_trial(trial.params, user_attrs=trial.user_attrs)
                study.tell(trial.number, state=TrialState.FAIL)
            yield study
    except Timeout as exc:
        remedy = "Wait for it; --jobs gives one command several trials at a time"
        raise RecipeError(str(plan.folder), "is in use by another command", remedy) from exc


def best_trial(plan: StudyPlan[Any], study: optuna.Study, trials: Sequence[FrozenTrial] | None = None) -> FrozenTrial:
    """The finished trial with the best value, the first of equals.

    Raises:
        RecipeError: If none was finished.
    """
    every = study.get_trials(deepcopy=False) if trials is None else trials
    complete = [trial for trial in every if trial.state == TrialState.COMPLETE]
    if not complete:
        errors = [trial.user_attrs[ERROR] for trial in every if ERROR in trial.user_attrs]
        cause = f" (the last: {errors[-1].rstrip('.')})" if errors else ""
        remedy = "Correct the cause or the space, or ask for more trials"
        raise RecipeError(str(plan.folder), f"not one trial was finished{cause}", remedy)
    return (max if plan.direction == "maximize" else min)(complete, key=_value)


def _value(trial: FrozenTrial) -> float:
    return math.nan if trial.value is None else trial.value


def load_study(plan: StudyPlan[Any], sampler: BaseSampler) -> optuna.Study:
    """The study as it is in the file now; each process has its own."""
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
    """A study as its folder keeps it, to look at.

    Raises:
        RecipeError: If the folder holds none.
    """
    if not (folder / JOURNAL).exists():
        raise RecipeError(str(folder), "holds no study", "Give the --out folder of a study")
    return optuna.load_study(study_name=_NAME, storage=_storage(folder))


def _storage(folder: Path) -> JournalStorage:
    # The storage that Optuna recommends for several processes; SQLite is not.
    return JournalStorage(JournalFileBackend(str(folder / JOURNAL)))


def _cut_half_line(journal: Path) -> None:
    """Cut off what a kill left of a record: the next one would be written behind it, and neither could be read."""
    if journal.exists():
        content = journal.read_bytes()
        os.truncate(journal, content.rfind(b"\n") + 1)
