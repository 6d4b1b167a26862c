from __future__ import annotations

import pytest
import torch
from torch import nn

from examples.animals.gan.networks import Discriminator, Generator


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_parameters_of_the_published_size() -> None:
    # 16 weights of a 4 x 4 kernel times both widths; in the generator two numbers a channel of normalisation.
    generator = 16 * (100 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 3) + 3 + 2 * (512 + 256 + 128 + 64)
    assert parameters(Generator(100, 64)) == generator == 3_576_707
    discriminator = 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512) + (64 + 128 + 256 + 512 + 1)
    assert parameters(Discriminator(64, "r1")) == discriminator == 2_764_737
    assert parameters(Discriminator(64, "batch_norm")) == discriminator + 2 * (128 + 256 + 512)


def test_pictures_and_logits() -> None:
    generator, discriminator = Generator(5, 2), Discriminator(2, "batch_norm")
    pictures = generator(torch.randn(3, 5))
    assert pictures.shape == (3, 3, 64, 64)
    assert pictures.abs().max() <= 1
    assert discriminator(pictures).shape == (3,)


def test_weights_begin_small() -> None:
    generator = Generator(100, 16)
    deviations = [layer.weight.detach().std() for layer in generator.layers if isinstance(layer, nn.ConvTranspose2d)]
    assert torch.stack(deviations).numpy() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("regularisation", ["spectral_norm", "r1"])
def test_only_batch_normalisation_looks_at_the_other_pictures(regularisation: str) -> None:
    discriminator = Discriminator(2, regularisation).eval()
    pictures = torch.rand(4, 3, 64, 64)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in discriminator.modules())
    torch.testing.assert_close(discriminator(pictures)[:1], discriminator(pictures[:1]))


def test_spectral_normalisation_bounds_every_layer() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(4, "spectral_norm")
    for _ in range(100):  # each pass in training mode is a step of the power iteration
        discriminator(torch.zeros(1, 3, 64, 64))
    convolutions = [layer for layer in discriminator.layers if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 5
    for layer in convolutions:
        largest = torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2)
        assert float(largest.detach()) == pytest.approx(1, abs=0.02)
