from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from triovision.train.classifier import cross_entropy, rate_at
from triovision.train.data import NO_LABEL
from triovision.train.recipe import Optimisation


def test_without_smoothing_it_is_the_usual_cross_entropy() -> None:
    logits, target = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3, 0, 1])
    torch.testing.assert_close(cross_entropy(logits, target, 0), F.cross_entropy(logits, target))
    expected = F.cross_entropy(logits, target, label_smoothing=0.1)
    torch.testing.assert_close(cross_entropy(logits, target, 0.1), expected)


def test_a_photo_without_a_label_wants_all_countries_alike() -> None:
    target = torch.tensor([NO_LABEL])
    even, sure = torch.zeros(1, 4), torch.tensor([[5.0, 0, 0, 0]])
    assert cross_entropy(even, target, 0.1).item() == pytest.approx(math.log(4))
    assert cross_entropy(sure, target, 0.1) > cross_entropy(even, target, 0.1)


def test_the_rate_rises_then_falls_to_nothing() -> None:
    optimisation = Optimisation(epochs=3, warmup_epochs=1)
    rates = [rate_at(step, 10, optimisation) for step in range(31)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[10] == 1
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[20] == pytest.approx(0.5)
    assert rates[30] == pytest.approx(0)
