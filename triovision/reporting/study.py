"""Study page: history of the trials and importance of the searched fields."""

from __future__ import annotations

from pathlib import Path

import optuna
import plotly.graph_objects as go
from optuna.trial import TrialState
from optuna.visualization import plot_optimization_history, plot_param_importances

from triovision.errors import RecipeError
from triovision.files import atomic_write
from triovision.train.tuning.study import CONFIG, MIN_TRIALS_FOR_IMPORTANCE, StudyPlan, read_study
from triovision.viz.figures import figures_page

PAGE = "study.html"


def write_study_page(plan: StudyPlan, study: optuna.Study) -> str:
    """Write `study.html` into the study's folder.

    Args:
        plan: Plan of the study.
        study: A study with a finished trial.

    Returns:
        The written file, as text for the terminal.
    """
    page = plan.folder / PAGE
    figures = _figures(study, plan.metric)
    atomic_write(page, figures_page(figures, f"Study of {plan.recipe_name}"))
    complete = _complete_trials(study)
    if complete >= MIN_TRIALS_FOR_IMPORTANCE:
        return f"wrote {page}"
    needed = f"they take {MIN_TRIALS_FOR_IMPORTANCE} finished trials, and there are {complete}"
    return f"wrote {page}\nno importances: {needed}"


def read_study_figures(folder: Path) -> dict[str, go.Figure]:
    """Draw history and importances of a study in its folder, by heading.

    Raises:
        RecipeError: If the folder holds no study with a finished trial.
    """
    study = read_study(folder)
    if not _complete_trials(study):
        raise RecipeError(str(folder), "holds a study without a finished trial", "Finish it with its own command")
    config = study.user_attrs.get(CONFIG)
    if not isinstance(config, dict) or "metric" not in config:
        raise RecipeError(str(folder), "holds a study of another version", "Run the study again in another folder")
    figures = _figures(study, str(config["metric"]))
    return {f"Study: {heading.lower()}": figure for heading, figure in figures.items()}


def _figures(study: optuna.Study, metric: str) -> dict[str, go.Figure]:
    figures = {"History": plot_optimization_history(study, target_name=metric)}
    if _complete_trials(study) >= MIN_TRIALS_FOR_IMPORTANCE:
        figures["Importance of the fields"] = plot_param_importances(study, target_name=metric)
    return figures


def _complete_trials(study: optuna.Study) -> int:
    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
