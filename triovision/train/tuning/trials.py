"""Trials of a study: ordinary runs, in this process or several others, that end early where others did better."""

from __future__ import annotations

import math
import os
import shutil
import signal
import sys
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import optuna
import torch
from lightning.pytorch.callbacks import Callback
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import Trial, TrialState

from triovision.errors import RecipeError
from triovision.train.tuning.study import ERROR, StudyPlan, best_trial, load_study

Say = Callable[[str], object]
Sampler = type[TPESampler | RandomSampler]


class ReportObjective(Callback):
    """Tells a trial the objective after each epoch, and ends a run that does worse than the median of the others.

    Args:
        trial: The trial.
        metric: Name of the figure.
        direction: Whether it should be large or small.
    """

    def __init__(self, trial: Trial, metric: str, direction: str) -> None:
        self.trial = trial
        self.metric = metric
        self.better = max if direction == "maximize" else min
        self.best: float | None = None

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002 - Lightning's signature
        """Report the epoch's value.

        Raises:
            TrialPruned: If the trial is not worth its other epochs.
        """
        value = float(trainer.callback_metrics[self.metric])
        if not math.isfinite(value):
            return
        self.best = value if self.best is None else self.better(self.best, value)
        self.trial.report(value, trainer.current_epoch)
        if trainer.current_epoch + 1 < (trainer.max_epochs or 0) and self.trial.should_prune():
            raise optuna.TrialPruned


def run_trials(plan: StudyPlan[Any], study: optuna.Study, count: int, jobs: int, say: Say, sampler: Sampler) -> None:
    """Run so many trials and keep the weights of the best alone.

    Args:
        plan: What the study is about.
        study: The study, to be read from.
        count: Number of trials; none where it is not above 0.
        jobs: Trials at a time.
        say: Told of each trial.
        sampler: Chooses the values of those that are not queued.

    Raises:
        RecipeError: If a worker process was killed.
    """
    first, seed = len(study.get_trials(deepcopy=False)), plan.recipe({}).seed
    # A sampler is made anew for each trial and must not draw the same again.
    seeds = [int(np.random.SeedSequence((seed, first + i)).generate_state(1)[0]) for i in range(count)]
    with closing(_numbers(plan, sampler, seeds, jobs)) as numbers:
        for done, number in enumerate(numbers, start=1):
            _keep_best(plan, study)
            say(f"{_outcome(plan, study, number)} ({done} of {count})")


def _numbers(plan: StudyPlan[Any], sampler: Sampler, seeds: Sequence[int], jobs: int) -> Generator[int, None, None]:
    """Run a trial for each seed; their numbers as they end."""
    if jobs == 1:
        yield from (_run_trial(plan, sampler(seed=seed)) for seed in seeds)
        return
    threads, others = max(1, (os.cpu_count() or 1) // jobs), set(active_children())
    with ProcessPoolExecutor(jobs, get_context("spawn"), _begin_worker, (threads,)) as pool:
        futures = [pool.submit(_run_trial, plan, sampler(seed=seed)) for seed in seeds]
        try:
            yield from (future.result() for future in as_completed(futures))
        except BaseException as exc:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in set(active_children()) - others:
                worker.kill()  # Lightning would put SIGTERM off
            if not isinstance(exc, BrokenProcessPool):
                raise
            remedy = "Give fewer --jobs if memory ran out, and the same command to go on"
            raise RecipeError(str(plan.folder), "a worker process was killed", remedy) from exc


def _begin_worker(threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the command, which ends its workers
    torch.set_num_threads(threads)
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - progress bars of several runs at once


def _run_trial(plan: StudyPlan[Any], sampler: BaseSampler) -> int:
    """Choose a point and train there. A trial that is broken off stays as one that runs; see `opened`."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = load_study(plan, sampler)
    trial = study.ask(plan.space.distributions)
    report = ReportObjective(trial, plan.metric, plan.direction)
    try:
        plan.train(plan.recipe(trial.params), trial_folder(plan, trial.number), [report])
        if report.best is None:
            raise RecipeError(plan.metric, "was no number in any epoch", "Check the validation photos")
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except (RecipeError, torch.OutOfMemoryError) as exc:
        trial.set_user_attr(ERROR, str(exc))
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, report.best)
    return trial.number


def trial_folder(plan: StudyPlan[Any], number: int) -> Path:
    """Where the run of a trial is."""
    return plan.folder / f"trial-{number:04d}"


def _keep_best(plan: StudyPlan[Any], study: optuna.Study) -> None:
    """Delete the weights of every trial that is over and not the best."""
    over = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
    complete = [trial for trial in over if trial.state == TrialState.COMPLETE]
    best = best_trial(plan, study, complete).number if complete else None
    for trial in over:
        if trial.number != best:
            folder = trial_folder(plan, trial.number)
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
            for weights in folder.glob("*.safetensors"):
                weights.unlink()


def _outcome(plan: StudyPlan[Any], study: optuna.Study, number: int) -> str:
    trials = study.get_trials(deepcopy=False)
    trial = trials[number]
    if trial.state == TrialState.FAIL:
        return f"trial {number} failed: {trial.user_attrs[ERROR]}"
    pruned = ", pruned" if trial.state == TrialState.PRUNED else ""
    value = "no value" if trial.value is None else f"{trial.value:.4g}"
    complete = [other for other in trials if other.state == TrialState.COMPLETE]
    best = f"; best: trial {best_trial(plan, study, complete).number}" if complete else ""
    return f"trial {number}: {plan.metric} {value}{pruned}{best}"
