from __future__ import annotations

import io
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from triovision.train.data.build.duplicates import MAX_DISTANCE, duplicate_groups, near_duplicates, perceptual_hash


def brute_force(hashes: list[int], max_distance: int) -> list[list[int]]:
    return [
        [i, j] for i, j in combinations(range(len(hashes)), 2) if (hashes[i] ^ hashes[j]).bit_count() <= max_distance
    ]


@given(
    st.lists(st.integers(0, 2**64 - 1), max_size=3).flatmap(
        lambda seeds: st.lists(
            st.builds(
                lambda seed, flips: seed ^ sum(1 << bit for bit in flips),
                st.sampled_from([0, *seeds]),
                st.sets(st.integers(0, 63), max_size=8),
            ),
            max_size=24,
        )
    ),
    st.integers(0, 63),
)
def test_every_near_pair_is_found_once(hashes: list[int], max_distance: int) -> None:
    found = near_duplicates(np.array(hashes, np.uint64), max_distance)
    assert found.tolist() == brute_force(hashes, max_distance)


def test_many_hashes_give_the_pairs_of_brute_force() -> None:
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**64, 1500, dtype=np.uint64)
    hashes[1000:] = hashes[:500]
    for _ in range(6):  # near ones of the first 500
        hashes[1000:] ^= np.uint64(1) << random.integers(0, 64, 500, np.uint64)
    found = near_duplicates(hashes, 6)
    assert found.tolist() == brute_force([int(value) for value in hashes], 6)
    assert len(found) >= 500


@pytest.mark.parametrize(
    ("hashes", "max_distance", "words"),
    [
        (np.zeros(3, np.int64), 4, "uint64"),
        (np.zeros((2, 2), np.uint64), 4, "shape"),
        (np.zeros(3, np.uint64), 64, "max_distance"),
        (np.zeros(3, np.uint64), -1, "max_distance"),
    ],
)
def test_wrong_arguments_are_refused(hashes: np.ndarray, max_distance: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        near_duplicates(hashes, max_distance)


def test_a_group_holds_the_near_ones_of_near_ones() -> None:
    # 0b0 and 0b1111 are 4 apart, with 0b11 halfway; the last is alone.
    hashes = np.array([0xFFFF << 40, 0b1111, 0b11, 0b0, 0b11], np.uint64)
    assert duplicate_groups(hashes, 2).tolist() == [0, 1, 1, 1, 1]
    assert duplicate_groups(hashes, 1).tolist() == [0, 1, 2, 3, 2]
    assert duplicate_groups(hashes[:0], 2).tolist() == []


def test_very_many_equal_hashes_are_one_group() -> None:
    # Each with each they would be 50 thousand million pairs.
    assert not duplicate_groups(np.full(100_000 * 3, 7, np.uint64), 6).any()


def test_a_hash_survives_resizing_and_compression(china: bytes) -> None:
    picture = Image.open(io.BytesIO(china))
    small = io.BytesIO()
    picture.resize((320, 213)).save(small, "JPEG", quality=40)
    first, again, mirrored = (
        int(perceptual_hash(np.asarray(image)))
        for image in (picture, Image.open(small), picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    )
    assert (first ^ again).bit_count() <= MAX_DISTANCE
    assert (first ^ mirrored).bit_count() > 2 * MAX_DISTANCE
