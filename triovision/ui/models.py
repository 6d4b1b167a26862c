"""Installed models: choice, model cards, key metrics and file check."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from triovision.errors import ModelError
from triovision.ui.details import render_card
from triovision.ui.messages import report
from triovision.ui.metric_names import split_name
from triovision.ui.model_figures import render_figures
from triovision.ui.model_studies import render_studies
from triovision.ui.service import is_remote, models, take_linked_model
from triovision.ui.session import current
from triovision.ui.translation import Translator, plain

if TYPE_CHECKING:
    from triovision.inference import ModelCard

_KEY_SPLITS = ("new_sources", "new_places", "known_places")


@dataclass(frozen=True, slots=True)
class Model:
    """An installed model.

    Attributes:
        card: Model card.
        folder: Folder of its files; None for a model of a server.
    """

    card: ModelCard
    folder: Path | None

    @property
    def size_bytes(self) -> int:
        """Total size of its files on this machine."""
        return (
            0 if self.folder is None else sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file())
        )


def installed_models() -> tuple[dict[str, Model], list[ModelError]]:
    """Installed models by id, or those of the server, and the errors of models whose card cannot be read."""
    if is_remote():
        try:
            return {card.id: Model(card, None) for card in models().cards()}, []
        except ModelError as error:
            return {}, [error]
    from triovision.inference import read_card  # noqa: PLC0415 - imports PyTorch
    from triovision.inference.registry import found_models  # noqa: PLC0415

    found, faults = {}, []
    for model_id, folder in found_models().items():
        try:
            found[model_id] = Model(read_card(folder, model_id), folder)
        except ModelError as error:
            faults.append(error)
    return found, faults


def selected_model_id() -> str:
    """Id of the model of this session, or of the default model before the first prediction."""
    take_linked_model()
    if (chosen := current().model) is not None:
        return chosen
    if is_remote():
        try:
            return models().default()[0].card.id
        except ModelError:  # `installed_models` names it
            return ""
    from triovision.inference import default_model  # noqa: PLC0415 - imports PyTorch

    return default_model()


def render_model_choice(known: dict[str, Model], t: Translator) -> None:
    """Draw the choice of the model of this session."""
    selected = selected_model_id()
    st.session_state["model"] = selected if selected in known else None
    st.radio(
        t("Model of this browser tab"),
        list(known),
        index=None,
        format_func=plain,
        captions=[plain(t.of_card(model.card.summary), 300) for model in known.values()],
        key="model",
        on_change=_choose,
    )


def _choose() -> None:
    model_id = st.session_state["model"]
    if model_id is not None:
        current().choose(model_id)


def render_model(model: Model, t: Translator) -> None:
    """Draw the card of a model, its key metrics, and buttons to check its files and to save its card."""
    card = model.card
    with st.container(border=True, key=f"about-{card.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(plain(card.id), anchor=False, width="content")
            if card.id == selected_model_id():
                st.badge(t("in use"), color="primary")
        countries = t.plural("{number} country", "{number} countries", len(card.labels))
        # An ensemble has no weights of its own, and a server's files are there.
        own_files = card.ensemble is None and model.folder is not None
        size = [t("{size} on disk", size=t.size(model.size_bytes))] * own_files
        st.caption(" · ".join([countries, *size, plain(card.licence)]))
        _render_key_metrics(card, t)
        if model.folder is not None:
            render_figures(model.folder, card.id, card.weights_sha256, t)
            render_studies(model.folder, card.id, card.weights_sha256, t)
        with st.expander(t("What it knows, its limits, its licence and all metrics")):
            render_card(card, t)
        _render_actions(model, t)


def _render_key_metrics(card: ModelCard, t: Translator) -> None:
    names = {
        "country_top1": t("Top-1 accuracy"),
        "country_top5": t("Top-5 accuracy"),
        "median_km": t("Median distance (km)"),
    }
    rows = [
        [plain(split_name(photos, t)), *(_metric(name, metrics.get(name), t) for name in names)]
        for split in _KEY_SPLITS
        for photos, metrics in card.metrics.items()
        if photos.startswith(split)
    ]
    if rows:
        st.table(pd.DataFrame(rows, columns=[t("Measured on"), *names.values()]), border="horizontal", hide_index=True)
    else:
        st.write(t("Its card has no metrics for new or known places."))


def _metric(name: str, value: float | None, t: Translator) -> str:
    if value is None:
        return plain("-")  # a dash alone would be a list in Markdown
    return t.number(value) if name.endswith("_km") else t.percent(value)


@st.fragment
def _render_actions(model: Model, t: Translator) -> None:
    card = model.card
    with st.container(horizontal=True):
        check = model.folder is not None and st.button(t("Check the files"), key=f"check-{card.id}")
        st.download_button(
            t("Card (JSON)"),
            json.dumps(card.model_dump(mode="json"), ensure_ascii=False, indent=2),
            file_name=f"{card.id}.json",
            mime="application/json",
            key=f"card-{card.id}",
            on_click="ignore",
        )
    if not check or model.folder is None:
        return
    from triovision.inference.registry import file_faults  # noqa: PLC0415 - imports PyTorch

    with st.spinner(t("Reading every file…")):
        errors = list(file_faults(model.folder, card))
    for error in errors:
        st.error(report(error, t))
    if not errors:
        st.success(t("All files match the card."))
