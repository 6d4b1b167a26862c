import numpy as np
import pytest
import timm
import torch
from torch import nn

from tests.explain.tiny_models import TinyModel, convolutional_network, hooks_of, noise_photo, photo_of, state_of
from triovision.errors import ExplanationError, ModelFailure
from triovision.explain import layer_activations, network_activations
from triovision.explain.turns import TURNS, ExplanationLimits


class TwoLayers(nn.Module):
    """Three channels times 1, -2 and 0.5, then a ReLU in place, then their sums."""

    def __init__(self, broken=False):
        super().__init__()
        self.scale = nn.Conv2d(3, 3, 1, groups=3, bias=False)
        self.scale.weight.data = torch.tensor([1.0, -2, 0.5]).reshape(3, 1, 1, 1)
        self.relu = nn.ReLU(inplace=True)
        self.idle = nn.Identity()
        self.broken = broken
        self.eval().requires_grad_(False)

    def forward(self, batch_nchw):
        maps = self.relu(self.scale(batch_nchw))
        if self.broken:
            raise RuntimeError("broken on purpose")
        return maps.sum(dim=(2, 3))


def test_the_outputs_of_layers_are_those_before_the_next_layer_writes_over_them():
    network, batch_nchw = TwoLayers(), torch.rand(2, 3, 4, 5)
    before = state_of(network)
    outputs = layer_activations(network, batch_nchw, ["relu", "scale"])
    assert list(outputs) == ["relu", "scale"]
    scaled = batch_nchw * torch.tensor([1.0, -2, 0.5]).reshape(3, 1, 1)
    assert torch.allclose(outputs["scale"], scaled)
    assert torch.allclose(outputs["relu"], scaled.relu())
    assert state_of(network) == before


@pytest.mark.parametrize(
    ("layers", "message"), [(["relu", "conv9"], "no layer conv9"), (["idle"], "did not run its layer idle")]
)
def test_a_layer_that_the_network_lacks_or_leaves_out_is_refused(layers, message):
    network = TwoLayers()
    before = hooks_of(network)
    with pytest.raises(ValueError, match=message):
        layer_activations(network, torch.rand(1, 3, 2, 2), layers)
    assert hooks_of(network) == before


def test_hooks_are_gone_after_a_failure():
    network = TwoLayers(broken=True)
    before = hooks_of(network)
    with pytest.raises(RuntimeError, match="on purpose"):
        layer_activations(network, torch.rand(1, 3, 2, 2), ["scale"])
    with pytest.raises(ModelFailure, match="on purpose"):
        network_activations(TinyModel(network), noise_photo())
    assert hooks_of(network) == before
    assert not TURNS.taken


def test_the_strongest_channels_come_first_with_their_activations():
    image_hwc = np.zeros((2, 2, 3), np.uint8)
    image_hwc[..., 0], image_hwc[..., 1], image_hwc[0, 0, 2] = 10, 20, 200
    network = nn.Sequential(TwoLayers().scale)
    (stage,) = network_activations(TinyModel(network), photo_of(image_hwc), channels=2)
    # Mean absolute activations: 10, 40, and 100 in one of four cells.
    assert (stage.layer, stage.channels, stage.total_channels) == ("0", (1, 2), 3)
    assert stage.maps_khw.tolist() == [[[-40, -40], [-40, -40]], [[100, 0], [0, 0]]]
    assert stage.maps_khw.dtype == np.float32


STAGES = {
    "test_efficientnet": ({}, [f"blocks.{i}" for i in range(5)], 64, [32, 16, 8, 4, 2]),
    "test_vit": ({"img_size": 64}, [f"blocks.{i}" for i in range(6)], 64, [4] * 6),
    "swin_tiny_patch4_window7_224": (
        {"depths": (1, 1), "embed_dim": 8, "num_heads": (1, 1), "img_size": 56},
        ["layers.0", "layers.1"],
        56,
        [14, 7],
    ),
}


@pytest.mark.parametrize("architecture", STAGES)
def test_stages_of_timm_networks_are_grids_with_each_patch_in_its_place(architecture):
    arguments, stages, side, grids = STAGES[architecture]
    torch.manual_seed(0)
    network = timm.create_model(architecture, num_classes=3, **arguments).eval().requires_grad_(False)
    model, image_hwc = TinyModel(network), np.zeros((side, side, 3), np.uint8)
    found = network_activations(model, photo_of(image_hwc), channels=4)
    assert [stage.layer for stage in found] == stages
    assert [stage.maps_khw.shape for stage in found] == [(4, grid, grid) for grid in grids]
    assert all(stage.total_channels >= 4 for stage in found)
    image_hwc = image_hwc.copy()
    image_hwc[: side // 8, -side // 8 :] = 255  # the upper right corner
    every = found[0].total_channels
    dark, lit = (network_activations(model, photo_of(one), channels=every)[0] for one in (image_hwc * 0, image_hwc))
    change = np.zeros(lit.maps_khw.shape[1:])
    for channel in range(every):
        change += np.abs(lit.maps_khw[lit.channels.index(channel)] - dark.maps_khw[dark.channels.index(channel)])
    row, column = np.unravel_index(change.argmax(), change.shape)
    assert row < grids[0] / 2 < column + 0.5


def test_progress_ends_at_one_and_what_a_step_raises_ends_it():
    class Gone(BaseException):
        """The session has ended."""

    def leave(_fraction):
        raise Gone

    model, fractions = TinyModel(convolutional_network()), []
    network_activations(model, noise_photo(), on_step=fractions.append)
    assert fractions[-1] == 1
    with pytest.raises(Gone):
        network_activations(model, noise_photo(), on_step=leave)
    with pytest.raises(ExplanationError, match="takes longer than 0 s"):
        network_activations(model, noise_photo(), limits=ExplanationLimits(total_s=0))
    assert not TURNS.taken
