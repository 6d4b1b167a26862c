"""Overlap of photos: between parts of a manifest, and with the training photos of models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from triovision.errors import ManifestError, RecipeError
from triovision.inference import ModelCard
from triovision.train.data.build.photo_files import PhotoFile, read_photo_files
from triovision.train.data.manifest import Manifest
from triovision.train.data.splits import marked_rows


class _Data(BaseModel):
    validation_splits: tuple[str, ...]


class _Recipe(BaseModel):
    data: _Data


def held_out_columns(card: ModelCard) -> tuple[str, ...] | None:
    """Columns of the manifest whose `val` photos a model was not trained on; None if the card has none."""
    try:
        return _Recipe.model_validate(card.provenance.recipe).data.validation_splits
    except ValidationError:  # a model that was trained elsewhere
        return None


def training_rows(card: ModelCard, manifest: Manifest) -> NDArray[np.bool_] | None:
    """Mask of the photos of a manifest that a model was trained on; None for another manifest than that of the model.

    Args:
        card: Card of a model that is not an ensemble.
        manifest: The whole manifest.
    """
    columns = held_out_columns(card)
    if columns is None or card.provenance.manifest_sha256 != manifest.sha256:
        return None
    training, _ = marked_rows(manifest, columns)
    return training


def held_out_by_all(cards: Sequence[ModelCard], manifest: Manifest) -> tuple[str, ...]:
    """Columns whose `val` photos no member was trained on; a model that was trained elsewhere is not considered.

    Raises:
        RecipeError: If there is no such column, or a member was trained on another manifest.
    """
    columns_by_id = {card.id: columns for card in cards if (columns := held_out_columns(card)) is not None}
    if not columns_by_id:
        remedy = "Give a member that was trained on the manifest"
        raise RecipeError(", ".join(card.id for card in cards), "do not name their held-out photos", remedy)
    for card in cards:
        if card.id in columns_by_id and card.provenance.manifest_sha256 != manifest.sha256:
            raise RecipeError(
                card.id, "was trained on another manifest", "Give the manifest that all members were trained on"
            )
    first, *others = columns_by_id.values()
    shared = tuple(column for column in first if all(column in columns for columns in others))
    if not shared:
        listed = "; ".join(f"{name}: {', '.join(columns) or 'none'}" for name, columns in columns_by_id.items())
        remedy = "Give members with the same held-out photos: training photos of a member overrate it"
        raise RecipeError("ensemble", f"has no split that all members held out ({listed})", remedy)
    return shared


_PAIR_COLUMNS = ["file_a", "part_a", "country_a", "file_b", "part_b", "country_b"]


def hash_photos(
    manifest: Manifest, workers: int, on_photo: Callable[[], object]
) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
    """Perceptual hashes of photos, from the column `phash` or computed from the files in parallel.

    Args:
        manifest: Photos.
        workers: Processes that read photos; 0 reads in this one.
        on_photo: Called after each file, for a progress bar.

    Returns:
        Hashes `(n,)` and the rows of their photos `(n,)`, ascending, without unreadable photos.

    Raises:
        ManifestError: If no photo can be read.
    """
    table = manifest.table
    hashes = {file: int(phash, 16) for file, phash in _given(table)}
    missing = [file for file in dict.fromkeys(table["file"]) if file not in hashes]
    for outcome in read_photo_files(manifest.root, missing, workers):
        if isinstance(outcome, PhotoFile):
            hashes[outcome.file] = outcome.phash
        on_photo()
    if not hashes:
        raise ManifestError(str(manifest.root), "has no readable photo of the manifest", "Check --root")
    rows = np.flatnonzero(table["file"].isin(hashes.keys()).to_numpy())
    return np.array([hashes[file] for file in table["file"].iloc[rows]], dtype=np.uint64), rows


def _given(table: pd.DataFrame) -> list[tuple[str, str]]:
    if "phash" not in table:
        return []
    valid = table[table["phash"].str.fullmatch("[0-9a-f]{16}")]
    return list(zip(valid["file"], valid["phash"], strict=True))


def leaking_pairs(table: pd.DataFrame, part: NDArray[np.str_], duplicates: NDArray[np.intp]) -> pd.DataFrame:
    """Near-duplicate photos in different parts.

    Args:
        table: Table of a manifest.
        part: Part of each photo, empty for none, shape `(n,)`.
        duplicates: Rows of near-duplicates, shape `(n_pairs, 2)`.

    Returns:
        One row per pair: file, part and country of both.
    """
    first, second = duplicates.reshape(-1, 2).T
    leaks = (part[first] != part[second]) & (part[first] != "") & (part[second] != "")
    columns = {
        f"{name}_{letter}": values[rows[leaks]]
        for letter, rows in (("a", first), ("b", second))
        for name, values in (
            ("file", table["file"].to_numpy()),
            ("part", part),
            ("country", table["country"].to_numpy()),
        )
    }
    return pd.DataFrame(columns, columns=_PAIR_COLUMNS).sort_values(["file_a", "file_b"], ignore_index=True)


def divided_groups(table: pd.DataFrame, part: NDArray[np.str_], by: Literal["place", "source"]) -> pd.DataFrame:
    """Places or sources with photos in several parts; photos without one are left out.

    Returns:
        One row per group: its name, `parts` (separated by spaces) and `photos`.
    """
    named = pd.DataFrame({by: table[by].to_numpy(), "part": part})
    named = named[(named[by] != "") & (named["part"] != "")]
    groups = named.groupby(by)["part"].agg(parts=lambda parts: " ".join(sorted(set(parts))), photos="size")
    divided = groups[groups["parts"].str.contains(" ", regex=False)]
    return divided.sort_values(["photos", by], ascending=[False, True]).reset_index()
