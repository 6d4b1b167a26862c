from __future__ import annotations

import pytest
import timm
import torch

from triovision.networks import build_classifier, class_vectors, head_of, target_layer

ARCHITECTURES = [
    "tf_efficientnet_lite0",
    "efficientnet_b0",
    "mobilenetv2_100",
    "resnet18",
    "convnext_atto",
    "densenet121",
]
TRANSFORMERS = {
    "swin_tiny_patch4_window7_224": {"img_size": 64, "window_size": 2, "embed_dim": 16, "depths": (1, 1, 1, 1)},
    "vit_tiny_patch16_224": {"img_size": 64, "depth": 1},
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_family_has_logits_a_head_and_a_last_grid(architecture: str) -> None:
    network = build_classifier(architecture, 5).eval()
    grids = []
    network.get_submodule(target_layer(architecture)).register_forward_hook(lambda *call: grids.append(call[2].shape))
    with torch.inference_mode():
        logits = network(torch.zeros(2, 3, 64, 64))
    assert logits.shape == (2, 5)
    assert grids[0][0] == 2
    assert grids[0][2:] == (2, 2)  # 64 pixels at a stride of 32
    assert class_vectors(network).shape == (5, grids[0][1])
    assert head_of(network).weight.shape[0] == 5


@pytest.mark.parametrize("architecture", ["tf_efficientnet_lite0", "mobilenetv2_100", "resnet18", "densenet121"])
def test_the_last_grid_is_never_negative(architecture: str) -> None:
    torch.manual_seed(0)
    network = build_classifier(architecture, 2).eval()
    lowest = []
    network.get_submodule(target_layer(architecture)).register_forward_hook(lambda *call: lowest.append(call[2].min()))
    with torch.inference_mode():
        network(torch.randn(1, 3, 64, 64))
    assert lowest[0] >= 0


@pytest.mark.parametrize("architecture", ["vgg11", "efficientnet_b99", ""])
def test_other_architectures_are_refused(architecture: str) -> None:
    with pytest.raises(ValueError, match="architecture"):
        build_classifier(architecture, 2)


def test_arguments_reach_the_architecture() -> None:
    assert build_classifier("tf_efficientnet_lite0", 2, drop_rate=0.25).drop_rate == 0.25


@pytest.mark.parametrize("architecture", TRANSFORMERS)
def test_transformers_have_logits_and_a_head_and_no_grid(architecture: str) -> None:
    network = build_classifier(architecture, 5, **TRANSFORMERS[architecture]).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 5)
    assert head_of(network).weight.shape == class_vectors(network).shape
    assert class_vectors(network).shape[0] == 5
    assert target_layer(architecture) is None


@pytest.mark.parametrize("argument", ["pretrained", "checkpoint_path", "num_classes", "norm_layer", "in_chans"])
def test_arguments_that_describe_no_shape_are_refused(argument: str) -> None:
    with pytest.raises(ValueError, match=f"may not hold {argument}, only attn_drop_rate"):
        build_classifier("test_resnet", 2, **{"drop_rate": 0.1, argument: 1})


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("drop_rate", 1.5),
        ("drop_rate", True),
        ("img_size", 10**9),
        ("img_size", float("nan")),
        ("depths", []),
        ("depths", [1] * 9),
        ("pad_type", "../etc"),
        ("layers", "all"),
    ],
)
def test_arguments_out_of_their_range_are_refused(argument: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"architecture_args.{argument}` is out of its range"):
        build_classifier("test_resnet", 2, **{argument: value})


def test_resnet50_v1_halves_its_grids_where_its_paper_does() -> None:
    args = {"layers": (1, 1, 1, 1)}
    first, later = build_classifier("resnet50_v1", 2, **args).eval(), build_classifier("resnet50", 2, **args).eval()
    later.load_state_dict(first.state_dict())  # the same names and shapes
    sides = {}
    for name, network in (("v1", first), ("later", later)):
        for layer in ("maxpool", "layer2.0.conv1", "layer2.0.conv2"):
            network.get_submodule(layer).register_forward_hook(
                lambda *call, key=(name, layer): sides.__setitem__(key, call[2].shape[-1])
            )
        with torch.inference_mode():
            network(torch.zeros(1, 3, 68, 68))
    # 68 pixels are 34 behind the first convolution: (34 + 2 - 3) // 2 + 1 = 17, and ceil((34 - 3) / 2) + 1 = 17.
    assert (sides["v1", "maxpool"], sides["later", "maxpool"]) == (17, 17)
    assert (sides["v1", "layer2.0.conv1"], sides["v1", "layer2.0.conv2"]) == (9, 9)
    assert (sides["later", "layer2.0.conv1"], sides["later", "layer2.0.conv2"]) == (17, 9)


def test_resnet50_v1_pools_without_padding() -> None:
    pool = build_classifier("resnet50_v1", 2, layers=(1, 1, 1, 1)).get_submodule("maxpool")
    assert isinstance(pool, torch.nn.MaxPool2d)
    below = -torch.ones(1, 1, 4, 4)
    below[0, 0, 0, 0] = 5
    # Windows of three begin at 0 and 2; the one at 2 reaches over the edge and is cut there.
    assert torch.equal(pool(below), torch.tensor([[[[5.0, -1], [-1, -1]]]]))


def test_resnet50_v1_has_no_weights_on_the_hub() -> None:
    with pytest.raises(ValueError, match="hub"):
        timm.create_model("resnet50_v1", pretrained=True)
