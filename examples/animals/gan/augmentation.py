"""Differentiable augmentation of real and made pictures, "DiffAugment" (Zhao et al., 2020)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Policy = Literal["colour", "translation", "cutout"]


def augment(pictures_nchw: Tensor, policies: Iterable[Policy]) -> Tensor:
    """Augment pictures; the gradient passes through, so that the generator learns from augmented pictures too.

    Args:
        pictures_nchw: Pictures between -1 and 1.
        policies: `colour`: brightness, saturation and contrast. `translation`: by up to an eighth of the side.
            `cutout`: one grey square of half the side. Each picture draws its own.
    """
    for policy in policies:
        pictures_nchw = _POLICIES[policy](pictures_nchw)
    return pictures_nchw


def _colour(pictures: Tensor) -> Tensor:
    def draw() -> Tensor:
        return torch.rand(len(pictures), 1, 1, 1, device=pictures.device, dtype=pictures.dtype)

    pictures = pictures + (draw() - 0.5)
    grey = pictures.mean(dim=1, keepdim=True)
    pictures = grey + (pictures - grey) * (2 * draw())
    mean = pictures.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (pictures - mean) * (0.5 + draw())


def _translation(pictures: Tensor) -> Tensor:
    side = pictures.shape[-1]
    reach = side // 8
    padded = F.pad(pictures, [reach] * 4)
    rows, columns = _windows(len(pictures), side, 2 * reach + 1, pictures.device)
    number = torch.arange(len(pictures), device=pictures.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[number, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _cutout(pictures: Tensor) -> Tensor:
    side = pictures.shape[-1]
    hole = side // 2
    rows, columns = _windows(len(pictures), hole, side + 1, pictures.device)
    # The centre of the hole is anywhere in the picture, so that the hole may reach beyond its edges.
    rows, columns = rows - hole // 2, columns - hole // 2
    grid = torch.arange(side, device=pictures.device)
    in_rows = (grid >= rows[:, :1]) & (grid <= rows[:, -1:])
    in_columns = (grid >= columns[:, :1]) & (grid <= columns[:, -1:])
    return pictures.masked_fill((in_rows[:, :, None] & in_columns[:, None, :])[:, None], 0.0)


def _windows(n: int, size: int, starts: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Rows and columns, each `(n, size)`, of one window per picture that begins at 0 to `starts` - 1."""
    first = torch.randint(starts, (2, n, 1), device=device)
    rows, columns = first + torch.arange(size, device=device)
    return rows, columns


_POLICIES: Final[dict[Policy, Callable[[Tensor], Tensor]]] = {
    "colour": _colour,
    "translation": _translation,
    "cutout": _cutout,
}
