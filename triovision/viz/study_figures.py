"""Plotly figures of the studies behind a model: training curves, comparisons, trials of a hyper-parameter study."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from textwrap import wrap

import plotly.graph_objects as go

from triovision.languages import Translator
from triovision.metrics.model_studies import CONTROL, Comparison, HyperparameterStudy, TrainingCurves
from triovision.viz.palette import Palette
from triovision.viz.run_style import SYMBOLS, apply_style, colours, curves, lines, safe_name

Label = Callable[[str], str]
"""Name of a split, a method or a parameter in the reader's language."""

_QUARTERS = (0, 0.25, 0.5, 0.75, 1)
#: Values that differ by more than this factor are drawn on a logarithmic axis.
_LOGARITHMIC = 50
#: Characters in a line of a name beside a figure.
_LINE = 18


def curves_figure(
    run: TrainingCurves, metric: str, title: str, label: Label, palette: Palette, t: Translator
) -> go.Figure:
    """Values of a metric by epoch in training and on each split, with the interval of the accuracy that was kept.

    Args:
        run: The curves.
        metric: `loss`, `top1` or `median_km`.
        title: Title of the vertical axis.
        label: Names `train` and the splits.
        palette: Colours.
        t: Language of texts and numbers.
    """
    named = lines(run.epochs, metric)
    figure = curves({label(name): line for name, line in named.items()}, palette, title)
    figure.update_traces(hovertemplate=t("epoch {number}", number="%{x}") + ": %{y}<extra>%{fullData.name}</extra>")
    figure.update_xaxes(title=t("epoch"))
    figure.update_yaxes(hoverformat=",.0f" if metric == "median_km" else ".3f")
    if metric == "top1":
        _percent_axis(figure, "y", t, whole=True)
        figure.update_yaxes(hoverformat=".1%")
        _add_kept_intervals(figure, run, list(named))
    return _separators(figure, t)


def _add_kept_intervals(figure: go.Figure, run: TrainingCurves, names: list[str]) -> None:
    """Draw the 95 % interval of each split in the epoch whose weights were kept."""
    splits = {split.name: split for split in run.splits if split.top1_low is not None and split.top1_high is not None}
    for name, trace in zip(names, figure.data, strict=True):
        split, epochs = splits.get(name), list(trace.x)
        if split is None or run.best_epoch not in epochs:
            continue
        kept = epochs.index(run.best_epoch)
        above, below = [0.0] * len(epochs), [0.0] * len(epochs)
        above[kept] = max(0.0, (split.top1_high or 0) - trace.y[kept])
        below[kept] = max(0.0, trace.y[kept] - (split.top1_low or 0))
        trace.error_y = {"type": "data", "array": above, "arrayminus": below, "thickness": 1.5, "width": 5}


def comparison_figure(comparison: Comparison, title: str, label: Label, palette: Palette, t: Translator) -> go.Figure:
    """Drawn metric of each recipe or version, with its standard deviation over the folds or its 95 % interval.

    Args:
        comparison: The comparison.
        title: Title of the horizontal axis.
        label: Names a split or a method of prediction, and the controls.
        palette: Colours.
        t: Language of texts and numbers.
    """
    figure, sets = go.Figure(), list(dict.fromkeys(row.on for row in comparison.rows))
    for number, on in enumerate(sets):
        rows = [row for row in comparison.rows if row.on == on]
        measures = [row.metrics[comparison.metric] for row in rows]
        above = [one.sd or (0 if one.high is None else max(0, one.high - one.value)) for one in measures]
        below = [one.sd or (0 if one.low is None else max(0, one.value - one.low)) for one in measures]
        figure.add_scatter(
            name=label(on),
            x=[one.value for one in measures],
            y=[_wrapped(label(CONTROL) if row.name == CONTROL else row.name) for row in rows],
            mode="markers",
            orientation="h",
            marker={"color": colours(palette)[number % 6], "symbol": SYMBOLS[number % 6], "size": 10},
            error_x={"type": "data", "array": above, "arrayminus": below, "thickness": 1.5, "width": 5},
            text=["" if row.photos is None else t("{photos} photos", photos=row.photos) for row in rows],
            hovertemplate="%{y}: %{x}<br>%{text}<extra>%{fullData.name}</extra>",
        )
    names = len({row.name for row in comparison.rows})
    apply_style(figure, palette, 110 + names * (32 + 12 * len(sets)))
    figure.update_layout(showlegend=True, legend_font_size=12, scattermode="group", scattergap=0.4)
    if comparison.metric == "top1":
        _percent_axis(figure, "x", t, whole=False)
    figure.update_xaxes(title=title, rangemode="tozero", hoverformat=".1%" if comparison.metric == "top1" else ",.0f")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return _separators(figure, t)


def history_figure(study: HyperparameterStudy, title: str, palette: Palette, t: Translator) -> go.Figure:
    """Value of each finished trial by its number, and the best value so far.

    Args:
        study: A study whose trials are recorded.
        title: Title of the vertical axis.
        palette: Colours.
        t: Language of texts and numbers.
    """
    finished = [(one.number, one.value) for one in study.trials if one.state == "complete" and one.value is not None]
    numbers, values = [number for number, _ in finished], [value for _, value in finished]
    better = max if study.direction == "maximize" else min
    figure = go.Figure(
        go.Scatter(
            name=t("finished trial"),
            x=numbers,
            y=values,
            mode="markers",
            marker={"color": palette.muted, "size": 8},
            hovertemplate=t("trial {number}", number="%{x}") + ": %{y}<extra></extra>",
        )
    )
    figure.add_scatter(
        name=t("best so far"),
        x=numbers,
        y=list(accumulate(values, better)),
        mode="lines",
        line={"color": palette.accent, "width": 2, "shape": "hv"},
        hoverinfo="skip",
    )
    apply_style(figure, palette, 360)
    figure.update_xaxes(title=t("trial"))
    return _objective_axis(figure, study, title, t)


def importance_figure(study: HyperparameterStudy, label: Label, palette: Palette, t: Translator) -> go.Figure:
    """Share of each parameter in the differences between the trials, the largest first."""
    shares = sorted(study.importances.items(), key=lambda pair: -pair[1])
    figure = go.Figure(
        go.Bar(
            x=[share for _, share in shares],
            y=[_wrapped(label(name)) for name, _ in shares],
            orientation="h",
            marker={"color": palette.accent},
            text=[t.percent(share) for _, share in shares],
            textposition="outside",
            cliponaxis=False,
            hoverinfo="skip",
        )
    )
    apply_style(figure, palette, 90 + 32 * len(shares))
    _percent_axis(figure, "x", t, whole=True)
    figure.update_xaxes(title=t("share in the differences between trials"), range=[0, 1.15])
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def slice_figure(
    study: HyperparameterStudy, parameter: str, title: str, label: Label, palette: Palette, t: Translator
) -> go.Figure:
    """Value of each finished trial against one parameter, the best trial marked.

    Args:
        study: A study whose trials are recorded.
        parameter: Name of the parameter.
        title: Title of the vertical axis.
        label: Names the parameter.
        palette: Colours.
        t: Language of texts and numbers.
    """
    trials = [one for one in study.trials if one.state == "complete" and parameter in one.parameters]
    settings = [one.parameters[parameter] for one in trials]
    numbers = [value for value in settings if isinstance(value, int | float) and not isinstance(value, bool)]
    numeric = len(numbers) == len(settings)
    figure = go.Figure()
    for name, best in ((t("finished trial"), False), (t("best trial"), True)):
        shown = [row for row, one in enumerate(trials) if (one.value == study.best) == best]
        figure.add_scatter(
            name=name,
            x=[settings[row] if numeric else safe_name(str(settings[row])) for row in shown],
            y=[trials[row].value for row in shown],
            mode="markers",
            marker={
                "color": palette.accent if best else palette.muted,
                "size": 12 if best else 8,
                "symbol": "diamond" if best else "circle",
            },
            text=[t("trial {number}", number=trials[row].number) for row in shown],
            hovertemplate="%{text}<br>%{x}: %{y}<extra></extra>",
        )
    apply_style(figure, palette, 360)
    figure.update_xaxes(title=safe_name(label(parameter)))
    if not numeric:
        figure.update_xaxes(type="category")
    elif min(numbers, default=0) > 0 and max(numbers) / min(numbers) > _LOGARITHMIC:
        figure.update_xaxes(type="log", exponentformat="power", dtick=1)
    return _objective_axis(figure, study, title, t)


def _wrapped(name: str) -> str:
    """A name in lines that leave room for the figure on a phone."""
    rows = wrap(safe_name(name).replace("_", "_ "), _LINE, break_long_words=False)
    return "<br>".join(line.replace("_ ", "_") for line in rows)


def _objective_axis(figure: go.Figure, study: HyperparameterStudy, title: str, t: Translator) -> go.Figure:
    if study.metric.endswith("/top1"):
        figure.update_yaxes(tickformat=".0%", hoverformat=".1%")
    else:
        figure.update_yaxes(hoverformat=",.0f" if study.metric.endswith("_km") else ".3f")
    figure.update_yaxes(title=title)
    figure.update_layout(showlegend=True)
    return _separators(figure, t)


def _percent_axis(figure: go.Figure, axis: str, t: Translator, *, whole: bool) -> None:
    """Ticks in per cent in the format of a language; `whole` always shows 0 to 100 %."""
    ticks = {"tickvals": _QUARTERS, "ticktext": [t.percent(value) for value in _QUARTERS]}
    update = figure.update_xaxes if axis == "x" else figure.update_yaxes
    update(**(ticks | {"range": [0, 1.04]} if whole else {"tickformat": ".0%"}))


def _separators(figure: go.Figure, t: Translator) -> go.Figure:
    """Set the decimal mark and the mark of thousands of a language."""
    figure.update_layout(separators=",\u202f" if t.language == "fr" else ".,")
    return figure
