"""Film strip: the photos of the session with flag and certainty, one of them chosen."""

from __future__ import annotations

import streamlit as st

from triovision.geo import country_name
from triovision.prediction_texts import confidence_name, title_probability
from triovision.ui.flags import with_flag
from triovision.ui.messages import photo_or_error
from triovision.ui.session import PhotoResult, current
from triovision.ui.translation import Translator, plain


def render_photo_choice(t: Translator) -> PhotoResult:
    """Draw the choice between several photos and return the chosen one. The session must hold at least one.

    Its pixels are in memory then; if they cannot be had, the page shows why and ends.
    """
    result = _render_choice(t)
    with photo_or_error(t):
        result.stored.read()
    return result


def _render_choice(t: Translator) -> PhotoResult:
    results = current().results
    if len(results) == 1:
        return next(iter(results.values()))
    if st.session_state.get("shown") not in results:
        st.session_state["shown"] = next(reversed(results))
    with st.container(key="film-strip"):
        key = st.pills(
            t.plural("{number} photo", "{number} photos", len(results)),
            list(results),
            format_func=lambda key: _label(results[key], t),
            key="shown",
            required=True,
            persist_state="session",
            wrap=False,
            width="stretch",
        )
    return results[key or next(iter(results))]


def _label(result: PhotoResult, t: Translator) -> str:
    """Thumbnail, flag and certainty in Markdown; the file name is the text of the image."""
    prediction = result.prediction
    country, probability = prediction.area.country, title_probability(prediction)
    certainty = confidence_name(prediction, t) if probability is None else t.percent(probability)
    words = (country_name(country, t.language) if country else "", certainty)
    image = f"![{plain(result.stored.name, 40)}]({result.stored.thumbnail()})"
    return f"{image} " + with_flag(country, " ".join(plain(word) for word in words if word), t)
