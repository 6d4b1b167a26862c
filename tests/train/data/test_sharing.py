from __future__ import annotations

from itertools import chain

import pytest
from torch.utils.data import SequentialSampler

from triovision.errors import RecipeError
from triovision.train.data.sharing import RankInfo, TrainingBatches, ValidationBatches


def training(n: int, batch_size: int, processes: int) -> list[list[list[int]]]:
    """The batches of each process."""
    return [
        list(TrainingBatches(SequentialSampler(range(n)), batch_size, RankInfo(rank, processes)))
        for rank in range(processes)
    ]


@pytest.mark.parametrize("n", [4, 8, 11, 23])
@pytest.mark.parametrize("processes", [2, 4])
def test_processes_together_see_the_batches_of_one(n: int, processes: int) -> None:
    (alone,) = training(n, 4, 1)
    parts = training(n, 4, processes)
    assert [sorted(chain(*batches)) for batches in zip(*parts, strict=True)] == alone
    assert {len(batch) for part in parts for batch in part} == {4 // processes}


def test_an_epoch_of_less_than_a_batch_is_cut_to_parts_of_one_size() -> None:
    assert training(7, 8, 1) == [[[0, 1, 2, 3, 4, 5, 6]]]
    assert training(7, 8, 2) == [[[0, 2, 4]], [[1, 3, 5]]]


def test_each_process_goes_on_at_the_same_batch() -> None:
    batches = TrainingBatches(SequentialSampler(range(8)), 4, RankInfo(1, 2))
    batches.skip = 1
    assert list(batches) == [[5, 7]]


@pytest.mark.parametrize(("n", "processes", "words"), [(20, 3, "cannot share evenly"), (3, 4, "fewer than there are")])
def test_what_cannot_be_shared_is_an_error_in_words(n: int, processes: int, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        training(n, 4, processes)


@pytest.mark.parametrize("n", [4, 5, 8, 9, 13, 17])
@pytest.mark.parametrize("processes", [1, 2, 4])
def test_each_validation_photo_is_in_one_process_and_all_have_as_many_batches(n: int, processes: int) -> None:
    parts = [ValidationBatches(n, 4, RankInfo(rank, processes)) for rank in range(processes)]
    batches = [list(part) for part in parts]
    assert sorted(row for part in batches for batch in part for row in batch) == list(range(n))
    assert {len(part) for part in batches} == {len(part) for part in parts} == {len(parts[0])}
    assert all(0 < len(batch) <= 4 // processes + (processes > 1) for part in batches for batch in part)


def test_fewer_validation_photos_than_processes_count_alike_in_all() -> None:
    assert [list(ValidationBatches(2, 4, RankInfo(rank, 4))) for rank in range(4)] == [[[0], [1]]] * 4
