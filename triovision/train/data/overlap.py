"""Which photos of a manifest a model learnt from, as its card tells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from triovision.errors import RecipeError
from triovision.inference import ModelCard
from triovision.train.data.manifest import Manifest
from triovision.train.data.run_splits import marked_rows


class _Data(BaseModel):
    validation_splits: tuple[str, ...]


class _Recipe(BaseModel):
    data: _Data


def held_out_columns(card: ModelCard) -> tuple[str, ...] | None:
    """Columns of the manifest in which `val` kept a photo from the model; None where the card does not say."""
    try:
        return _Recipe.model_validate(card.provenance.recipe).data.validation_splits
    except ValidationError:  # a model that was not made here
        return None


def learnt_rows(card: ModelCard, manifest: Manifest) -> NDArray[np.bool_] | None:
    """Which photos of a manifest a model may have learnt from; None where that cannot be told.

    That can be told of the manifest that the model was trained on alone.

    Args:
        card: Of a model with a network of its own.
        manifest: All of its photos.
    """
    columns = held_out_columns(card)
    if columns is None or card.provenance.manifest_sha256 != manifest.sha256:
        return None
    learnt, _ = marked_rows(manifest, columns)
    return learnt


def held_out_by_all(cards: Sequence[ModelCard], manifest: Manifest) -> tuple[str, ...]:
    """Columns whose `val` photos none of some models learnt from.

    A model that was not made here is no obstacle: nothing shows that it knows the photos.

    Raises:
        RecipeError: If there is no such column, or a model was trained on another manifest, so that what it learnt
            from cannot be told.
    """
    told = {card.id: columns for card in cards if (columns := held_out_columns(card)) is not None}
    if not told:
        remedy = "Take a member that was trained on the manifest"
        raise RecipeError(", ".join(card.id for card in cards), "do not say which photos they held out", remedy)
    for card in cards:
        if card.id in told and card.provenance.manifest_sha256 != manifest.sha256:
            reason = "was trained on another manifest, so that it cannot be told which of these photos it learnt from"
            raise RecipeError(card.id, reason, "Give the manifest that all members were trained on")
    first, *others = told.values()
    shared = tuple(column for column in first if all(column in columns for columns in others))
    if not shared:
        words = "; ".join(f"{name} held out {', '.join(columns) or 'nothing'}" for name, columns in told.items())
        reason = f"no split was held out by all members: {words}"
        remedy = (
            "Take members that held the same photos out; an ensemble fitted on photos that one learnt would trust it"
        )
        raise RecipeError("ensemble", reason, f"{remedy} too much")
    return shared
