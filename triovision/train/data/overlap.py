"""Photos that parts of a manifest share, and photos that a model was trained on."""

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


_PAIR = ["file_a", "part_a", "country_a", "file_b", "part_b", "country_b"]


def hash_photos(
    manifest: Manifest, workers: int, on_photo: Callable[[], object]
) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
    """Perceptual hashes of the photos: those of the column `phash`, the others read from the files in parallel.

    Args:
        manifest: The photos.
        workers: Processes that read photos; 0 reads in this one.
        on_photo: Called after each photo that is read, for a progress bar.

    Returns:
        Hashes `(n,)` and the rows of their photos `(n,)`, ascending; a photo that cannot be read is in neither.

    Raises:
        ManifestError: If not one photo can be read.
    """
    table = manifest.table
    found = {file: int(phash, 16) for file, phash in _stated(table)}
    missing = [file for file in dict.fromkeys(table["file"]) if file not in found]
    for outcome in read_photo_files(manifest.root, missing, workers):
        if isinstance(outcome, PhotoFile):
            found[outcome.file] = outcome.phash
        on_photo()
    if not found:
        raise ManifestError(str(manifest.root), "holds not one readable photo of the manifest", "Check --root")
    rows = np.flatnonzero(table["file"].isin(found.keys()).to_numpy())
    return np.array([found[file] for file in table["file"].iloc[rows]], dtype=np.uint64), rows


def _stated(table: pd.DataFrame) -> list[tuple[str, str]]:
    if "phash" not in table:
        return []
    whole = table[table["phash"].str.fullmatch("[0-9a-f]{16}")]
    return list(zip(whole["file"], whole["phash"], strict=True))


def leaking_pairs(table: pd.DataFrame, part: NDArray[np.str_], twins: NDArray[np.intp]) -> pd.DataFrame:
    """Photos that look alike and are in different parts.

    Args:
        table: A manifest's table.
        part: Part of each photo; an empty one belongs to none.
        twins: Rows of photos that look alike, `(n_pairs, 2)`.

    Returns:
        One row a pair: file, part and country of both.
    """
    first, second = twins.reshape(-1, 2).T
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
    return pd.DataFrame(columns, columns=_PAIR).sort_values(["file_a", "file_b"], ignore_index=True)


def divided_groups(table: pd.DataFrame, part: NDArray[np.str_], by: Literal["place", "source"]) -> pd.DataFrame:
    """Places or sources with photos in several parts; photos without one are left out.

    Returns:
        One row a group: its name, `parts` (joined by a space) and `photos`.
    """
    named = pd.DataFrame({by: table[by].to_numpy(), "part": part})
    named = named[(named[by] != "") & (named["part"] != "")]
    found = named.groupby(by)["part"].agg(parts=lambda parts: " ".join(sorted(set(parts))), photos="size")
    divided = found[found["parts"].str.contains(" ", regex=False)]
    return divided.sort_values(["photos", by], ascending=[False, True]).reset_index()
