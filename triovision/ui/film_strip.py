"""Film strip: the photos of the session with flag and certainty, one of them chosen."""

from __future__ import annotations

import base64
import io

import streamlit as st
from PIL import Image

from triovision.geo import country_name
from triovision.prediction_texts import confidence_name, title_probability
from triovision.results import Photo
from triovision.ui.flags import with_flag
from triovision.ui.session import PhotoResult, current
from triovision.ui.translation import Translator, plain

_THUMBNAIL_PX = (192, 144)  # twice the size on the page, for dense screens


def render_photo_choice(t: Translator) -> PhotoResult:
    """Draw the choice between several photos and return the chosen one. The session must hold at least one."""
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
    image = f"![{plain(result.photo.name, 40)}]({_thumbnail(result)})"
    return f"{image} " + with_flag(country, " ".join(plain(word) for word in words if word), t)


def _thumbnail(result: PhotoResult) -> str:
    """Small JPEG as a data URL; it is made once and leaves memory with the photo."""
    thumbnails = current().thumbnails
    if result.key not in thumbnails:
        thumbnails[result.key] = _data_url(result.photo)
    return thumbnails[result.key]


def _data_url(photo: Photo) -> str:
    image = Image.fromarray(photo.image_hwc)
    image.thumbnail(_THUMBNAIL_PX, reducing_gap=2.0)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=70)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
