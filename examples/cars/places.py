"""Photos of places as a fine-grained data set: a table of photos turned into the manifest of the study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from examples.cars.parts import TEST, hold_out
from triovision.errors import ManifestError
from triovision.train.data.build.duplicates import MAX_DISTANCE, duplicate_groups
from triovision.train.data.manifest import Manifest, read_manifest, write_manifest
from triovision.train.data.overlap import hash_photos
from triovision.train.data.splits import TEST_COLUMN, whole_groups, without_test

#: Places with fewer photos are left out.
MIN_PHOTOS: Final = 8


def write_places(data: Path, out: Path, fold: str, workers: int, on_photo: Callable[[], object]) -> Manifest:
    """Write the manifest of the places with eight photos or more outside a fold of sources.

    The photos of the fold are the part `test`: no source of theirs is seen in training. The others are divided within
    each place into `train` and `val`, near-duplicates together; a photo of the fold that is a near-duplicate of
    one of them is left out. Photos that `split_new_sources` marks `test` are left
    out altogether.

    Args:
        data: Folder of `manifest.csv`, with the columns `place`, `source` and `split_new_sources`.
        out: Manifest to write; one that exists, of the same fold, is read instead.
        fold: Fold of `split_new_sources` whose sources training never sees.
        workers: Processes that read photos.
        on_photo: Called after each photo that is hashed, for a progress bar.

    Returns:
        The manifest, with the label `place`.

    Raises:
        ManifestError: If the table cannot be read, lacks a column, or has no such fold or no place with enough photos,
            or `out` tests another fold.
    """
    if not out.exists():
        photos = read_manifest(data / "manifest.csv", None, ["source", TEST_COLUMN], "place")
        write_manifest(_divided(photos, fold, workers, on_photo).table, out, "place")
    written = read_manifest(out, data, ["source", "split", TEST_COLUMN], "place")
    tested = set(written.table.loc[written.table["split"] == TEST, TEST_COLUMN]) - {fold}
    if tested:
        raise ManifestError(str(out), f"tests fold {', '.join(sorted(tested))}", "Give another --out folder")
    return written


def _divided(photos: Manifest, fold: str, workers: int, on_photo: Callable[[], object]) -> Manifest:
    photos = without_test(photos)
    unseen = photos.table[TEST_COLUMN] == fold
    if not unseen.any() or unseen.all():
        held = ", ".join(sorted(photos.table[TEST_COLUMN].unique())[:8])
        raise ManifestError(f"`{TEST_COLUMN}`", f"holds {held}, so that {fold!r} is no part of it", "Give another fold")
    seen = photos.table.loc[~unseen, "place"].value_counts()
    chosen = photos.where(photos.labels.isin(seen.index[seen >= MIN_PHOTOS]))
    if not len(chosen):
        raise ManifestError(str(photos.root), f"has no place with {MIN_PHOTOS} photos", "Add photos")
    hashes, rows = hash_photos(chosen, workers, on_photo)
    duplicates = np.column_stack([rows, rows[duplicate_groups(hashes, MAX_DISTANCE)]])
    groups = whole_groups(chosen.table, "random", duplicates)
    return hold_out(chosen, (chosen.table[TEST_COLUMN] == fold).to_numpy(), groups)
