"""Hyper-parameter studies of a model: best value so far, importance and values of the parameters, with tables."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from triovision.metrics.model_studies import HyperparameterStudy, Value
from triovision.ui.metric_names import logged_metric_name, logged_metric_value, measured_name
from triovision.ui.model_figures import render_figure
from triovision.ui.theme import palette
from triovision.ui.translation import Translator, plain
from triovision.viz.study_figures import history_figure, importance_figure, slice_figure


def render_tuning(study: HyperparameterStudy, key: str, t: Translator) -> None:
    """Draw a hyper-parameter study; one without recorded trials has a sentence and its chosen parameters only.

    Args:
        study: The study.
        key: Distinguishes the studies of a page.
        t: Language of the reader.
    """
    st.markdown("### " + t("Tuning of {name}", name=plain(study.name)))
    st.caption(plain(t.of_card(study.measured_on), 1000))
    short = _short_names(list(study.chosen))
    title = _objective(study, t)
    chosen = [[short.get(name, name), _setting(value, t)] for name, value in study.chosen.items()]
    parameters = pd.DataFrame(chosen, columns=[t("Parameter"), t("Value of the best trial")])
    if not study.trials:
        render_figure(title, _search_sentence(study, t), None, parameters, key, t)
        return
    figure, table = history_figure(study, title, palette(), t), _trial_table(study, t)
    render_figure(t("Best value so far"), _search_sentence(study, t), figure, table, key, t)
    if study.importances:
        _importance(study, short, key, t)
    _slice(study, short, table, key, t)


def _search_sentence(study: HyperparameterStudy, t: Translator) -> str:
    metric = study.metric.rpartition("/")[2]
    sentence = t(
        "{count} trials: {first} in the first, {best} in the best",
        count=study.count,
        first=logged_metric_value(metric, study.first, t),
        best=logged_metric_value(metric, study.best, t),
    )
    if study.worst is not None:
        sentence += t(", {worst} in the worst finished one", worst=logged_metric_value(metric, study.worst, t))
    if study.pruned:
        sentence += t("; {pruned} were stopped early", pruned=study.pruned)
    if study.photos is None:
        return sentence + "."
    if study.best_low is None or study.best_high is None:
        return sentence + t("; measured on {photos} photos.", photos=t.number(study.photos))
    return sentence + t(
        "; measured on {photos} photos (95% interval of the best: {low} to {high}, photos taken as independent).",
        photos=t.number(study.photos),
        low=t.percent(study.best_low),
        high=t.percent(study.best_high),
    )


def _importance(study: HyperparameterStudy, short: dict[str, str], key: str, t: Translator) -> None:
    def label(name: str) -> str:
        return short.get(name, name)

    first = max(study.importances, key=study.importances.__getitem__)
    complete = sum(trial.state == "complete" for trial in study.trials)
    rows = [[label(name), t.percent(share)] for name, share in study.importances.items()]
    render_figure(
        t("Importance of the parameters"),
        t(
            "{name} explains more of the differences between the {count} finished trials than any other parameter: "
            "{share}. With few trials, only large shares mean something.",
            name=plain(label(first)),
            count=complete,
            share=t.percent(study.importances[first]),
        ),
        importance_figure(study, label, palette(), t),
        pd.DataFrame(rows, columns=[t("Parameter"), t("Importance")]),
        key,
        t,
    )


def _slice(study: HyperparameterStudy, short: dict[str, str], table: pd.DataFrame, key: str, t: Translator) -> None:
    def label(name: str) -> str:
        return short.get(name, name)

    ordered = sorted(study.chosen, key=lambda name: -study.importances.get(name, 0))
    parameter = st.selectbox(t("Parameter"), ordered, format_func=label, key=f"slice-{key}")
    render_figure(
        t("Value by parameter"),
        t(
            "Each dot is a finished trial, drawn at its value of {name}; the best one had {value}.",
            name=plain(label(parameter)),
            value=plain(_setting(study.chosen[parameter], t)),
        ),
        slice_figure(study, parameter, _objective(study, t), label, palette(), t),
        table,
        key,
        t,
    )


def _trial_table(study: HyperparameterStudy, t: Translator) -> pd.DataFrame:
    metric, states = study.metric.rpartition("/")[2], _states(t)
    names = list(dict.fromkeys(name for trial in study.trials for name in trial.parameters))
    short = _short_names(names)
    rows = [
        [
            str(trial.number),
            states[trial.state],
            logged_metric_value(metric, trial.value, t),
            *(_setting(trial.parameters.get(name), t) for name in names),
        ]
        for trial in study.trials
    ]
    return pd.DataFrame(rows, columns=[t("Trial"), t("State"), _objective(study, t), *(short[name] for name in names)])


def _states(t: Translator) -> dict[str, str]:
    return {"complete": t("finished"), "pruned": t("stopped early"), "failed": t("failed")}


def _objective(study: HyperparameterStudy, t: Translator) -> str:
    split, _, metric = study.metric.rpartition("/")
    return f"{logged_metric_name(metric, t)} ({measured_name(split, t)})"


def _setting(value: Value, t: Translator) -> str:
    """Value of a parameter as text."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}".replace(".", "," if t.language == "fr" else ".")
    return str(value)


def _short_names(names: Sequence[str]) -> dict[str, str]:
    """Names of fields without their section, where that is unambiguous."""
    fields = [name.rpartition(".")[2].replace("_", " ") for name in names]
    return {name: field if fields.count(field) == 1 else name for name, field in zip(names, fields, strict=True)}
