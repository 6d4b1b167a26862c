"""Studies on a fast objective with known results, and one real study."""

from __future__ import annotations

import csv
import gc
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
import torch
from click.testing import CliRunner
from filelock import FileLock
from optuna.trial import TrialState

from triovision.cli import main
from triovision.errors import RecipeError
from triovision.reporting.study import write_study_page
from triovision.train.data.loaders import LoadOptions
from triovision.train.data.manifest import read_manifest
from triovision.train.recipes.country_recipe import RECIPES, Recipe, read_recipe
from triovision.train.tuning import study as study_module
from triovision.train.tuning.search import search, tune
from triovision.train.tuning.search_space import read_space
from triovision.train.tuning.study import JOURNAL, StudyPlan, best_trial, open_study, write_results
from triovision.train.tuning.trials import trial_folder

SPACE = """
"optimisation.learning_rate" = {low = 1e-3, high = 1e-1, log = true}
"schedule.name" = {choices = ["cosine", "plateau"]}
"""


@pytest.fixture
def plan(colours: Path, tmp_path: Path) -> StudyPlan:
    (tmp_path / "space.toml").write_text(SPACE)
    recipe = str(colours / "tiny.toml")
    return StudyPlan(
        book=RECIPES,
        recipe_name=recipe,
        overrides=("optimisation.ema_decay=0",),
        space=read_space(tmp_path / "space.toml", recipe),
        manifest=read_manifest(colours / "manifest.csv", columns=["place", "split_new_places"]),
        folder=tmp_path / "study",
        metric="new_places/top1",
        direction="maximize",
        epochs=3,
        weights=None,
        options=LoadOptions(workers=0),
    )


class FakeRuns:
    """Stands for `train_country`: the objective is 1 - learning rate, reached in the second of three epochs."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.epochs_run: list[int] = []

    def value(self, recipe: Recipe) -> float:
        return 1 - recipe.optimisation.learning_rate

    def __call__(self, recipe: Recipe, _: object, folder: Path, *__: object, callbacks: Sequence[Any]) -> None:
        self.rates.append(recipe.optimisation.learning_rate)
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "run.json").write_text("{}")
        (folder / "finished.safetensors").write_text("weights")
        self.epochs_run.append(0)
        for epoch in range(recipe.optimisation.epochs):
            self.epochs_run[-1] += 1
            value = self.value(recipe) - (0.1 if epoch != 1 else 0)
            metrics = {"new_places/top1": torch.tensor(value), "val/loss": torch.tensor(-value)}
            trainer = SimpleNamespace(callback_metrics=metrics, current_epoch=epoch, max_epochs=3)
            for callback in callbacks:
                callback.on_validation_end(trainer, None)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> FakeRuns:
    fake = FakeRuns()
    monkeypatch.setattr(study_module, "train_country", fake)
    return fake


def states(study: optuna.Study) -> list[str]:
    return [trial.state.name for trial in study.trials]


def test_the_best_epoch_counts_and_only_the_best_trial_keeps_its_weights(plan: StudyPlan, runs: FakeRuns) -> None:
    messages: list[str] = []
    with open_study(plan) as study:
        tune(plan, study, 4, 1, messages.append)
        best = best_trial(plan, study)
    assert [trial.value for trial in study.trials] == pytest.approx([1 - rate for rate in runs.rates])
    assert len(set(runs.rates)) == 4
    assert best.number == runs.rates.index(min(runs.rates))
    assert runs.epochs_run == [3] * 4
    for trial in study.trials:
        kept = {path.name for path in trial_folder(plan, trial.number).iterdir()}
        weights = {"checkpoints", "finished.safetensors"} if trial.number == best.number else set()
        assert kept == weights | {"run.json"}
    assert messages[-1].endswith(f"best: trial {best.number} (4 of 4)")


def test_the_same_command_goes_on_and_no_point_is_drawn_twice(plan: StudyPlan, runs: FakeRuns) -> None:
    for wanted in (2, 5, 5):
        with open_study(plan) as study:
            tune(plan, study, wanted, 1, str)
    assert states(study) == ["COMPLETE"] * 5
    assert len(set(runs.rates)) == 5


def test_a_killed_trial_is_failed_and_repeated(plan: StudyPlan, runs: FakeRuns) -> None:
    with open_study(plan) as study:
        tune(plan, study, 1, 1, str)
        # All that a killed process leaves: a trial that runs, and half a record.
        begun = study.ask(plan.space.distributions)
    with (plan.folder / JOURNAL).open("a") as journal:
        journal.write('{"op_code":4,"worker')
    with open_study(plan) as study:
        tune(plan, study, 3, 1, str)
    assert states(study) == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert study.trials[2].params == begun.params
    assert len(runs.rates) == 3


def test_a_trial_that_is_stopped_by_hand_is_repeated_too(
    plan: StudyPlan, runs: FakeRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exits(*_: object, **__: object) -> None:
        raise SystemExit(1)  # what Lightning makes of Ctrl+C

    monkeypatch.setattr(study_module, "train_country", exits)
    with pytest.raises(SystemExit), open_study(plan) as study:
        tune(plan, study, 1, 1, str)
    monkeypatch.setattr(study_module, "train_country", runs)
    with open_study(plan) as study:
        tune(plan, study, 1, 1, str)
    assert states(study) == ["FAIL", "COMPLETE"]
    assert study.trials[0].params == study.trials[1].params


def test_a_trial_that_cannot_be_trained_is_told_and_tried_no_more(plan: StudyPlan, runs: FakeRuns) -> None:
    def diverging(recipe: Recipe) -> float:
        if recipe.schedule.name == "plateau":
            raise RecipeError("Step 1", "the loss is nan", "Lower it")
        return 0.5

    runs.value = diverging  # type: ignore[method-assign]
    messages: list[str] = []
    with open_study(plan) as study:
        tune(plan, study, 8, 1, messages.append)
    failed = [trial for trial in study.trials if trial.params["schedule.name"] == "plateau"]
    assert 0 < len(failed) < 8
    assert len(study.trials) == 8
    assert {trial.state for trial in failed} == {TrialState.FAIL}
    assert {trial.user_attrs["error"] for trial in failed} == {"Step 1: the loss is nan. Lower it."}
    assert sum("failed: Step 1" in line for line in messages) == len(failed)


def test_where_no_trial_is_finished_the_cause_is_named(plan: StudyPlan, runs: FakeRuns) -> None:
    runs.value = lambda _: float("nan")  # type: ignore[method-assign]
    with open_study(plan) as study:
        tune(plan, study, 1, 1, str)
        with pytest.raises(RecipeError, match=r"not one trial was finished.*no number in any epoch"):
            write_results(plan, study)


def test_a_trial_below_the_median_is_ended_early(plan: StudyPlan, runs: FakeRuns) -> None:
    quality = [0.5, 0.6, 0.7, 0.8, 0.9, 0.2, 0.95]
    runs.value = lambda _: quality[len(runs.rates) - 1]  # type: ignore[method-assign]
    with open_study(plan) as study:
        tune(plan, study, 7, 1, str)
    assert states(study) == ["COMPLETE"] * 5 + ["PRUNED", "COMPLETE"]
    assert runs.epochs_run == [3] * 5 + [2, 3]


def test_the_workers_of_a_trial_end_before_the_next_one(plan: StudyPlan, runs: FakeRuns) -> None:
    class Loader:
        """Part of a reference cycle, as Lightning's loaders are when a trial is pruned."""

        def __init__(self) -> None:
            self.itself = self

    loaders: list[weakref.ref[Loader]] = []
    alive: list[int] = []

    def value(_: Recipe) -> float:
        if len(loaders) < len(runs.rates):  # the first epoch
            alive.append(sum(loader() is not None for loader in loaders))
            loaders.append(weakref.ref(Loader()))
        return 0.5

    runs.value = value  # type: ignore[method-assign]
    gc.disable()
    try:
        with open_study(plan) as study:
            tune(plan, study, 3, 1, str)
    finally:
        gc.enable()
    assert alive == [0, 0, 0]


def test_a_small_loss_is_the_best(plan: StudyPlan, runs: FakeRuns) -> None:
    losses = replace(plan, metric="val/loss", direction="minimize")
    with open_study(losses) as study:
        tune(losses, study, 3, 1, str)
        best = best_trial(losses, study)
    assert best.params["optimisation.learning_rate"] == min(runs.rates)
    assert best.value == pytest.approx(min(runs.rates) - 1)


def test_another_study_and_a_second_command_are_refused(plan: StudyPlan) -> None:
    with open_study(plan):
        pass
    with (
        pytest.raises(RecipeError, match=r"another study \(metric differ\)"),
        open_study(replace(plan, metric="val/loss")),
    ):
        pass
    with (
        FileLock(plan.folder / ".lock"),
        pytest.raises(RecipeError, match="in use by another command"),
        open_study(plan),
    ):
        pass


def test_the_grid_lies_around_the_best_random_trial_and_is_tried_once(plan: StudyPlan, runs: FakeRuns) -> None:
    messages: list[str] = []
    with open_study(plan) as study:
        search(plan, study, 3, False, 1, messages.append)
        assert len(study.trials) == 3
        best = min(runs.rates)
        search(plan, study, 3, True, 1, messages.append)
        search(plan, study, 3, True, 1, messages.append)
    lower, upper = max(1e-3, best / 2), min(1e-1, best * 2)
    assert sorted(runs.rates[3:]) == pytest.approx(sorted({lower, upper} - {best}))
    schedules = {trial.params["schedule.name"] for trial in study.trials[3:]}
    assert schedules == {study.trials[runs.rates.index(best)].params["schedule.name"]}
    assert any(line.startswith(f"grid of 3 points around trial {runs.rates.index(best)}: 2 left") for line in messages)
    assert any(line.endswith(": 0 left to try") for line in messages)


def test_what_a_study_leaves_can_be_run(plan: StudyPlan, runs: FakeRuns) -> None:
    with open_study(plan) as study:
        tune(plan, study, 4, 1, str)
        assert "they take 5 finished trials, and there are 4" in write_study_page(plan, study)
        assert "Importance of" not in (plan.folder / "study.html").read_text()
        tune(plan, study, 6, 1, str)
        assert "no importances" not in write_study_page(plan, study)
        assert f"best: trial {runs.rates.index(min(runs.rates))}" in write_results(plan, study)
    best = read_recipe(str(plan.folder / "best.toml"))
    base = read_recipe(plan.recipe_name, plan.overrides)
    assert best.optimisation.learning_rate == min(runs.rates)
    assert best.optimisation.epochs == base.optimisation.epochs == 1  # not the trials' three
    assert best.optimisation.ema_decay == 0
    assert best.model_copy(update={"optimisation": base.optimisation, "schedule": base.schedule}) == base
    with (plan.folder / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["params_optimisation.learning_rate"]) for row in rows] == runs.rates
    assert all(float(row["duration_s"]) > 0 for row in rows)
    page = (plan.folder / "study.html").read_text()
    assert "Importance of" in page
    assert "<script src" not in page


def test_a_real_study_whose_first_trial_has_a_process_of_its_own(colours: Path, tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text(SPACE)
    study = tmp_path / "study"
    command = [
        "train", "tune", str(colours / "tiny.toml"), "--manifest", str(colours / "manifest.csv"),
        "--out", str(study), "--space", str(tmp_path / "space.toml"), "--workers", "0",
    ]  # fmt: skip
    first = CliRunner().invoke(main, [*command, "--trials", "1", "--jobs", "2"], catch_exceptions=False)
    assert first.exit_code == 0, first.output
    assert [path.parent.name for path in study.glob("*/finished.safetensors")] == ["trial-0000"]
    both = CliRunner().invoke(main, [*command, "--trials", "2"], catch_exceptions=False)
    assert both.exit_code == 0, both.output
    with (study / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["COMPLETE"] * 2
    values = [float(row["value"]) for row in rows]
    for number, value in enumerate(values):
        logged = (study / f"trial-{number:04d}" / "logs" / "version_0" / "metrics.csv").read_text().splitlines()
        tops = [dict(zip(logged[0].split(","), line.split(","), strict=True))["new_places/top1"] for line in logged[1:]]
        assert value == pytest.approx(max(float(top) for top in tops if top))
    assert [path.parent.name for path in study.glob("*/finished.safetensors")] == [
        "trial-0001" if values[1] > values[0] else "trial-0000"
    ]
    wrong = CliRunner().invoke(main, [*command, "--metric", "known_places/top1"])
    assert wrong.exit_code == 2
    assert "new_places/top1, new_places/loss, val/loss" in wrong.stderr
