"""Ways to look for the best values of a recipe's fields; they share storage, pruning, workers and outputs."""

from __future__ import annotations

from typing import Any

import optuna
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from triovision.train.tuning.study import StudyPlan, best_trial
from triovision.train.tuning.trials import Say, run_trials

_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
_PHASE = "phase"


def tune(plan: StudyPlan[Any], study: optuna.Study, trials: int, jobs: int, say: Say) -> None:
    """Let Optuna's tree-structured Parzen estimator choose, until so many trials are finished or pruned.

    "Algorithms for Hyper-Parameter Optimization" (Bergstra et al., 2011). A trial that failed, say by a learning rate
    at which the loss diverges, counts in this call only.

    Args:
        plan: What the study is about.
        study: See `opened`.
        trials: Number of trials, those of earlier calls included.
        jobs: Trials at a time, each in a process of its own if more than one.
        say: Told of each trial.
    """
    run_trials(plan, study, trials - len(_trials(study, *_FINISHED)), jobs, say, TPESampler)


def search(plan: StudyPlan[Any], study: optuna.Study, random: int, grid: bool, jobs: int, say: Say) -> None:
    """Random search, then perhaps a grid around its best point.

    "Random Search for Hyper-Parameter Optimization" (Bergstra and Bengio, 2012).

    Args:
        plan: What the study is about.
        study: See `opened`.
        random: Number of random trials, those of earlier calls included.
        grid: Whether to try the grid too; points that were tried are left out.
        jobs: Trials at a time.
        say: Told of each trial and of the grid.

    Raises:
        RecipeError: If no random trial was finished, so that there is nothing to draw a grid around.
    """
    queued = [trial for trial in _trials(study, TrialState.WAITING) if _PHASE in trial.user_attrs]
    drawn = _drawn(_trials(study, *_FINISHED))
    run_trials(plan, study, random - len(drawn) + len(queued), jobs, say, RandomSampler)
    if not grid:
        return
    best = best_trial(plan, study, _drawn(study.get_trials(deepcopy=False)))
    points = plan.space.grid_around(best.params)
    for point in points:
        study.enqueue_trial(point, user_attrs={_PHASE: "grid"}, skip_if_exists=True)
    left = len(_trials(study, TrialState.WAITING))
    say(f"grid of {len(points)} points around trial {best.number}: {left} left to try")
    run_trials(plan, study, left, jobs, say, RandomSampler)


def _trials(study: optuna.Study, *states: TrialState) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=states)


def _drawn(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Those that are no points of a grid."""
    return [trial for trial in trials if _PHASE not in trial.user_attrs]
