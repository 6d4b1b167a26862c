"""Generator and discriminator of DCGAN for pictures of 64 x 64 pixels (Radford et al., 2016)."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

#: Side of the pictures in pixels: a grid of 4 x 4 that is doubled four times.
SIDE = 64

Regularisation = Literal["batch_norm", "spectral_norm", "r1"]


class Generator(nn.Module):
    """Transposed convolutions from a latent vector to a picture, with batch normalisation.

    Args:
        latent: Length of the latent vector.
        channels: Channels at 32 x 32 pixels; twice as many on each smaller grid.
    """

    def __init__(self, latent: int, channels: int) -> None:
        super().__init__()
        self.latent = latent
        widths = [channels * factor for factor in (8, 4, 2, 1)]
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent, widths[0], 4, bias=False), *_activated(widths[0])]
        for narrow, wide in pairwise(widths):
            layers += [nn.ConvTranspose2d(narrow, wide, 4, stride=2, padding=1, bias=False), *_activated(wide)]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(channels, 3, 4, stride=2, padding=1), nn.Tanh())
        self.apply(_initialise)

    def forward(self, noise: Tensor) -> Tensor:
        """Return pictures between -1 and 1, shape `(n, 3, 64, 64)`, of latent vectors `(n, latent)`."""
        pictures: Tensor = self.layers(noise[:, :, None, None])
        return pictures


class Discriminator(nn.Module):
    """Strided convolutions from a picture to one logit, positive for real.

    Args:
        channels: Channels at 32 x 32 pixels; twice as many on each smaller grid.
        regularisation: `batch_norm`: as in the paper, in all layers but the first and the last. `spectral_norm`: the
            largest singular value of each layer is 1, "Spectral Normalization for Generative Adversarial Networks"
            (Miyato et al., 2018). `r1`: nothing here, because the training adds a penalty. The last two go without
            batch normalisation: it would make the output for one picture depend on the other pictures of the batch.
    """

    def __init__(self, channels: int, regularisation: Regularisation) -> None:
        super().__init__()
        widths = [channels * factor for factor in (1, 2, 4, 8)]
        layers: list[nn.Module] = [nn.Conv2d(3, channels, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for narrow, wide in pairwise(widths):
            layers.append(nn.Conv2d(narrow, wide, 4, stride=2, padding=1))
            if regularisation == "batch_norm":
                layers.append(nn.BatchNorm2d(wide))
            layers.append(nn.LeakyReLU(0.2))
        layers += [nn.Conv2d(widths[-1], 1, 4), nn.Flatten(0)]
        self.layers = nn.Sequential(*layers)
        self.apply(_initialise)
        if regularisation == "spectral_norm":
            for layer in self.layers:
                if isinstance(layer, nn.Conv2d):
                    spectral_norm(layer)

    def forward(self, pictures_nchw: Tensor) -> Tensor:
        """Return logits, shape `(n,)`, of pictures between -1 and 1."""
        logits: Tensor = self.layers(pictures_nchw)
        return logits


def _activated(channels: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.ReLU()]


def _initialise(layer: nn.Module) -> None:
    """Draw initial weights as in the paper: standard deviation 0.02."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)
