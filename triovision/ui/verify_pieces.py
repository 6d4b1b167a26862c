"""Pieces of evidence: what each leaves of the model's answer, and a button that takes it away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from triovision.geo import Evidence
from triovision.geo.reverse import country_at
from triovision.prediction_texts import area_title
from triovision.ui.evidence import apply, describe, remove, unconditioned
from triovision.ui.evidence_fields import clear_fields
from triovision.ui.session import PhotoResult, current
from triovision.ui.translation import Translator, plain

if TYPE_CHECKING:
    from triovision.guesses import Area
    from triovision.inference import GeoModel
    from triovision.inference.card import Calibration
    from triovision.results import Prediction


@dataclass(frozen=True, slots=True)
class _Effect:
    """Effect of one piece alone: probability that the model gives to it, countries that it leaves, and the answer."""

    probability: float
    n_countries: int
    area: Area


def render_pieces(result: PhotoResult, model: GeoModel, claim: tuple[float, float] | None, t: Translator) -> None:
    """Draw each piece of the evidence with its effect, and the answer before and after all of them.

    Args:
        result: Photo and prediction.
        model: Model of the prediction.
        claim: Claimed position, which may disagree with a piece.
        t: Language of the reader.
    """
    evidence = result.prediction.evidence
    if evidence is None:
        return
    before = _title(unconditioned(result).area, t)
    st.write(
        t(
            "The model alone says: **{before}**. With everything below, it says: **{after}**.",
            before=before,
            after=_title(result.prediction.area, t),
        )
    )
    calibration = model.card.calibration
    for number, piece in enumerate(evidence.pieces()):
        effect = _effect(result, piece, calibration)
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"piece-{number}"):
            with st.container():
                st.write(f"**{plain(describe(piece, t), 200)}**")
                st.caption(_effect_text(result, effect, t))
                if claim is not None and not _agrees(piece, claim):
                    st.write("⚠️ " + t("The claimed place does not agree with this."))
            hint = t("Take this away: {piece}", piece=plain(describe(piece, t), 200))
            arguments = (result.key, piece, calibration, t)
            st.button(t("Remove"), key=f"remove-piece-{number}", help=hint, on_click=_remove_piece, args=arguments)


def _effect_text(result: PhotoResult, effect: _Effect, t: Translator) -> str:
    known = len(unconditioned(result).countries)
    left, all_of_them = t.number(effect.n_countries), t.number(known)
    texts = [t("It leaves {number} of the {count} countries that the model knows.", number=left, count=all_of_them)]
    if result.prediction.calibrated:
        probability = t.percent(effect.probability)
        texts.append(t("The model alone gave this a probability of {probability}.", probability=probability))
    before, after = _title(unconditioned(result).area, t), _title(effect.area, t)
    if before == after:
        texts.append(t("Alone, it leaves the answer as it is: {answer}.", answer=after))
    else:
        texts.append(t("Alone, it changes the answer from {before} to {after}.", before=before, after=after))
    return " ".join(texts)


def _effect(result: PhotoResult, piece: Evidence, calibration: Calibration) -> _Effect:
    """Effect of one piece, kept in the session: the page runs again at each click."""
    effects: dict[Evidence, _Effect] = st.session_state.setdefault(f"known-{result.id}-effects", {})
    if piece not in effects:
        from triovision.inference.prediction import condition  # noqa: PLC0415 - imports PyTorch, loaded by now

        alone: Prediction = condition(unconditioned(result), piece, calibration)
        effects[piece] = _Effect(alone.evidence_probability, len(alone.countries), alone.area)
    return effects[piece]


def _agrees(piece: Evidence, claim: tuple[float, float]) -> bool:
    lat_deg, lon_deg = np.array([claim[0]]), np.array([claim[1]])
    return bool(piece.contains(lat_deg, lon_deg, np.array([country_at(*claim) or ""]))[0])


def _title(area: Area, t: Translator) -> str:
    return plain(area_title(area, t), 160)


def _remove_piece(key: str, piece: Evidence, calibration: Calibration, t: Translator) -> None:
    result = current().results[key]
    evidence = result.prediction.evidence
    rest = evidence.without(piece) if evidence else None
    if rest is None:
        remove(key)
        return
    apply(key, rest, calibration, t)
    clear_fields(result.id)
