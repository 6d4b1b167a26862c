"""Studies behind a model card: training curves and comparisons, each with a sentence about it and its table."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd
import streamlit as st

from triovision.metrics.model_studies import (
    CONTROL,
    ComparedRow,
    Comparison,
    Measure,
    ModelStudies,
    TrainingCurves,
)
from triovision.ui.metric_names import logged_metric_name, logged_metric_value, measured_name
from triovision.ui.model_figures import render_figure
from triovision.ui.model_tuning import render_tuning
from triovision.ui.theme import palette
from triovision.ui.translation import Translator, plain
from triovision.viz.run_style import lines
from triovision.viz.study_figures import comparison_figure, curves_figure


def render_studies(studies: ModelStudies | None, t: Translator) -> None:
    """Draw the studies of a model; nothing where none is recorded."""
    if studies is None or not (studies.curves or studies.comparisons or studies.searches):
        return
    with st.expander(
        t("Training: curves, comparisons, tuning"), on_change="rerun", key=f"studies-{studies.model}"
    ) as opened:
        if opened.open:  # a closed one is not worth its charts
            _render(studies, t)


def _render(studies: ModelStudies, t: Translator) -> None:
    for number, run in enumerate(studies.curves):
        _curves(run, f"{studies.model}-curves-{number}", t)
    for number, comparison in enumerate(studies.comparisons):
        _comparison(comparison, f"{studies.model}-comparison-{number}", t)
    for number, study in enumerate(studies.searches):
        render_tuning(study, f"{studies.model}-search-{number}", t)


def _curves(run: TrainingCurves, key: str, t: Translator) -> None:
    st.markdown("### " + t("Training of {name}", name=plain(run.name)))
    st.caption(plain(t.of_card(run.measured_on), 1000))
    titles = {"loss": t("Loss"), "top1": t("Top-1 accuracy"), "median_km": t("Median distance (km)")}
    drawn = {metric: title for metric, title in titles.items() if lines(run.epochs, metric)}
    for column, (metric, title) in zip(st.columns(len(drawn) or 1, gap="large"), drawn.items(), strict=False):
        with column:
            label = partial(measured_name, t=t)
            figure = curves_figure(run, metric, title, label, palette(), t)
            render_figure(title, _curves_sentence(run, metric, t), figure, _epoch_table(run, metric, t), key, t)


def _curves_sentence(run: TrainingCurves, metric: str, t: Translator) -> str:
    photos, last = t.plural("{number} photo", "{number} photos", run.training_photos), run.epochs[-1].epoch
    if run.best_epoch is None:
        return t("Trained on {photos}, {last} epochs.", photos=photos, last=last)
    sentence = t(
        "Trained on {photos}; the weights of epoch {best} of {last} were kept.",
        photos=photos,
        best=run.best_epoch,
        last=last,
    )
    kept = next((one.values for one in run.epochs if one.epoch == run.best_epoch), {})
    parts = []
    for split in run.splits:
        value = kept.get(f"{split.name}/{metric}")
        if value is None:
            continue
        texts = {
            "split": measured_name(split.name, t),
            "value": logged_metric_value(metric, value, t),
            "photos": t.number(split.photos),
        }
        if metric == "top1" and split.top1_low is not None and split.top1_high is not None:
            interval = {"low": t.percent(split.top1_low), "high": t.percent(split.top1_high)}
            text = t("{split}: {value} of {photos} photos (95% interval {low} to {high})", **texts, **interval)
        else:
            text = t("{split}: {value} on {photos} photos", **texts)
        parts.append(text)
    return " · ".join([sentence, *parts]) if parts else sentence


def _epoch_table(run: TrainingCurves, metric: str, t: Translator) -> pd.DataFrame:
    columns = {
        measured_name(name, t): dict(zip(epochs, values, strict=True))
        for name, (epochs, values) in lines(run.epochs, metric).items()
    }
    rows = [
        [str(one.epoch), *(logged_metric_value(metric, values.get(one.epoch), t) for values in columns.values())]
        for one in run.epochs
    ]
    return pd.DataFrame(rows, columns=[t("Epoch"), *columns])


def _comparison(comparison: Comparison, key: str, t: Translator) -> None:
    title = t("Versions of ResNetGPS compared") if comparison.kind == "versions" else t("Recipes compared")
    if comparison.kind == "recipes" and comparison.folds is not None:
        title = t("Recipes compared across folds")
    st.markdown(f"### {title}")
    st.caption(plain(t.of_card(comparison.measured_on), 1000))
    axis = t("Median distance (km)") if comparison.metric == "median_km" else t("Top-1 accuracy")
    figure = comparison_figure(comparison, axis, partial(measured_name, t=t), palette(), t)
    render_figure(axis, _comparison_sentence(comparison, t), figure, _comparison_table(comparison, t), key, t)


def _comparison_sentence(comparison: Comparison, t: Translator) -> str:
    metric, parts = comparison.metric, []
    for on in dict.fromkeys(row.on for row in comparison.rows):
        rows = [row for row in comparison.rows if row.on == on]
        if len(rows) == 1 and rows[0].name == CONTROL:
            continue
        best = (min if metric == "median_km" else max)(rows, key=lambda row: row.metrics[metric].value)
        values = {"set": measured_name(on, t), "name": plain(best.name)}
        values["value"] = _measure(metric, best.metrics[metric], t)
        if metric == "median_km":
            part = t("{set}: the smallest is that of {name}, {value}", **values)
        else:
            part = t("{set}: the highest is that of {name}, {value}", **values)
        photos = "" if best.photos is None else t(" on {photos} photos", photos=t.number(best.photos))
        parts.append(part + photos)
    return " · ".join([*parts, _spread_sentence(comparison, t)])


def _spread_sentence(comparison: Comparison, t: Translator) -> str:
    if comparison.folds is not None:
        return t(
            "Lines are the standard deviation over {folds} folds; smaller differences prove nothing.",
            folds=comparison.folds,
        )
    if comparison.interval == "sources":
        return t("Lines are 95% intervals from resampling whole sources; smaller differences prove nothing.")
    return t("Lines are 95% intervals that take photos as independent, so they are too short; one run each.")


def _comparison_table(comparison: Comparison, t: Translator) -> pd.DataFrame:
    metrics = list(dict.fromkeys(name for row in comparison.rows for name in row.metrics))
    first = t("Version") if comparison.kind == "versions" else t("Recipe")
    columns = [first, t("Measured on"), t("Photos"), *(logged_metric_name(name, t) for name in metrics)]
    return pd.DataFrame([_comparison_cells(row, metrics, t) for row in comparison.rows], columns=columns)


def _comparison_cells(row: ComparedRow, metrics: Sequence[str], t: Translator) -> list[str]:
    values = ["-" if name not in row.metrics else _measure(name, row.metrics[name], t) for name in metrics]
    return [
        measured_name(row.name, t),
        measured_name(row.on, t),
        "-" if row.photos is None else t.number(row.photos),
        *values,
    ]


def _measure(metric: str, measure: Measure, t: Translator) -> str:
    value = logged_metric_value(metric, measure.value, t)
    if measure.sd is not None:
        return f"{value} ± {logged_metric_value(metric, measure.sd, t)}"
    if measure.low is None or measure.high is None:
        return value
    low, high = logged_metric_value(metric, measure.low, t), logged_metric_value(metric, measure.high, t)
    return t("{value} ({low} to {high})", value=value, low=low, high=high)
