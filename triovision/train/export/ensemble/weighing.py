"""What the members of an ensemble weigh, from their answers to held-out photos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from triovision.errors import RecipeError
from triovision.inference import ModelCard
from triovision.inference.card import Ensemble, Member
from triovision.inference.pooling import log_completed, union
from triovision.train.data.dataset import NO_LABEL, targets
from triovision.train.data.manifest import Manifest
from triovision.train.export.calibration import HeldOut
from triovision.train.export.ensemble.answers import MemberAnswers
from triovision.train.export.ensemble.fitting import fit_country_weights, fit_place_weights
from triovision.train.export.ensemble.photos import HeldOutPhotos


def weigh(
    cards: Sequence[ModelCard], answers: Sequence[MemberAnswers], photos: HeldOutPhotos, manifest: Manifest
) -> tuple[Ensemble, HeldOut]:
    """What each member weighs, and what the pool says of the photos, by which it can be calibrated.

    Each split counts alike. Photos that cannot be read, and for the weights those of a country that no member knows,
    are left out.

    Args:
        cards: Of the members.
        answers: Of the members, to the photos of `photos.fit`.
        photos: See `HeldOutPhotos`.
        manifest: All photos.

    Raises:
        RecipeError: If no photo is left.
    """
    labels = union([card.labels for card in cards])
    known = np.array([np.isin(labels, card.labels) for card in cards])
    said = np.zeros((len(cards), len(photos.fit), len(labels)))
    for row, card, answered in zip(said, cards, answers, strict=True):
        row[:, np.searchsorted(labels, card.labels)] = answered.probability
    part = manifest.where(np.isin(np.arange(len(manifest)), photos.fit))
    target = targets(part, labels)
    read = np.asarray(~np.isnan(said).any(axis=(0, 2)))
    usable = read & (target != NO_LABEL)
    if not usable.any():
        raise RecipeError(str(manifest.root), "no held-out photo shows a country that a member knows", "Add photos")
    log_probability = log_completed(said, known)
    country_weights = fit_country_weights(log_probability[:, usable], target[usable], _alike(photos.split[usable]))
    density = np.array([answered.density for answered in answers])
    place_weights = fit_place_weights(density[:, usable], _alike(photos.split[usable]))
    ensemble = Ensemble(
        members=tuple(
            Member(id=card.id, weights_sha256=str(card.weights_sha256), country_weight=country, place_weight=place)
            for card, country, place in zip(cards, country_weights.tolist(), place_weights.tolist(), strict=True)
        )
    )
    seen = HeldOut(
        split=photos.split,
        place=part.table["place"].to_numpy(str),
        logits=np.tensordot(country_weights, log_probability, axes=1).astype(np.float32),
        target=target,
        position_deg=part.table[["lat", "lon"]].to_numpy(np.float64),
    )
    return ensemble, seen.where(read)


def _alike(splits: NDArray[np.str_]) -> NDArray[np.float64]:
    """What each photo counts, so that each split counts alike; they sum to one."""
    names, index, counts = np.unique(splits, return_inverse=True, return_counts=True)
    return np.asarray(1 / (len(names) * counts[index]))
