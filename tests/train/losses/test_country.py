from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from triovision.errors import RecipeError
from triovision.train.data.dataset import NO_LABEL
from triovision.train.losses.country import COUNTRY_LOSSES, balanced_weights, build_country_loss, soft_targets
from triovision.train.recipes.sections import CountryLossSection

NAMES = tuple(COUNTRY_LOSSES)
PHOTOS, FREQUENCIES = np.array([60, 30, 6, 4]), np.array([0.4, 0.3, 0.2, 0.1])
LOGITS = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
TARGET = torch.tensor([0, 1, 2, 3, 0, 1])


def loss(logits: Tensor, target: Tensor, smoothing: float = 0.0, **fields: object) -> Tensor:
    config = CountryLossSection.model_validate(fields)
    built = COUNTRY_LOSSES[config.name](config, PHOTOS, FREQUENCIES)
    value: Tensor = built(logits, built.targets(target, smoothing))
    return value


def test_without_smoothing_it_is_the_usual_cross_entropy() -> None:
    torch.testing.assert_close(loss(LOGITS, TARGET), F.cross_entropy(LOGITS, TARGET))
    expected = F.cross_entropy(LOGITS, TARGET, label_smoothing=0.1)
    torch.testing.assert_close(loss(LOGITS, TARGET, 0.1), expected)


def test_the_weighted_cross_entropy_is_that_of_torch() -> None:
    weight = torch.tensor([100 / (4 * 60), 100 / (4 * 30), 100 / (4 * 6), 100 / (4 * 4)])
    torch.testing.assert_close(
        loss(LOGITS, TARGET, class_weights="balanced"), F.cross_entropy(LOGITS, TARGET, weight=weight)
    )


def test_balanced_weights_by_hand() -> None:
    np.testing.assert_allclose(balanced_weights(np.array([6, 2])), [8 / 12, 2])


def test_a_focal_loss_without_focus_is_the_cross_entropy() -> None:
    torch.testing.assert_close(loss(LOGITS, TARGET, name="focal", focal_gamma=0), F.cross_entropy(LOGITS, TARGET))


def test_a_focal_loss_by_hand() -> None:
    logits = torch.tensor([[0.8, 0.1, 0.05, 0.05]]).log()
    assert loss(logits, torch.tensor([0]), name="focal", focal_gamma=2).item() == pytest.approx(-0.04 * math.log(0.8))


def test_a_focal_loss_has_a_slope_where_the_network_is_certain() -> None:
    logits = torch.tensor([[200.0, 0, 0, 0]], requires_grad=True)
    loss(logits, torch.tensor([0]), name="focal", focal_gamma=0.5).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_a_binary_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3), 0, 0]])  # probabilities 1/2, 3/4, 1/2, 1/2
    expected = -(2 * math.log(0.5) + math.log(0.75) + math.log(0.5))
    assert loss(logits, torch.tensor([1]), name="binary_cross_entropy").item() == pytest.approx(expected)


def test_logit_adjustment_forgives_what_frequency_alone_explains() -> None:
    # Logits that are adjusted by the logarithm of the frequencies give the frequencies.
    value = loss(torch.zeros(1, 4), torch.tensor([3]), name="logit_adjustment")
    assert value.item() == pytest.approx(-math.log(0.1))
    twice = loss(torch.zeros(1, 4), torch.tensor([3]), name="logit_adjustment", adjustment=2)
    assert twice.item() == pytest.approx(-math.log(0.01 / (0.16 + 0.09 + 0.04 + 0.01)))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("name", NAMES)
def test_a_photo_without_a_label_pulls_towards_uniform_probabilities(name: str, smoothing: float) -> None:
    target = torch.tensor([NO_LABEL])
    logits = torch.tensor([[2.0, 0, 0, -2]], requires_grad=True)
    loss(logits, target, smoothing, name=name).backward()
    assert logits.grad is not None
    assert logits.grad[0, 0] > 0
    assert logits.grad[0, 3] < 0
    for index in range(1, 4):
        sure = F.one_hot(torch.tensor([index]), 4) * 4.0
        assert loss(sure, target, smoothing, name=name) > loss(torch.zeros(1, 4) - 1.1, target, smoothing, name=name)


@pytest.mark.parametrize("name", NAMES)
def test_every_loss_falls_as_the_right_country_gains(name: str) -> None:
    values = [loss(F.one_hot(torch.tensor([2]), 4) * gain, torch.tensor([2]), name=name) for gain in (0.0, 1.0, 3.0)]
    assert values[0] > values[1] > values[2] > 0


def test_uneven_targets_add_up_to_one() -> None:
    targets = soft_targets(torch.tensor([1, NO_LABEL]), 4, 0.2)
    torch.testing.assert_close(targets, torch.tensor([[0.05, 0.85, 0.05, 0.05], [0.25] * 4]))


def test_losses_are_registered_by_name() -> None:
    assert NAMES == ("cross_entropy", "focal", "binary_cross_entropy", "logit_adjustment")


def test_an_unknown_loss_is_refused_with_the_registered_names() -> None:
    config = CountryLossSection(name="hinge")
    with pytest.raises(RecipeError, match=r"'hinge'.*cross_entropy, focal, binary_cross_entropy, logit_adjustment"):
        build_country_loss(config, ("FR", "JP"), np.array([0, 1]), np.array([0.5, 0.5]))


def test_photos_and_samples_are_counted_and_the_weights_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[str] = []
    monkeypatch.setattr("triovision.train.losses.country.rank_zero_info", printed.append)
    target, sampling = np.array([0, 0, 0, 1, NO_LABEL]), np.array([0.1, 0.1, 0.1, 0.5, 0.2])
    built = build_country_loss(CountryLossSection(class_weights="balanced"), ("FR", "JP"), target, sampling)
    assert built.weights is not None
    torch.testing.assert_close(built.weights, torch.tensor([4 / 6, 2.0]))
    torch.testing.assert_close(built.log_frequencies.exp(), torch.tensor([0.3 / 0.8, 0.5 / 0.8]))
    assert printed == ["class weights: FR 0.667 (3 photos), JP 2 (1 photos)"]
    assert not built.state_dict()
