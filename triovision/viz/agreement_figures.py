"""Country probabilities of several models in one chart, and the difference of their heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from PIL import Image

from triovision.languages import percent
from triovision.results import Explanation, Photo, Prediction
from triovision.viz.figures import country_label
from triovision.viz.overlays import shown_photo, tinted
from triovision.viz.palette import Palette, base_layout
from triovision.viz.run_style import colours, safe_name

_QUARTERS: Final = (0, 0.25, 0.5, 0.75, 1)
_SHAPES: Final = ("", "/", "x", ".", "\\", "-")


def country_bars(
    predictions: Sequence[Prediction], countries: Sequence[str], palette: Palette, language: str = "en"
) -> go.Figure:
    """Grouped horizontal bars: one group per country, one colour and pattern per model.

    Args:
        predictions: One prediction per model, of the same photo, with all countries of the model.
        countries: Countries to show, the first on top. A country that a model does not know has no bar.
        palette: Colours.
        language: Language of names and numbers.
    """
    labels = [country_label(country, language) for country in countries]
    inks = colours(palette)
    figure = go.Figure()
    for number, prediction in enumerate(predictions):
        known = {guess.country: guess.probability for guess in prediction.countries}
        values = [known.get(country) for country in countries]
        texts = ["" if value is None else percent(value, language) for value in values]
        shape = _SHAPES[number % len(_SHAPES)]
        figure.add_bar(
            name=f"{number + 1} · {safe_name(prediction.model)}",
            x=values,
            y=labels,
            orientation="h",
            marker={"color": inks[number % len(inks)], "pattern": {"shape": shape, "size": 6, "solidity": 0.2}},
            text=texts,
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y} · %{text}<extra>" + safe_name(prediction.model) + "</extra>",
        )
    figure.update_layout(
        **base_layout(palette, 14),
        barmode="group",
        bargap=0.3,
        height=110 + len(countries) * (18 + 18 * len(predictions)),
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        dragmode=False,
        legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        xaxis={
            "range": [0, 1.12],
            "tickvals": _QUARTERS,
            "ticktext": [percent(value, language) for value in _QUARTERS],
            "gridcolor": palette.grid,
            "zeroline": False,
            "fixedrange": True,
            "automargin": True,
        },
        yaxis={"autorange": "reversed", "automargin": True, "fixedrange": True},
    )
    return figure


def attention_difference(photo: Photo, first: Explanation, second: Explanation) -> Image.Image:
    """Parts of a photo that count more for one of two models, over the photo in grey.

    Args:
        photo: The photo of both.
        first: Heat map of the first model; orange where it is higher.
        second: Heat map of the second model; blue where it is higher.

    Returns:
        RGB image with the aspect ratio of the photo. It is grey where both are equal, and outside of either input.
    """
    shown = shown_photo(photo)
    maps = [_on_photo(explanation, shown.size) for explanation in (first, second)]
    difference_hw = np.nan_to_num(maps[0] - maps[1])
    grey_hw = np.asarray(shown.convert("L"), np.float32) * 0.7
    return tinted(grey_hw, difference_hw)


def _on_photo(explanation: Explanation, size: tuple[int, int]) -> NDArray[np.float32]:
    """The heat map resized to its part of the photo, `(height, width)`; NaN outside of it."""
    left, top, right, bottom = (round(edge * side) for edge, side in zip(explanation.box, (*size, *size), strict=True))
    result = np.full((size[1], size[0]), np.nan, np.float32)
    heat = Image.fromarray(explanation.heatmap_hw).resize(
        (max(1, right - left), max(1, bottom - top)), Image.Resampling.BICUBIC
    )
    result[top:bottom, left:right] = np.asarray(heat).clip(0, 1)[: bottom - top, : right - left]
    return result
