"""Ensembles of models: fitted, calibrated, measured and written."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from typing import Final

from triovision.files import atomic_write
from triovision.inference import ModelCard, load_model
from triovision.inference.card import CARD, Calibration, Ensemble, Provenance
from triovision.inference.ensemble import EnsembleEngine
from triovision.inference.pooling import union
from triovision.train.data.manifest import Manifest
from triovision.train.data.overlap import held_out_columns
from triovision.train.evaluation.calibration import HeldOut, calibrate_radii, fit_calibration
from triovision.train.evaluation.predict import predict_manifest
from triovision.train.export.card import Description
from triovision.train.export.ensemble_members import (
    EnsembleRequest,
    HeldOutPhotos,
    fitted_cards,
    held_out_photos,
    member_answers,
    member_cards,
)
from triovision.train.export.ensemble_weights import fit_weights

_REASONS: Final = (
    "The reasons that it shows are those of one member: the one that weighs most for countries and can be explained."
)


def make_ensemble(
    request: EnsembleRequest, manifest: Manifest, words: Description, on_photo: Callable[[int], object]
) -> ModelCard:
    """Fit an ensemble on photos that no member learnt from, measure it on others and write its folder.

    The members' answers are kept beside that folder until it is written, so that a fit that was killed goes on.

    Args:
        request: See `EnsembleRequest`.
        manifest: Photos with the columns of their splits, which the members were trained on.
        words: What only people can say of the model.
        on_photo: Called after each photo with the number of photos in all.

    Returns:
        The card that was written.

    Raises:
        ModelError: If a member is not on this machine or is damaged.
        RecipeError: If the members cannot make an ensemble or no photo is left to fit it on.
    """
    cards = member_cards(request)
    fitted = fitted_cards(request, cards)
    photos = held_out_photos(fitted, manifest)
    total = len(cards) * len(photos.fit) + sum(map(len, photos.splits.values()))

    def tick() -> None:
        on_photo(total)

    kept = request.models / f".{request.model_id}.answers"
    members = [load_model(card.id, request.device) for card in fitted]
    answers = [member_answers(member, manifest, photos.fit, kept, tick) for member in members]
    ensemble, seen = fit_weights(cards, answers, photos, manifest)
    calibration = fit_calibration(seen, request.accuracy)
    calibration = calibration.model_copy(update={"fitted_on": _fitted_on(cards, fitted, seen)})
    card = _card(request, words, manifest, photos, cards, ensemble, calibration)
    engine = EnsembleEngine(card, members)
    said = {name: predict_manifest(engine, part, tick) for name, part in photos.splits.items()}
    calibration, figures = calibrate_radii(said, card.labels, calibration)
    note = " (with stand-ins)" if request.stand_ins else ""
    metrics = {f"{name}{note}": values for name, values in figures.items()}
    card = card.model_copy(update={"calibration": calibration, "metrics": metrics})
    folder = request.models / card.id
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / CARD, card.model_dump_json(indent=2) + "\n")
    shutil.rmtree(kept)
    return card


def _fitted_on(cards: Sequence[ModelCard], fitted: Sequence[ModelCard], seen: HeldOut) -> str:
    """Where the weights and the calibration come from, in plain words."""
    splits = " and ".join(sorted(set(seen.split)))
    words = f"{len(seen.target)} photos that no member had learnt from, splits {splits} counting alike; the members' "
    foreign = [card.id for card in fitted if held_out_columns(card) is None]
    untold = f"; what {' and '.join(foreign)} learnt from cannot be told" if foreign else ""
    instead = [f"{two.id} stood in for {one.id}" for one, two in zip(cards, fitted, strict=True) if one.id != two.id]
    return "; ".join([f"{words}weights were fitted on the same photos{untold}", *instead])


def _card(
    request: EnsembleRequest,
    words: Description,
    manifest: Manifest,
    photos: HeldOutPhotos,
    cards: Sequence[ModelCard],
    ensemble: Ensemble,
    calibration: Calibration,
) -> ModelCard:
    labels = union([card.labels for card in cards])
    each = ", ".join(f"{card.id} {len(card.labels)}" for card in cards)
    return ModelCard(
        id=request.model_id,
        summary=words.summary,
        architecture="ensemble",
        labels=labels,
        calibration=calibration,
        ensemble=ensemble,
        provenance=Provenance(
            recipe={"fitted_on": list(photos.columns), "accuracy": request.accuracy},
            manifest_sha256=manifest.sha256,
            photos=len(photos.fit),
            command=request.command,
            data=words.data,
        ),
        metrics={},
        knows=f"{len(labels)} countries that its members know together ({each}); what each knows is in its own card.",
        limits=f"{words.limits} {_REASONS}",
        licence=words.licence,
    )
