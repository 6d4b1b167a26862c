from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from triovision.networks.resnetgps import VERSIONS, build_resnetgps

TINY = "test_resnet"  # timm's own, 96 features, with the stages of a ResNet
N_CITY = 10


def tiny(version, n_outputs=2, **dropouts):
    torch.manual_seed(0)
    return build_resnetgps(version, N_CITY, TINY, n_outputs, **dropouts)


def full(version):
    with torch.device("meta"):  # shapes alone: no memory, no time
        return build_resnetgps(version, N_CITY)


def linear(before, after):
    return before * after + after


def norm(width):
    return 2 * width


# The published ResNet50 has 25,557,032 weights, its classifier of 1000 ImageNet labels 2048 * 1000 + 1000.
RESNET50 = 25_557_032 - 2_049_000
COUNTS = {
    "v1": (linear(10, 128) + norm(128) + linear(128, 256) + norm(256) + linear(256, 128))
    + (linear(2176, 512) + linear(512, 2176))
    + (linear(2176, 1024) + norm(1024) + linear(1024, 512) + norm(512) + linear(512, 256) + norm(256))
    + (linear(2176, 256) + linear(256, 2)),
    "v2": (linear(2048, 1024) + norm(1024) + linear(1024, 512) + norm(512) + linear(512, 256) + norm(256))
    + (linear(10, 64) + norm(64) + linear(64, 128) + norm(128) + linear(128, 256) + norm(256))
    + (linear(512, 256) + norm(256))
    + 2 * (linear(256, 128) + linear(128, 1)),
    "v3": (linear(10, 32) + linear(32, 16) + linear(16, 32) + linear(32, 64) + linear(64, 10))
    + (linear(2048, 512) + linear(64, 512))
    + 4 * 3 * linear(512, 128)  # question, key and value of each head
    + linear(512, 512)  # what the four heads found, put together
    + (linear(512, 256) + norm(256) + linear(256, 128) + norm(128) + linear(128, 64) + norm(64) + linear(64, 2)),
    "v4": (linear(10, 64) + linear(64, 64))
    + (linear(10, 128) + linear(128, 64))
    + (linear(10, 32) + linear(32, 96) + linear(96, 64))
    + 3 * (linear(2112, 512) + norm(512) + linear(512, 256) + norm(256) + linear(256, 128) + norm(128))
    + 3 * linear(128, 2)
    + linear(2048 + 10, 3),
}


@pytest.mark.parametrize("version", VERSIONS)
def test_parameter_counts_are_those_worked_out_by_hand(version):
    network = full(version)
    assert sum(parameter.numel() for parameter in network.parameters()) == RESNET50 + COUNTS[version]


def test_v1_has_the_keys_and_shapes_of_the_published_checkpoints():
    state = full("v1").state_dict()
    own = {key: tuple(value.shape) for key, value in state.items() if not key.startswith("resnet.")}
    linears = {
        "city_features_processor.0": (128, 10),
        "city_features_processor.4": (256, 128),
        "city_features_processor.8": (128, 256),
        "attention.0": (512, 2176),
        "attention.2": (2176, 512),
        "fc1": (1024, 2176),
        "fc2": (512, 1024),
        "fc3": (256, 512),
        "residual_connection": (256, 2176),
        "fc_final": (2, 256),
    }
    norms = {
        "city_features_processor.1": 128,
        "city_features_processor.5": 256,
        "bn1": 1024,
        "bn2": 512,
        "bn3": 256,
    }
    expected = {f"{name}.weight": shape for name, shape in linears.items()}
    expected |= {f"{name}.bias": shape[:1] for name, shape in linears.items()}
    for name, width in norms.items():
        expected |= {f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")}
        expected[f"{name}.num_batches_tracked"] = ()
    assert own == expected


def test_the_backbone_has_the_keys_of_a_resnet50_without_classifier():
    parts = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    expected = {"conv1.weight", *(f"bn1.{part}" for part in parts)}
    for stage, n_blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(n_blocks):
            at = f"layer{stage}.{block}"
            expected |= {f"{at}.conv{i}.weight" for i in (1, 2, 3)}
            expected |= {f"{at}.bn{i}.{part}" for i in (1, 2, 3) for part in parts}
        expected |= {f"layer{stage}.0.downsample.0.weight", *(f"layer{stage}.0.downsample.1.{p}" for p in parts)}
    for backbone in ("resnet50", "resnet50_v1"):
        with torch.device("meta"):
            state = build_resnetgps("v1", N_CITY, backbone).state_dict()
        assert {key.removeprefix("resnet.") for key in state if key.startswith("resnet.")} == expected


def test_v1_loads_its_own_checkpoint_and_no_other_city_features(tmp_path):
    torch.save(tiny("v1").state_dict(), tmp_path / "v1.pth")
    state = torch.load(tmp_path / "v1.pth", weights_only=True)
    build_resnetgps("v1", N_CITY, TINY).load_state_dict(state, strict=True)
    with pytest.raises(RuntimeError, match=r"city_features_processor\.0\.weight"):
        build_resnetgps("v1", N_CITY + 1, TINY).load_state_dict(state, strict=True)


def test_v1_computes_what_its_description_says():
    network = tiny("v1").eval()
    state = network.state_dict()

    def line(x, name):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def batch_norm(x, name):
        return F.batch_norm(x, *(state[f"{name}.{p}"] for p in ("running_mean", "running_var", "weight", "bias")))

    features, city = torch.randn(4, 96), torch.randn(4, N_CITY)
    code = torch.relu(batch_norm(line(city, "city_features_processor.0"), "city_features_processor.1"))
    code = torch.relu(batch_norm(line(code, "city_features_processor.4"), "city_features_processor.5"))
    joined = torch.cat([features, line(code, "city_features_processor.8")], dim=1)
    attended = joined * torch.sigmoid(line(torch.relu(line(joined, "attention.0")), "attention.2"))
    deep = attended
    for i in (1, 2, 3):
        deep = torch.relu(batch_norm(line(deep, f"fc{i}"), f"bn{i}"))
    expected = line(deep + line(attended, "residual_connection"), "fc_final")
    with torch.inference_mode():
        torch.testing.assert_close(network.locate(features, city), expected)


@pytest.mark.parametrize("n_outputs", [2, 15])
@pytest.mark.parametrize("version", VERSIONS)
def test_one_photo_is_asked_with_many_cities_as_it_would_be_one_by_one(version, n_outputs):
    network = tiny(version, n_outputs).eval()
    photo, cities = torch.randn(1, 3, 64, 64), torch.randn(5, N_CITY)
    with torch.inference_mode():
        features = network.image_features(photo)
        together = network.locate(features, cities)
        alone = torch.cat([network(photo, city[None]) for city in cities])
    assert features.shape == (1, 96)
    assert together.shape == (5, n_outputs)
    torch.testing.assert_close(together, alone)
    assert together.std(dim=0).min() > 0  # the city counts


@pytest.mark.parametrize("version", VERSIONS)
def test_the_photo_counts(version):
    network = tiny(version).eval()
    with torch.inference_mode():
        answers = network.locate(torch.randn(5, 96), torch.randn(1, N_CITY).expand(5, -1))
    assert answers.std(dim=0).min() > 0


@pytest.mark.parametrize("version", VERSIONS)
def test_frozen_parts_neither_learn_nor_move_and_the_rest_does(version):
    network = tiny(version).train()
    for module in network.resnet.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)  # timm begins with zeros, behind which nothing learns at first
    before = {name: value.clone() for name, value in network.state_dict().items()}
    photos, cities = torch.randn(4, 3, 64, 64), torch.randn(4, N_CITY)
    (network(photos, cities).square().mean() + network.auxiliary_loss(cities)).backward()
    torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=1.0).step()

    def frozen(name):
        return name.startswith("resnet.") and not name.startswith("resnet.layer4.")

    for name, parameter in network.named_parameters():
        assert parameter.requires_grad != frozen(name), name
        assert (parameter.grad is None) == frozen(name), name
    # Biases before a batch norm have no effect; weights, gates and statistics do.
    after = network.state_dict()
    for name, value in after.items():
        moves = value.ndim > 1 or name.endswith(("running_mean", "num_batches_tracked"))
        if frozen(name):
            assert torch.equal(value, before[name]), name
        elif moves:
            assert not torch.equal(value, before[name]), name


def test_a_backbone_that_is_frozen_as_a_whole_stays_in_evaluation_mode():
    network = tiny("v1")
    network.resnet.requires_grad_(False)
    network.train()
    assert network.bn1.training
    assert not any(module.training for part in network.resnet.children() for module in part.modules())
    assert not network.image_features(torch.randn(1, 3, 64, 64)).requires_grad


def test_only_the_auto_encoder_adds_to_the_loss():
    city = torch.randn(4, N_CITY)
    for version in ("v1", "v2", "v4"):
        assert tiny(version).auxiliary_loss(city).item() == 0
    network = tiny("v3").eval()
    with torch.no_grad():
        network.reconstruction.weight.zero_()
        network.reconstruction.bias.copy_(torch.arange(10.0))
    # What comes back is 0, 1, ... 9 whatever went in.
    assert network.auxiliary_loss(torch.ones(3, N_CITY)).item() == pytest.approx(
        sum((i - 1) ** 2 for i in range(10)) / 10
    )


def test_v4_weighs_its_regressors_with_weights_that_sum_to_one():
    network = tiny("v4").eval()
    with torch.no_grad():
        network.gate.weight.zero_()
        network.gate.bias.copy_(torch.tensor([0.2, 0.3, 0.5]).log())
        for regressor, answer in zip(network.regressors, (10.0, 20.0, 40.0), strict=True):
            regressor[-1].weight.zero_()
            regressor[-1].bias.fill_(answer)
        answers = network.locate(torch.randn(1, 96), torch.randn(2, N_CITY))
    torch.testing.assert_close(answers, torch.full((2, 2), 0.2 * 10 + 0.3 * 20 + 0.5 * 40))


def test_rates_reach_their_layers_and_default_to_the_published_ones():
    published, tuned = tiny("v1"), tiny("v1", city_dropout1=0.123, city_dropout2=0.093, dropout2=0.189)
    places = ("city_features_processor.3", "city_features_processor.7", "dropout1", "dropout2", "dropout3")
    assert [published.get_submodule(place).p for place in places] == [0.2, 0.1, 0.15, 0.1, 0.05]
    assert [tuned.get_submodule(place).p for place in places] == [0.123, 0.093, 0.15, 0.189, 0.05]
    for version, n_rates in (("v2", 5), ("v3", 5), ("v4", 1 + 3 * 3)):
        named = {"city_dropout1": 0.5, "city_dropout2": 0.5, "dropout1": 0.5, "dropout2": 0.5, "dropout3": 0.5}
        network = tiny(version, **named)
        rates = [module.p for module in network.modules() if isinstance(module, torch.nn.Dropout)]
        assert rates == [0.5] * n_rates


@pytest.mark.parametrize("version", VERSIONS)
def test_wrong_shapes_are_named(version):
    network = tiny(version).eval()
    features, city = torch.zeros(2, 96), torch.zeros(2, N_CITY)
    with pytest.raises(ValueError, match=r"`city_nm` must have shape \(n, 10\), got \(2, 9\)"):
        network.locate(features, city[:, 1:])
    with pytest.raises(ValueError, match="city_nm"):
        network.auxiliary_loss(city[:, 1:])
    with pytest.raises(ValueError, match="city_nm"):
        network.locate(features, city[0])
    with pytest.raises(ValueError, match=r"`features_nc` must have shape \(n, 96\)"):
        network.locate(features[:, 1:], city)
    with pytest.raises(ValueError, match="2 rows for 3 cities"):
        network.locate(features, torch.zeros(3, N_CITY))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"version": "v5"}, ValueError, "`version` must be one of v1, v2, v3, v4"),
        ({"n_city_features": 0}, ValueError, "at least 1"),
        ({"n_outputs": 0}, ValueError, "at least 1"),
        ({"backbone": "resnet51"}, ValueError, "unknown to timm"),
        ({"backbone": "test_vit"}, ValueError, "no ResNet"),
        ({"dropout4": 0.1}, TypeError, "dropout4"),
        ({"dropout1": 1.5}, ValueError, "dropout"),
    ],
)
def test_what_cannot_be_built_is_named(change, error, message):
    arguments = {"version": "v1", "n_city_features": N_CITY, "backbone": TINY} | change
    with pytest.raises(error, match=message):
        build_resnetgps(**arguments)
