"""The photos of one run: what it learns from and what it is measured on."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from triovision.train.data import choose_labels
from triovision.train.manifest import Manifest
from triovision.train.recipe_sections import Data


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
    free = learnt = np.ones(len(manifest), dtype=bool)
    validation = {}
    for column in data.validation_splits:
        marks = manifest.table[column]
        held_out = free & (marks == "val").to_numpy()
        validation[column.removeprefix("split_")] = manifest.where(held_out)
        free, learnt = free & ~held_out, learnt & (marks == "train").to_numpy()
    labels = choose_labels(manifest.where(learnt), data.min_photos)
    countries = manifest.table["country"]
    elsewhere = ~countries.isin(labels) & countries.map(lambda code: zlib.crc32(code.encode()) % 2 == 0)
    training = manifest.where(learnt & ~elsewhere.to_numpy())
    return Splits(training, validation, labels, manifest.where(elsewhere.to_numpy()))
