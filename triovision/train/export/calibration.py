"""From a finished run to a model folder: outputs for held-out photos, calibration, half-precision weights."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save
from torch import nn

from triovision.errors import RecipeError
from triovision.files import atomic_write
from triovision.inference.calibration import (
    fit_abstention_threshold,
    fit_conformal_threshold,
    fit_temperature,
    probabilities,
)
from triovision.inference.card import CARD, WEIGHTS, Calibration, ModelCard, sha256
from triovision.train.data.dataset import NO_LABEL, targets
from triovision.train.data.manifest import Manifest
from triovision.train.data.splits import split
from triovision.train.engine.run_folder import CountryRun
from triovision.train.models.forward import network_outputs

_COVERAGE = 0.9


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Outputs of a run for photos that it never saw.

    Attributes:
        split: Name of each photo's split.
        place: Place of each photo.
        logits: Shape `(n, n_labels)`.
        target: Indices of the labels, `NO_LABEL` where the country has none.
        position_deg: Latitude and longitude, `(n, 2)`; NaN where unknown.
    """

    split: NDArray[np.str_]
    place: NDArray[np.str_]
    logits: NDArray[np.float32]
    target: NDArray[np.int64]
    position_deg: NDArray[np.float64]

    def where(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> HeldOut:
        """Some of the photos, by a mask or by their numbers."""
        return HeldOut(
            self.split[rows], self.place[rows], self.logits[rows], self.target[rows], self.position_deg[rows]
        )


def held_out(run: CountryRun, manifest: Manifest, workers: int) -> HeldOut:
    """Outputs of a run for all its validation photos.

    Raises:
        RecipeError: If the run held nothing out or was trained on another manifest.
    """
    if manifest.sha256 != run.manifest_sha256:
        raise RecipeError(str(run.folder), "was trained on another manifest", "Give the same --manifest")
    parts = {name: part for name, part in split(manifest, run.recipe.data).validation.items() if len(part)}
    if not parts:
        raise RecipeError(str(run.folder), "held no photos out", "Calibrate on a run that did")
    names, places, logits, target, position_deg = [], [], [], [], []
    for name, part in parts.items():
        names += [name] * len(part)
        places += part.table["place"].tolist()
        logits.append(network_outputs(run.network, part, run.recipe, workers))
        target.append(targets(part, run.labels))
        position_deg.append(part.table[["lat", "lon"]].to_numpy(np.float64))
    return HeldOut(
        np.array(names),
        np.array(places),
        np.concatenate(logits),
        np.concatenate(target),
        np.concatenate(position_deg),
    )


def fit_calibration(photos: HeldOut, wanted_accuracy: float) -> Calibration:
    """Fit temperature, conformal and abstention thresholds, each split of photos counting alike.

    Args:
        photos: Held-out photos of one or more splits.
        wanted_accuracy: Share of right answers among those that are not abstained.
    """
    balanced = photos.where(balanced_rows(photos.split))
    known = balanced.target != NO_LABEL
    temperature = fit_temperature(balanced.logits[known], balanced.target[known])
    probability = probabilities(balanced.logits, temperature)
    first = probability.argmax(axis=1)
    return Calibration(
        temperature=temperature,
        conformal_threshold=fit_conformal_threshold(probability[known], balanced.target[known], _COVERAGE),
        conformal_coverage=_COVERAGE,
        abstention_threshold=fit_abstention_threshold(
            probability.max(axis=1), first == balanced.target, wanted_accuracy
        ),
        fitted_on=f"{len(photos.target)} photos that the network had not seen, splits "
        f"{' and '.join(sorted(set(photos.split)))} counting alike",
    )


def fit_half(places: Iterable[str]) -> NDArray[np.bool_]:
    """True for the photos to fit calibration on, False for those to measure it on; no place is in both."""
    return np.array([zlib.crc32(place.encode()) % 2 == 0 for place in places])


def write_model(network: nn.Module, models: Path, card: ModelCard) -> Path:
    """Write the weights in half precision and the card with their hash into `models/<id>/`."""
    folder = models / card.id
    folder.mkdir(parents=True, exist_ok=True)
    half = {
        name: tensor.half().contiguous() if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }
    atomic_write(folder / WEIGHTS, save(half))
    hashed = card.model_copy(update={"weights_sha256": sha256(folder / WEIGHTS)})
    atomic_write(folder / CARD, hashed.model_dump_json(indent=2) + "\n")
    return folder


def balanced_rows(split: NDArray[np.str_]) -> NDArray[np.intp]:
    """Numbers of photos, those of the smaller splits repeated, so that each split weighs about the same.

    Args:
        split: Name of each photo's split.
    """
    names, counts = np.unique(split, return_counts=True)
    return np.concatenate([np.resize(np.flatnonzero(split == name), counts.max()) for name in names])
