"""Export of an ensemble: weights, calibration, evaluation and the model card."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from typing import Final

from triovision.files import atomic_write
from triovision.inference import ModelCard
from triovision.inference.card import CARD, Calibration, Ensemble, Provenance
from triovision.inference.device import choose_device
from triovision.inference.ensemble import EnsembleEngine
from triovision.inference.pooling import union
from triovision.inference.registry import model_folder, open_model
from triovision.train.data.manifest import Manifest
from triovision.train.data.overlap import held_out_columns
from triovision.train.evaluation.calibration import HeldOut, calibrate_radii, fit_calibration
from triovision.train.evaluation.predict import predict_manifest
from triovision.train.export.card import Description
from triovision.train.export.ensemble_members import (
    EnsembleRequest,
    HeldOutPhotos,
    held_out_photos,
    member_cards,
    member_predictions,
)
from triovision.train.export.ensemble_weights import fit_weights

_EXPLANATIONS: Final = (
    "Its explanations are those of one member: the one with the largest country weight that can be explained."
)


def export_ensemble(
    request: EnsembleRequest, manifest: Manifest, description: Description, on_photo: Callable[[int], object]
) -> ModelCard:
    """Fit an ensemble on photos that no member was trained on, evaluate it on others and write its folder.

    Predictions of the members are cached beside that folder until it is written, so that a killed fit is resumed.

    Args:
        request: See `EnsembleRequest`.
        manifest: Manifest that the members were trained on, with its split columns.
        description: Texts of the card.
        on_photo: Called after each photo with the total number of photos.

    Returns:
        The card.

    Raises:
        ModelError: If a member is not installed or is damaged.
        RecipeError: If the members cannot be combined or no photo is left to fit the weights.
    """
    cards = member_cards(request)
    photos = held_out_photos(cards, manifest)
    total = len(cards) * len(photos.fit) + sum(map(len, photos.splits.values()))

    def advance() -> None:
        on_photo(total)

    cache = request.models / f".{request.model_id}.predictions"
    device = choose_device(request.device)
    members = [open_model(model_folder(card.id), device) for card in cards]
    predictions = [member_predictions(member, manifest, photos.fit, cache, advance) for member in members]
    ensemble, outputs = fit_weights(cards, predictions, photos, manifest)
    calibration = fit_calibration(outputs, request.accuracy)
    calibration = calibration.model_copy(update={"fitted_on": _fitted_on(cards, outputs)})
    card = _card(request, description, manifest, photos, cards, ensemble, calibration)
    engine = EnsembleEngine(card, members)
    held_out = {name: predict_manifest(engine, part, advance) for name, part in photos.splits.items()}
    calibration, metrics = calibrate_radii(held_out, card.labels, calibration)
    card = card.model_copy(update={"calibration": calibration, "metrics": metrics})
    folder = request.models / card.id
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / CARD, card.model_dump_json(indent=2) + "\n")
    shutil.rmtree(cache)
    return card


def _fitted_on(cards: Sequence[ModelCard], outputs: HeldOut) -> str:
    """Sentence about the photos of the weights and the calibration."""
    splits = " and ".join(sorted(set(outputs.split)))
    photos = f"{len(outputs.target)} photos that no member was trained on, splits {splits} with equal weight"
    foreign = [card.id for card in cards if held_out_columns(card) is None]
    unknown = f"; the training photos of {' and '.join(foreign)} are unknown" if foreign else ""
    return f"{photos}; weights: the same photos{unknown}"


def _card(
    request: EnsembleRequest,
    description: Description,
    manifest: Manifest,
    photos: HeldOutPhotos,
    cards: Sequence[ModelCard],
    ensemble: Ensemble,
    calibration: Calibration,
) -> ModelCard:
    labels = union([card.labels for card in cards])
    counts = ", ".join(f"{card.id} {len(card.labels)}" for card in cards)
    return ModelCard(
        id=request.model_id,
        summary=description.summary,
        architecture="ensemble",
        labels=labels,
        calibration=calibration,
        ensemble=ensemble,
        provenance=Provenance(
            recipe={"fitted_on": list(photos.columns), "accuracy": request.accuracy},
            manifest_sha256=manifest.sha256,
            photos=len(photos.fit),
            command=request.command,
            data=description.data,
        ),
        metrics={},
        knows=f"{len(labels)} countries that its members know together ({counts}); see the cards of the members.",
        limits=f"{description.limits} {_EXPLANATIONS}",
        licence=description.licence,
    )
