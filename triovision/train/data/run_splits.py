"""The photos of one run: what it learns from and what it is measured on."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triovision.train.data.dataset import choose_labels
from triovision.train.data.manifest import Manifest
from triovision.train.recipes.sections import Data


@dataclass(frozen=True, slots=True)
class Splits:
    """The photos of one run.

    Attributes:
        training: Photos to learn from.
        validation: Held-out photos by the name of their split.
        labels: Countries with enough training photos to be learnt, in alphabetical order.
        elsewhere: Photos of half of the countries without a label, kept from training to measure abstention.
    """

    training: Manifest
    validation: dict[str, Manifest]
    labels: tuple[str, ...]
    elsewhere: Manifest


def split(manifest: Manifest, data: Data) -> Splits:
    """Training photos are `train` in every column; a validation photo belongs to the first column that says `val`.

    A photo of a held-out place is therefore never counted among the new photos of known places. Which countries
    without a label are kept from training depends on their code alone, so that it is the same in every run.
    """
    learnt, held_out = marked_rows(manifest, data.validation_splits)
    validation = {name: manifest.where(rows) for name, rows in held_out.items()}
    labels = choose_labels(manifest.where(learnt), data.min_photos)
    countries = manifest.table["country"]
    elsewhere = ~countries.isin(labels) & countries.map(lambda code: zlib.crc32(code.encode()) % 2 == 0)
    training = manifest.where(learnt & ~elsewhere.to_numpy())
    return Splits(training, validation, labels, manifest.where(elsewhere.to_numpy()))


def marked_rows(manifest: Manifest, columns: Sequence[str]) -> tuple[NDArray[np.bool_], dict[str, NDArray[np.bool_]]]:
    """Which photos are learnt from, and which belong to each validation split, by its name.

    Args:
        manifest: All photos.
        columns: Columns of the splits, in their order; see `split`.
    """
    free = learnt = np.ones(len(manifest), dtype=np.bool_)
    validation = {}
    for column in columns:
        marks = manifest.table[column]
        held_out = free & (marks == "val").to_numpy()
        validation[column.removeprefix("split_")] = held_out
        free, learnt = free & ~held_out, learnt & (marks == "train").to_numpy()
    return learnt, validation
