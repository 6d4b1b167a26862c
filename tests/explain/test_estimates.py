import gc
import time

import pytest
import torch

from tests.explain.tiny_models import RecordingNetwork, TinyModel, convolutional_network, noise_photo
from triovision.errors import ExplanationError
from triovision.explain import METHODS, ExplanationSettings, estimate_ms, estimates, explain_country, method_named
from triovision.explain.estimates import number_of_passes, record
from triovision.explain.turns import TURNS

SETTINGS = ExplanationSettings(window=0.5, stride=0.2, segments=6, samples=37, steps=21)


class CountingNetwork(torch.nn.Module):
    """Counts the photos that pass its first layer."""

    def __init__(self):
        super().__init__()
        self.inner = convolutional_network()
        self.photos = 0
        self.eval()

    def forward(self, batch_nchw):
        self.photos += len(batch_nchw)
        return self.inner(batch_nchw)


@pytest.mark.parametrize("method", [one for one in METHODS if one.kind != "attention"])
@pytest.mark.parametrize("sides", [(10, 10), (60, 60), (37, 74)])
def test_the_number_of_passes_is_what_the_network_sees(method, sides):
    network = CountingNetwork()
    model = TinyModel(network, target_layer="inner.features")
    explain_country(model, noise_photo(*sides), "FR", method.name, settings=SETTINGS)
    assert network.photos == number_of_passes(method, SETTINGS, sides, channels=6)


def test_the_estimate_is_the_number_of_passes_times_the_median_of_the_latest():
    model = TinyModel(convolutional_network())
    for seconds in (9.0, 0.1, 0.4, 0.2):
        record(model, method_named("LIME"), seconds * 50, passes=50)
    assert estimate_ms(model, "KernelSHAP", SETTINGS) == pytest.approx(1000 * 37 * 0.3)  # median of 9, 0.1, 0.4, 0.2
    assert estimate_ms(model, "Occlusion", ExplanationSettings(window=1, stride=1)) == pytest.approx(1000 * 2 * 0.3)
    for _ in range(9):
        record(model, method_named("Occlusion"), 0.5, passes=1)
    assert estimate_ms(model, "LIME", SETTINGS) == pytest.approx(1000 * 37 * 0.5)  # the first ones are forgotten


def test_an_explanation_leaves_its_time_for_the_next_estimate(monkeypatch):
    model = TinyModel(convolutional_network())
    explain_country(model, noise_photo(), "FR", "GradientSHAP", settings=SETTINGS, on_step=lambda _: time.sleep(0.2))
    monkeypatch.setattr(estimates, "_measure_blank", None)  # nothing needs to be timed
    of_21_steps = estimate_ms(model, "Integrated gradients", SETTINGS)
    assert 0 < of_21_steps < 600, "three waits of 0.2 s are none of its work"
    doubled = ExplanationSettings(steps=42)
    assert estimate_ms(model, "Integrated gradients", doubled) == pytest.approx(2 * of_21_steps)


@pytest.mark.parametrize("method", [one.name for one in METHODS if one.kind != "attention"])
def test_a_blank_photo_is_timed_where_nothing_was_measured(method):
    network = CountingNetwork()
    model = TinyModel(network, target_layer="inner.features")
    assert estimate_ms(model, method, SETTINGS) > 0
    seen = network.photos
    assert seen > 0
    estimate_ms(model, method, SETTINGS)
    assert network.photos == seen


def test_the_blank_photo_has_the_shape_of_most_photos():
    network = RecordingNetwork(lambda batch_nchw: batch_nchw.mean(dim=(2, 3)))
    estimate_ms(TinyModel(network, target_layer=None), "LIME", SETTINGS)
    height, width = network.seen[0].shape[2:]
    assert width / height == pytest.approx(4 / 3)


def test_the_estimate_is_unknown_while_others_compute_or_the_model_fails():
    model = TinyModel(convolutional_network())
    assert TURNS.acquire(1)
    try:
        assert estimate_ms(model, "LIME") is None
    finally:
        TURNS.release()
    assert estimate_ms(model, "LIME") > 0

    def fail(_batch_nchw):
        raise RuntimeError("broken on purpose")

    assert estimate_ms(TinyModel(RecordingNetwork(fail), target_layer=None), "LIME") is None
    assert not TURNS.taken


def test_the_estimate_is_unknown_for_a_method_of_other_networks():
    assert estimate_ms(TinyModel(convolutional_network(), target_layer=None), "Score-CAM") is None
    assert estimate_ms(TinyModel(convolutional_network()), "Gradient-weighted attention") is None
    with pytest.raises(ExplanationError, match="Guess-CAM: is no method"):
        estimate_ms(TinyModel(convolutional_network()), "Guess-CAM")


def test_a_model_that_is_gone_is_forgotten():
    before = len(estimates._MEASURED)
    model = TinyModel(convolutional_network())
    estimate_ms(model, "LIME")
    assert len(estimates._MEASURED) == before + 1
    del model
    gc.collect()
    assert len(estimates._MEASURED) <= before


def test_an_occlusion_of_usual_size_has_the_windows_of_its_fractions():
    occlusion = method_named("Occlusion")
    for sides in ((224, 224), (224, 448), (192, 192)):
        assert number_of_passes(occlusion, ExplanationSettings(), sides) == 1 + 9 * 9  # 0, 0.1, …, 0.8
        assert number_of_passes(occlusion, ExplanationSettings(window=0.5, stride=0.5), sides) == 1 + 2 * 2
