"""Trials of a study: ordinary runs in one or several processes, with pruning below the median."""

from __future__ import annotations

import gc
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

import lightning
import numpy as np
import optuna
import torch
from lightning.pytorch.callbacks import Callback
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import Trial, TrialState

from triovision.errors import RecipeError
from triovision.train.data.workers import initialise_worker
from triovision.train.tuning.study import ERROR, StudyPlan, best_trial, load_study

Log = Callable[[str], object]
Sampler = type[TPESampler | RandomSampler]


class ReportObjective(Callback):
    """Callback that reports the objective after each epoch, and stops a run below the median of the others.

    Args:
        trial: The trial.
        metric: Name of the objective.
        direction: `"maximize"` or `"minimize"`.
    """

    def __init__(self, trial: Trial, metric: str, direction: str) -> None:
        self.trial = trial
        self.metric = metric
        self.better = max if direction == "maximize" else min
        self.best: float | None = None

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002 - Lightning's signature
        """Report the value of the epoch.

        Raises:
            TrialPruned: If the pruner stops the trial.
        """
        value = float(trainer.callback_metrics[self.metric])
        if not math.isfinite(value):
            return
        self.best = value if self.best is None else self.better(self.best, value)
        self.trial.report(value, trainer.current_epoch)
        if trainer.current_epoch + 1 < (trainer.max_epochs or 0) and self.trial.should_prune():
            raise optuna.TrialPruned


def run_trials(plan: StudyPlan, study: optuna.Study, count: int, jobs: int, log: Log, sampler: Sampler) -> None:
    """Run trials and keep the weights of the best one only.

    Args:
        plan: Plan of the study.
        study: The study; each trial loads its own copy.
        count: Number of trials; 0 or less runs none.
        jobs: Trials at a time.
        log: Receives a message for each trial.
        sampler: Chooses the values of the trials that are not queued.

    Raises:
        RecipeError: If a worker process was killed.
    """
    first, seed = len(study.get_trials(deepcopy=False)), plan.recipe({}).seed
    # Each trial has a new sampler, which must not draw the same values again.
    seeds = [int(np.random.SeedSequence((seed, first + i)).generate_state(1)[0]) for i in range(count)]
    with closing(_finished_numbers(plan, sampler, seeds, jobs)) as numbers:
        for done, number in enumerate(numbers, start=1):
            _keep_best(plan, study)
            log(f"{_outcome(plan, study, number)} ({done} of {count})")


def _finished_numbers(plan: StudyPlan, sampler: Sampler, seeds: Sequence[int], jobs: int) -> Generator[int, None, None]:
    """Run one trial for each seed; yield their numbers in the order in which they end."""
    if jobs == 1:
        yield from (_run_trial(plan, sampler(seed=seed)) for seed in seeds)
        return
    threads, others = max(1, (os.cpu_count() or 1) // jobs), set(active_children())
    with ProcessPoolExecutor(jobs, get_context("spawn"), _init_worker, (threads,)) as pool:
        futures = [pool.submit(_run_trial, plan, sampler(seed=seed)) for seed in seeds]
        try:
            yield from (future.result() for future in as_completed(futures))
        except BaseException as exc:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in set(active_children()) - others:
                worker.kill()  # Lightning would delay SIGTERM
            if not isinstance(exc, BrokenProcessPool):
                raise
            remedy = "Give fewer --jobs if memory ran out, and repeat the command to resume"
            raise RecipeError(str(plan.folder), "a worker process was killed", remedy) from exc


def _init_worker(threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command handles Ctrl+C and ends its workers
    initialise_worker(threads)
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - progress bars of several runs at once


def _run_trial(plan: StudyPlan, sampler: BaseSampler) -> int:
    """Choose a point and train there. An interrupted trial keeps the state "running"; see `open_study`."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = load_study(plan, sampler)
    trial = study.ask(plan.space.distributions)
    report = ReportObjective(trial, plan.metric, plan.direction)
    try:
        plan.train(trial.params, trial_folder(plan, trial.number), [report])
        if report.best is None:
            raise RecipeError(plan.metric, "was no number in any epoch", "Check the validation photos")
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except (RecipeError, torch.OutOfMemoryError) as exc:
        trial.set_user_attr(ERROR, str(exc))
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, report.best)
    gc.collect()  # ends the workers of this trial's loaders; those of the next one would inherit and complain of them
    return trial.number


def trial_folder(plan: StudyPlan, number: int) -> Path:
    """Folder of the run of a trial."""
    return plan.folder / f"trial-{number:04d}"


def _keep_best(plan: StudyPlan, study: optuna.Study) -> None:
    """Delete the weights of every finished trial but the best."""
    finished = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
    complete = [trial for trial in finished if trial.state == TrialState.COMPLETE]
    best = best_trial(plan, study, complete).number if complete else None
    for trial in finished:
        if trial.number != best:
            folder = trial_folder(plan, trial.number)
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
            for weights in folder.glob("*.safetensors"):
                weights.unlink()


def _outcome(plan: StudyPlan, study: optuna.Study, number: int) -> str:
    trials = study.get_trials(deepcopy=False)
    trial = trials[number]
    if trial.state == TrialState.FAIL:
        return f"trial {number} failed: {trial.user_attrs[ERROR]}"
    pruned = ", pruned" if trial.state == TrialState.PRUNED else ""
    value = "no value" if trial.value is None else f"{trial.value:.4g}"
    complete = [other for other in trials if other.state == TrialState.COMPLETE]
    best = f"; best: trial {best_trial(plan, study, complete).number}" if complete else ""
    return f"trial {number}: {plan.metric} {value}{pruned}{best}"
