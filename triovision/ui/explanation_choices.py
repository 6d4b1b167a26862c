"""Choices of an explanation: country, contrast, method, the method's settings, and the opacity of the map."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from triovision.explanation_settings import ExplanationSettings
from triovision.geo import country_name
from triovision.prediction_texts import guess_text
from triovision.ui.explanation_service import explanation_methods, method_kind
from triovision.ui.explanation_texts import kind_name, method_name
from triovision.ui.session import ExplanationKey, PhotoResult
from triovision.ui.translation import Translator, relabel

if TYPE_CHECKING:
    from triovision.inference import GeoModel


@dataclass(frozen=True, slots=True)
class Choice:
    """What the reader wants to see.

    Attributes:
        key: What is explained, and how.
        opacity: Opacity of the map over the photo, from 0 to 1.
    """

    key: ExplanationKey
    opacity: float


def render_choices(result: PhotoResult, model: GeoModel, t: Translator) -> Choice:
    """Draw the widgets and return what they say."""
    guesses = {guess.country: guess for guess in result.prediction.countries}
    countries = list(guesses)
    country_key = f"country-{result.id}"
    for key in (country_key, "method"):
        relabel(key, t)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        country = st.selectbox(
            t("Country"),
            countries,
            format_func=lambda code: guess_text(guesses[code], result.prediction.calibrated, t),
            key=country_key,
            persist_state="session",
            width=240,
        )
        against = _against(result, [code for code in countries if code != country], t)
        method = st.selectbox(
            t("Method"),
            explanation_methods(model),
            format_func=lambda name: _method_label(name, t),
            help=t(
                "Each method finds in its own way which parts of the photo raise the score of the country: the number "
                "that the network gives it, before it becomes a probability."
            ),
            key="method",
            persist_state="session",
            width=280,
        )
        opacity = st.slider(
            t("Opacity of the map"),
            *(0, 100, 55, 5),
            format=t.percent_format,
            key="opacity",
            persist_state="session",
            width=160,
        )
    settings = _settings(method, t)
    return Choice(ExplanationKey(result.id, country, method or "", against, settings), opacity / 100)


def _method_label(name: str, t: Translator) -> str:
    kind, shown = method_kind(name), method_name(name, t)
    return shown if kind is None else f"{shown} · {kind_name(kind, t)}"


def _against(result: PhotoResult, countries: list[str], t: Translator) -> str | None:
    """The country that the chosen one is contrasted with."""
    key = f"against-{result.id}"
    if st.session_state.get(key) not in countries:  # just chosen as the country
        st.session_state[key] = None
    relabel(key, t)
    return st.selectbox(
        t("And not"),
        countries,
        index=None,
        placeholder=t("any other country"),
        format_func=lambda code: country_name(code, t.language),
        help=t("With a country here, the map shows what speaks for the first country rather than for this one."),
        key=key,
        persist_state="session",
        width=190,
    )


def _settings(method: str | None, t: Translator) -> ExplanationSettings | None:
    """The chosen settings of a method, the others as they are by default; None for a method without settings."""
    draw = _SETTINGS.get(method or "")
    if draw is None:
        return None
    with st.expander(t("Settings: {method}", method=method_name(method or "", t))):
        return replace(ExplanationSettings(), **draw(t))


def _window(t: Translator) -> dict[str, Any]:
    window = _slider("window", t("Side of the window"), (10, 50, 20, 5), t, of_side=True)
    stride = _slider("stride", t("Step of the window"), (5, window, 10, 5), t, of_side=True)
    return {"window": window / 100, "stride": stride / 100}


def _segments(t: Translator) -> dict[str, Any]:
    segments = _slider("segments", t("Segments"), (10, 150, 50, 10), t)
    fewest = 50 * math.ceil((segments + 2) / 50)  # each segment has a coefficient
    samples = _slider("samples", t("Changed photos"), (fewest, 500, 200, 50), t)
    return {"segments": segments, "samples": samples}


def _steps(t: Translator) -> dict[str, Any]:
    return {"steps": _slider("steps", t("Steps"), (8, 128, 32, 8), t)}


_SETTINGS: Final[Mapping[str, Callable[[Translator], dict[str, Any]]]] = {
    "Occlusion": _window,
    "LIME": _segments,
    "KernelSHAP": _segments,
    "GradientSHAP": _steps,
    "Integrated gradients": _steps,
}


def _slider(name: str, label: str, bounds: tuple[int, int, int, int], t: Translator, *, of_side: bool = False) -> int:
    """Slider of a setting, with its bounds as least, greatest, default and step; of a side in per cent."""
    least, greatest, usual, step = bounds
    key = f"why-{name}"
    chosen = st.session_state.setdefault(key, usual)
    if not least <= chosen <= greatest:  # another slider has moved its bounds
        st.session_state[key] = min(greatest, max(least, chosen))
    shown = t.percent_format if of_side else None
    return st.slider(label, least, greatest, step=step, format=shown, key=key, persist_state="session", width=320)
