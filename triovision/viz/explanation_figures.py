"""Deletion and insertion curves of an explanation, beside those of a random order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from triovision.viz.palette import Palette
from triovision.viz.run_style import apply_style, colours

if TYPE_CHECKING:
    from triovision.explain import Faithfulness
    from triovision.languages import Translator

_QUARTERS: Final = (0, 0.25, 0.5, 0.75, 1)


def faithfulness_figure(measured: Faithfulness, palette: Palette, t: Translator) -> go.Figure:
    """Draw the score of the model while the photo is hidden or shown, strongest places of the map first.

    Args:
        measured: Curves of the explanation and of a random order.
        palette: Colours.
        t: Language of texts and numbers.

    Returns:
        Four lines, the random orders in grey, distinct in dash too.
    """
    deletion, insertion = colours(palette)[1], colours(palette)[0]
    figure = go.Figure(
        [
            _line(measured, name, values, color, dash, t)
            for name, values, color, dash in (
                (t("random order, hidden"), measured.random_deletion, palette.muted, "dot"),
                (t("random order, shown"), measured.random_insertion, palette.muted, "dashdot"),
                (t("strongest hidden first"), measured.deletion, deletion, "dash"),
                (t("strongest shown first"), measured.insertion, insertion, "solid"),
            )
        ]
    )
    apply_style(figure, palette, 380)
    ticks = {"range": [0, 1.01], "tickvals": _QUARTERS, "ticktext": [t.percent(value) for value in _QUARTERS]}
    figure.update_xaxes(title=t("part of the photo hidden or shown"), **ticks)
    figure.update_yaxes(title=t("probability"), **ticks)
    figure.update_layout(legend_traceorder="reversed")
    return figure


def _line(
    measured: Faithfulness, name: str, values: NDArray[np.float64], color: str, dash: str, t: Translator
) -> go.Scatter:
    texts = [f"{t.percent(part)} · {t.percent(value)}" for part, value in zip(measured.fraction, values, strict=True)]
    return go.Scatter(
        name=name,
        x=list(measured.fraction),
        y=list(values),
        mode="lines",
        line={"color": color, "dash": dash, "width": 2},
        text=texts,
        hovertemplate="%{text}<extra>%{fullData.name}</extra>",
    )
