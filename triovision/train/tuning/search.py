"""Tree-structured Parzen search, random search and grid search over the trials of a study."""

from __future__ import annotations

import optuna
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from triovision.train.tuning.study import StudyPlan, best_trial
from triovision.train.tuning.trials import Log, run_trials

_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
_PHASE = "phase"


def tune(plan: StudyPlan, study: optuna.Study, trials: int, jobs: int, log: Log) -> None:
    """Search with Optuna's tree-structured Parzen estimator.

    "Algorithms for Hyper-Parameter Optimization" (Bergstra et al., 2011). A trial that failed, for example because
    its learning rate made the loss diverge, counts in this call only.

    Args:
        plan: Plan of the study.
        study: See `open_study`.
        trials: Number of trials that are finished or pruned at the end, those of earlier calls included.
        jobs: Trials at a time, each in a process of its own if more than one.
        log: Receives a message for each trial.
    """
    run_trials(plan, study, trials - len(_trials(study, *_FINISHED)), jobs, log, TPESampler)


def search(plan: StudyPlan, study: optuna.Study, random: int, grid: bool, jobs: int, log: Log) -> None:
    """Search at random, then optionally on a grid around the best point.

    "Random Search for Hyper-Parameter Optimization" (Bergstra and Bengio, 2012).

    Args:
        plan: Plan of the study.
        study: See `open_study`.
        random: Number of random trials, those of earlier calls included.
        grid: Whether to search the grid too; points that were tried before are skipped.
        jobs: Trials at a time.
        log: Receives a message for each trial and for the grid.

    Raises:
        RecipeError: If no random trial is finished, so that the grid has no centre.
    """
    queued = [trial for trial in _trials(study, TrialState.WAITING) if _PHASE in trial.user_attrs]
    drawn = _random(_trials(study, *_FINISHED))
    run_trials(plan, study, random - len(drawn) + len(queued), jobs, log, RandomSampler)
    if not grid:
        return
    best = best_trial(plan, study, _random(study.get_trials(deepcopy=False)))
    points = plan.space.grid_around(best.params)
    for point in points:
        study.enqueue_trial(point, user_attrs={_PHASE: "grid"}, skip_if_exists=True)
    left = len(_trials(study, TrialState.WAITING))
    log(f"grid of {len(points)} points around trial {best.number}: {left} left to try")
    run_trials(plan, study, left, jobs, log, RandomSampler)


def _trials(study: optuna.Study, *states: TrialState) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=states)


def _random(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that are not points of a grid."""
    return [trial for trial in trials if _PHASE not in trial.user_attrs]
