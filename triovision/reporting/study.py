"""What a study leaves behind: the best recipe, a table of its trials and a page of figures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import plotly.graph_objects as go
from optuna.trial import FrozenTrial, TrialState
from optuna.visualization import plot_optimization_history, plot_param_importances

from triovision.train.tuning.search_space import value_at
from triovision.train.tuning.study import StudyPlan, best_trial
from triovision.viz import figures_page

BEST, TRIALS, PAGE = "best.toml", "trials.csv", "study.html"
#: With fewer finished trials, what the importance of a field comes out as is chance.
FEWEST_FOR_IMPORTANCE = 5


def write_outputs(plan: StudyPlan[Any], study: optuna.Study) -> str:
    """Write `best.toml`, `trials.csv` and `study.html` into the study's folder.

    Returns:
        What was found and written, for the terminal.

    Raises:
        RecipeError: If no trial was finished.
    """
    best = best_trial(plan, study)
    (plan.folder / BEST).write_text(best_recipe(plan, best.params), encoding="utf-8")
    table = study.trials_dataframe(attrs=("number", "state", "value", "duration", "params", "user_attrs"))
    table["duration"] = table["duration"].dt.total_seconds()
    table.rename(columns={"duration": "duration_s"}).to_csv(plan.folder / TRIALS, index=False)
    figures, complete = study_figures(study, plan.metric), len(_complete(study))
    too_few = ""
    if complete < FEWEST_FOR_IMPORTANCE:
        too_few = f"\nno importances: they take {FEWEST_FOR_IMPORTANCE} finished trials, and there are {complete}"
    (plan.folder / PAGE).write_text(figures_page(figures, f"Study of {plan.recipe_name}"), encoding="utf-8")
    values = ", ".join(f"{field} = {_text(value)}" for field, value in best.params.items())
    written = ", ".join(str(plan.folder / name) for name in (BEST, TRIALS, PAGE))
    return f"best: trial {best.number}, {plan.metric} {best.value:.4g}: {values}\nwrote {written}{too_few}"


def study_figures(study: optuna.Study, metric: str) -> dict[str, go.Figure]:
    """History of a study and, where enough trials were finished, what each field matters; by heading.

    Args:
        study: A study with a finished trial.
        metric: Name of its objective.
    """
    figures = {"History": plot_optimization_history(study, target_name=metric)}
    if len(_complete(study)) >= FEWEST_FOR_IMPORTANCE:
        figures["Importance of the fields"] = plot_param_importances(study, target_name=metric)
    return figures


def _complete(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def best_recipe(plan: StudyPlan[Any], point: dict[str, Any]) -> str:
    """A recipe in TOML: the study's recipe as `base`, its replaced fields and those of a point.

    The trials' own number of epochs is not among them: trials may be shorter than the run that they are for.
    """
    overrides = [*plan.overrides, *plan.space.overrides(point)]
    recipe = plan.book.read(plan.recipe_name, overrides)
    known = plan.recipe_name in plan.book.names()
    base = plan.recipe_name if known else str(Path(plan.recipe_name).resolve())
    lines = [f"base = {json.dumps(base, ensure_ascii=False)}"]
    fields = dict.fromkeys(override.partition("=")[0].strip() for override in overrides)
    leaves = dict(leaf for field in fields for leaf in _leaves(field, value_at(recipe, field)))
    return "\n".join([*lines, *(f"{field} = {_text(value)}" for field, value in leaves.items())]) + "\n"


def _leaves(field: str, value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - whatever a recipe holds
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(f"{field}.{name}", inner)
    else:
        yield field, value


def _text(value: Any) -> str:  # noqa: ANN401
    """A value in TOML, which writes numbers, words and arrays as JSON does."""
    return json.dumps(value, ensure_ascii=False)
