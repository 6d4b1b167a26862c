"""Models of a few weights whose explanations can be worked out by hand, photos, and traces of explanations."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from triovision.results import Photo

BOX = (0.25, 0.0, 0.75, 1.0)


class TinyModel:
    """A model of three countries that lends its network itself and no copy, so that a trace that was left is seen."""

    card = SimpleNamespace(id="tiny.test")
    labels = ("FR", "IT", "NA")

    def __init__(self, network, target_layer="features"):
        self.network, self.target_layer = network, target_layer

    @contextmanager
    def private_network(self):
        yield self.network

    def preprocess(self, photos):
        batch = np.stack([photo.image_hwc.transpose(2, 0, 1) for photo in photos])
        return torch.from_numpy(batch).float().contiguous(memory_format=torch.channels_last)

    def seen_box(self, photo):
        assert photo.name == "p.jpg"
        return BOX


class RecordingNetwork(nn.Module):
    """A network of one function from photos to logits, which keeps the photos that it saw."""

    def __init__(self, logits_of):
        super().__init__()
        self.logits_of, self.seen = logits_of, []
        self.eval()

    def forward(self, batch_nchw):
        self.seen.append(batch_nchw.detach().clone())
        return self.logits_of(batch_nchw)


def linear_network(weight_lchw):
    """Logits that are weighted sums of the pixels, weights of shape `(labels, 3, h, w)`."""
    weights = torch.from_numpy(np.asarray(weight_lchw, np.float32))
    return RecordingNetwork(lambda batch_nchw: torch.einsum("nchw,lchw->nl", batch_nchw, weights))


def convolutional_network(labels=3):
    """Random layers that are smooth and not linear, from photos of any size to logits."""
    generator = torch.Generator().manual_seed(3)
    network = nn.Sequential()
    network.add_module("stem", nn.Conv2d(3, 6, 3, padding=1))
    network.add_module("features", nn.Softplus())
    network.add_module("pool", nn.AdaptiveAvgPool2d(2))
    network.add_module("flat", nn.Flatten())
    network.add_module("head", nn.Linear(24, labels))
    for parameter in network.parameters():
        parameter.data.normal_(std=0.3, generator=generator)
    network.stem.weight.data /= 100  # pixels go up to 255
    return network.eval().requires_grad_(False)


def photo_of(image_hwc):
    height, width = image_hwc.shape[:2]
    return Photo(name="p.jpg", image_hwc=image_hwc, original_width_px=width, original_height_px=height, format="PNG")


def noise_photo(height=12, width=10):
    return photo_of(np.random.default_rng(5).integers(0, 256, (height, width, 3), np.uint8))


def hooks_of(network):
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return {(name, kind): tuple(getattr(m, kind)) for name, m in network.named_modules() for kind in kinds}


def state_of(network):
    modes = [module.training for module in network.modules()]
    return hooks_of(network), modes, [(p.requires_grad, p.grad, p.clone().tolist()) for p in network.parameters()]
