from __future__ import annotations

import torch

from triovision.networks import LocatingClassifier, build_resnetgps, class_vectors, head_of, target_layer


def test_countries_and_positions_come_from_the_same_features() -> None:
    torch.manual_seed(0)
    network = LocatingClassifier(build_resnetgps("v1", 4, "test_resnet"), 3).eval()
    batch_nchw, city_nm = torch.rand(2, 3, 32, 32), torch.rand(2, 4)
    features_nc = network.regressor.image_features(batch_nchw)
    weight, bias = network.countries.weight, network.countries.bias
    torch.testing.assert_close(network(batch_nchw), features_nc @ weight.T + bias)
    torch.testing.assert_close(network.regressor.locate(features_nc, city_nm), network.regressor(batch_nchw, city_nm))


def test_it_is_a_classifier_with_a_layer_to_explain() -> None:
    network = LocatingClassifier(build_resnetgps("v1", 4, "test_resnet"), 3)
    assert head_of(network) is network.countries
    assert torch.equal(class_vectors(network), network.countries.weight)
    layer = target_layer("resnetgps_v1")
    assert layer is not None
    assert network.get_submodule(layer) is network.regressor.resnet.layer4
