from __future__ import annotations

import pytest
import torch

from triovision.errors import ModelError, ModelFailure
from triovision.inference.faults import BatchSize, worded_faults


def sizes_of(batches: BatchSize, n_items: int, fits: int) -> list[int]:
    """Sizes of the batches that fit, on a machine for at most `fits` items at a time."""
    sizes: list[int] = []

    def work(batch: object) -> None:
        assert isinstance(batch, range)
        if len(batch) > fits:
            raise torch.OutOfMemoryError("no memory left")
        sizes.append(len(batch))

    batches.run(range(n_items), work)
    assert sum(sizes) == n_items
    return sizes


def test_a_halved_batch_grows_again_once_passes_fit() -> None:
    batches = BatchSize(32)
    assert sizes_of(batches, 64, fits=32) == [32, 32]
    assert sizes_of(batches, 32, fits=8) == [8, 8, 8, 8]
    assert max(sizes_of(batches, 400, fits=1000)) == 32
    assert sizes_of(batches, 64, fits=1000) == [32, 32]


def test_an_item_that_does_not_fit_alone_is_an_error_and_others_go_on() -> None:
    batches = BatchSize(4)
    with pytest.raises(torch.OutOfMemoryError):
        sizes_of(batches, 4, fits=0)
    assert sum(sizes_of(batches, 9, fits=4)) == 9


def test_other_faults_are_not_tried_again() -> None:
    calls: list[object] = []

    def work(batch: object) -> None:
        calls.append(batch)
        raise RuntimeError("odd")

    with pytest.raises(RuntimeError, match="odd"):
        BatchSize(8).run(range(8), work)
    assert len(calls) == 1


def test_worded_errors_pass_and_others_are_worded() -> None:
    known = ModelError("a.b", "is damaged", "Restore it")
    with pytest.raises(ModelError) as passed, worded_faults("a.b"):
        raise known
    assert passed.value is known
    with pytest.raises(ModelFailure, match=r"a\.b: failed \(KeyError\)"), worded_faults("a.b"):
        raise KeyError
    with pytest.raises(KeyboardInterrupt), worded_faults("a.b"):
        raise KeyboardInterrupt
