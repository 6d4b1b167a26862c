"""Drawing of the pipeline for the About page: five labelled boxes, in a row or on a phone in a column."""

from __future__ import annotations

from html import escape

import streamlit as st

from triovision.ui.translation import Translator


def render_pipeline(t: Translator) -> None:
    """Draw the way of a photo through the program. It is a list, which a screen reader reads in order."""
    items = "".join(f"<li><strong>{escape(name)}</strong><span>{escape(text)}</span></li>" for name, text in _steps(t))
    st.html(f'<ol class="pipeline">{items}</ol>')


def _steps(t: Translator) -> list[tuple[str, str]]:
    return [
        (
            t("Photo"),
            t("The file is decoded in memory, upright and in standard colours. The model sees the pixels alone."),
        ),
        (
            t("Model"),
            t(
                "Networks describe the picture. A classifier weighs the countries, and an index compares the picture "
                "with photos of known landmarks."
            ),
        ),
        (
            t("Prediction"),
            t(
                "The probable countries become weighted places on the globe. The headline names the smallest area that "
                "is certain enough."
            ),
        ),
        (t("Explanation"), t("A map over the photo shows which parts contributed to a country.")),
        (
            t("Your knowledge"),
            t("What you know about the photo restricts the same places. The model does not run again."),
        ),
    ]
