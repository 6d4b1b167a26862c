"""Near-duplicates: perceptual hashes and the search for similar ones."""

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
"""Default of the largest number of differing bits of near-duplicates."""


def perceptual_hash(image_hwc: NDArray[np.uint8]) -> np.uint64:
    """DCT hash of an image (pHash): 64 bits that are robust to resizing and compression.

    Args:
        image_hwc: `uint8` of shape `(height, width, 3)`.
    """
    bits = imagehash.phash(Image.fromarray(image_hwc)).hash
    return np.uint64(int.from_bytes(np.packbits(bits).tobytes(), "big"))


def near_duplicates(hashes: NDArray[np.uint64], max_distance: int) -> NDArray[np.int64]:
    """All pairs of hashes that differ in at most `max_distance` bits.

    Exact, by multi-index hashing (Norouzi, Punjani and Fleet, 2012): the 64 bits are divided into `max_distance + 1`
    bands; near hashes are equal in at least one band, so only hashes with an equal band are compared. For n random
    hashes these are about n²·(d + 1) / 2^(64 / (d + 1)) / 2 comparisons. Equal hashes are all pairs of each other:
    `duplicate_groups` merges them first.

    Args:
        hashes: `uint64` of shape `(n,)`.
        max_distance: Largest Hamming distance of a pair, 0 to 63.

    Returns:
        `int64` of shape `(n_pairs, 2)`: indices, the smaller one first; unique rows in ascending order.

    Raises:
        ValueError: If `hashes` is not a one-dimensional uint64 array or `max_distance` is out of range.
    """
    if hashes.ndim != 1 or hashes.dtype != np.uint64:
        raise ValueError(f"`hashes` must be uint64 of shape (n,), got {hashes.dtype} {hashes.shape}")
    if not 0 <= max_distance < HASH_BITS:
        raise ValueError(f"`max_distance` must lie in 0 to {HASH_BITS - 1}, got {max_distance}")
    edges = [HASH_BITS * band // (max_distance + 1) for band in range(max_distance + 2)]
    masks = [np.uint64((1 << high) - (1 << low)) for low, high in pairwise(edges)]
    pairs_by_band = [_pairs_in_band(hashes, masks, band, max_distance) for band in range(len(masks))]
    pairs = np.sort(np.concatenate(pairs_by_band), axis=1)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def duplicate_groups(hashes: NDArray[np.uint64], max_distance: int) -> NDArray[np.int64]:
    """Group hashes by the transitive closure of near-duplicates.

    Args:
        hashes: `uint64` of shape `(n,)`; any number of them may be equal.
        max_distance: As in `near_duplicates`.

    Returns:
        `int64` of shape `(n,)`: index of the first hash of the group of each hash.
    """
    different, group = np.unique(hashes, return_inverse=True)
    first, second = near_duplicates(different, max_distance).T
    links = coo_array((np.ones(len(first), bool), (first, second)), shape=(len(different), len(different)))
    group = connected_components(links, directed=False)[1][group]
    _, leader, member = np.unique(group, return_index=True, return_inverse=True)
    return leader[member].astype(np.int64)


def _pairs_in_band(
    hashes: NDArray[np.uint64], masks: list[np.uint64], band: int, max_distance: int
) -> NDArray[np.int64]:
    """Near pairs that are equal in this band and in no band before it."""
    order = np.argsort(hashes & masks[band], kind="stable")
    sorted_hashes = hashes[order]
    keys = sorted_hashes & masks[band]
    pairs = []
    start = np.arange(len(hashes))
    # Compare every hash with the one `step` places later, while both are in the same bucket.
    for step in range(1, len(hashes)):
        start = start[start + step < len(hashes)]
        start = start[keys[start] == keys[start + step]]
        if not len(start):
            break
        differing = sorted_hashes[start] ^ sorted_hashes[start + step]
        near = np.flatnonzero(np.bitwise_count(differing) <= max_distance)
        for mask in masks[:band]:
            near = near[(differing[near] & mask) != 0]
        pairs.append(np.column_stack([order[start[near]], order[start[near] + step]]))
    return np.concatenate([np.empty((0, 2), np.int64), *pairs])
