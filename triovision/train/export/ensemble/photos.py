"""The photos that an ensemble is fitted on and those that it is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triovision.errors import RecipeError
from triovision.inference import ModelCard
from triovision.train.data.manifest import Manifest
from triovision.train.data.overlap import held_out_by_all
from triovision.train.data.splits import marked_rows
from triovision.train.export.calibration import fit_half


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutPhotos:
    """Photos that no member learnt from, as far as the members' cards say.

    Attributes:
        columns: Columns of the manifest whose `val` they are.
        fit: Rows of the manifest to fit on, ascending.
        split: Name of the split of each of them.
        splits: All photos by the name of the split. To measure on are those whose places are not among those of `fit`.
    """

    columns: tuple[str, ...]
    fit: NDArray[np.int64]
    split: NDArray[np.str_]
    splits: dict[str, Manifest]


def held_out_photos(cards: Sequence[ModelCard], manifest: Manifest) -> HeldOutPhotos:
    """Divide the photos that no member learnt from by place, as the calibration of single models does.

    Raises:
        RecipeError: If a member may have learnt from all of them, or too few places are left for two halves.
    """
    columns = held_out_by_all(cards, manifest)
    _, parts = marked_rows(manifest, columns)
    first_half = fit_half(manifest.table["place"])
    names = np.full(len(manifest), "", dtype=object)
    for name, rows in parts.items():
        names[rows] = name
    fit = np.flatnonzero((names != "") & first_half)
    if not len(fit) or len(fit) == (names != "").sum():
        reason = f"has too few places that are `val` in {', '.join(columns)} for two halves"
        raise RecipeError(str(manifest.root), reason, "Hold more places out")
    splits = {name: manifest.where(rows) for name, rows in parts.items() if rows.any()}
    return HeldOutPhotos(columns, fit, names[fit].astype(str), splits)
