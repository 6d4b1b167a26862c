from __future__ import annotations

import pytest
import torch

from examples.animals.gan.augmentation import augment


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def test_no_policy_changes_nothing() -> None:
    pictures = torch.rand(2, 3, 64, 64)
    assert torch.equal(augment(pictures, ()), pictures)


def test_translation_moves_by_at_most_an_eighth() -> None:
    pictures = torch.zeros(200, 3, 64, 64)
    pictures[:, :, 30, 40] = 1
    moved = augment(pictures, ["translation"])
    assert (moved.sum(dim=(2, 3)) == 1).all()  # nothing but the one bright pixel
    rows, columns = (moved[:, 0].amax(dim=dim).argmax(dim=1) for dim in (2, 1))
    assert (rows.min(), rows.max()) == (22, 38)
    assert (columns.min(), columns.max()) == (32, 48)
    assert not torch.equal(rows - 30, columns - 40)


def test_translation_fills_with_grey() -> None:
    moved = augment(torch.ones(50, 3, 64, 64), ["translation"])
    assert set(moved.unique().tolist()) == {0.0, 1.0}


def test_cutout_removes_half_the_side_or_less_at_an_edge() -> None:
    cut = augment(torch.ones(500, 3, 64, 64), ["cutout"])
    assert torch.equal(cut[:, 0], cut[:, 2])
    removed = (cut[:, 0] == 0).sum(dim=(1, 2))
    assert removed.max() == 32 * 32
    assert removed.min() >= 16 * 16
    first = cut[removed == 32 * 32][0, 0] == 0
    assert first.any(dim=0).sum() == first.any(dim=1).sum() == 32  # one square


def test_colour_keeps_the_order_of_grey_pixels() -> None:
    ramp = torch.linspace(-1, 1, 64 * 64).view(1, 1, 64, 64).expand(8, 3, 64, 64)
    changed = augment(ramp, ["colour"])
    assert (changed.flatten(2).diff(dim=2) > 0).all()
    assert (changed.mean(dim=(1, 2, 3)).abs() <= 0.5).all()  # brightness
    assert (changed.std(dim=(2, 3)) / ramp.std(dim=(2, 3))).amin() >= 0.5  # contrast, 0.5 to 1.5
    assert len(changed[:, 0, 0, 0].unique()) == 8  # each picture its own


def test_saturation_moves_colours_towards_grey_or_away() -> None:
    red = torch.tensor([0.9, 0.0, 0.0]).view(1, 3, 1, 1).expand(100, 3, 64, 64)
    changed = augment(red, ["colour"])
    spread = changed[:, 0].mean(dim=(1, 2)) - changed[:, 1].mean(dim=(1, 2))
    assert spread.min() < 0.3
    assert 1.2 < spread.max() <= 0.9 * 2 * 1.5


def test_the_gradient_passes_through() -> None:
    pictures = torch.rand(4, 3, 64, 64, requires_grad=True)
    augment(pictures, ["colour", "translation", "cutout"]).sum().backward()
    assert pictures.grad is not None
    assert pictures.grad.abs().sum() > 0
