"""Photos that look the same: perceptual hashes and the search for near ones."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

HASH_BITS: Final = 64
MAX_DISTANCE: Final = 6
"""Bits by which the hashes of near-duplicates may differ."""


def perceptual_hash(image_hwc: NDArray[np.uint8]) -> np.uint64:
    """DCT hash of a picture (pHash): 64 bits that survive resizing and compression.

    Args:
        image_hwc: `uint8` of shape `(height, width, 3)`.
    """
    bits = imagehash.phash(Image.fromarray(image_hwc)).hash
    return np.uint64(int.from_bytes(np.packbits(bits).tobytes(), "big"))


def near_duplicates(hashes: NDArray[np.uint64], max_distance: int) -> NDArray[np.int64]:
    """All pairs of hashes that differ in at most `max_distance` bits.

    Exact, by multi-index hashing (Norouzi, Punjani and Fleet, 2012): the 64 bits are cut into `max_distance + 1` bands;
    two hashes that differ in at most `max_distance` bits agree in one band at least, so only hashes that share a band
    are compared. For n random hashes that is about n²·(d + 1) / 2^(64 / (d + 1)) / 2 comparisons. Equal hashes make a
    pair each with each, so look for equal ones first where there may be many (`duplicate_groups` does).

    Args:
        hashes: `uint64` of shape `(n,)`.
        max_distance: Largest Hamming distance of a pair, 0 to 63.

    Returns:
        `int64` of shape `(pairs, 2)`: indices, the smaller first, rows in ascending order, none twice.

    Raises:
        ValueError: If `hashes` is no one-dimensional uint64 array or `max_distance` is out of range.
    """
    if hashes.ndim != 1 or hashes.dtype != np.uint64:
        raise ValueError(f"`hashes` must be uint64 of shape (n,), got {hashes.dtype} {hashes.shape}")
    if not 0 <= max_distance < HASH_BITS:
        raise ValueError(f"`max_distance` must lie in 0 to {HASH_BITS - 1}, got {max_distance}")
    edges = [HASH_BITS * band // (max_distance + 1) for band in range(max_distance + 2)]
    masks = [np.uint64((1 << high) - (1 << low)) for low, high in pairwise(edges)]
    found = [_sharing(hashes, masks, band, max_distance) for band in range(len(masks))]
    pairs = np.sort(np.concatenate(found), axis=1)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def duplicate_groups(hashes: NDArray[np.uint64], max_distance: int) -> NDArray[np.int64]:
    """Group hashes so that near-duplicates, and near-duplicates of those, are together.

    Args:
        hashes: `uint64` of shape `(n,)`; any number of them may be equal.
        max_distance: As in `near_duplicates`.

    Returns:
        `int64` of shape `(n,)`: for each hash the index of the first of its group, its own where it is alone.
    """
    different, group = np.unique(hashes, return_inverse=True)
    first, second = near_duplicates(different, max_distance).T
    links = coo_array((np.ones(len(first), bool), (first, second)), shape=(len(different), len(different)))
    group = connected_components(links, directed=False)[1][group]
    _, leader, member = np.unique(group, return_index=True, return_inverse=True)
    return leader[member].astype(np.int64)


def _sharing(hashes: NDArray[np.uint64], masks: list[np.uint64], band: int, max_distance: int) -> NDArray[np.int64]:
    """Near pairs that agree in this band and in none before it."""
    order = np.argsort(hashes & masks[band], kind="stable")
    sorted_hashes = hashes[order]
    keys = sorted_hashes & masks[band]
    found = []
    start = np.arange(len(hashes))
    # Each turn compares every hash with the one `step` places on, for as long as both are in one bucket.
    for step in range(1, len(hashes)):
        start = start[start + step < len(hashes)]
        start = start[keys[start] == keys[start + step]]
        if not len(start):
            break
        differing = sorted_hashes[start] ^ sorted_hashes[start + step]
        near = np.flatnonzero(np.bitwise_count(differing) <= max_distance)
        for mask in masks[:band]:
            near = near[(differing[near] & mask) != 0]
        found.append(np.column_stack([order[start[near]], order[start[near] + step]]))
    return np.concatenate([np.empty((0, 2), np.int64), *found])
