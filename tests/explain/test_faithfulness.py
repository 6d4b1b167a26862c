import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.explain.tiny_models import (
    BOX,
    RecordingNetwork,
    TinyModel,
    convolutional_network,
    noise_photo,
    photo_of,
    state_of,
)
from triovision.errors import ExplanationError
from triovision.explain import (
    ExplanationSettings,
    estimate_faithfulness_ms,
    estimate_ms,
    explain_country,
    measure_faithfulness,
)
from triovision.explain.turns import TURNS, ExplanationLimits
from triovision.results import Explanation

SIDE = 10  # 100 pixels, so that each of the twenty steps takes five


def patch_network(against_weight=0.0):
    """France's logit is the mean of the first five pixels of the first row, a twentieth of the photo, over 50."""

    def logits_of(batch_nchw):
        france = batch_nchw[:, :, 0, :5].mean(dim=(1, 2)) / 50
        return torch.stack([france, against_weight * france, torch.zeros_like(france)], dim=1)

    return RecordingNetwork(logits_of)


def patch_photo():
    image_hwc = np.zeros((SIDE, SIDE, 3), np.uint8)
    image_hwc[0, :5] = 200
    return photo_of(image_hwc)


def explanation_of(heatmap_hw, **fields):
    values = {"photo": "p.jpg", "model": "tiny.test", "country": "FR", "method": "LIME", "layer": "input", "box": BOX}
    return Explanation(**values | fields, heatmap_hw=np.asarray(heatmap_hw, np.float32), signed=True, elapsed_ms=1.0)


def patch_map():
    heatmap_hw = np.zeros((SIDE, SIDE))
    heatmap_hw[0, :5] = 1
    return heatmap_hw


def probability(logit, labels=3):
    return math.exp(logit) / (math.exp(logit) + labels - 1)


WHOLE, PLAIN = probability(4), probability(0.2)  # 200/50; the mean colour is 200·5/100 = 10


def test_the_curves_of_a_network_that_looks_at_one_patch():
    found = measure_faithfulness(TinyModel(patch_network()), patch_photo(), explanation_of(patch_map()))
    assert found.fraction == pytest.approx(np.arange(21) / 20)
    assert found.deletion == pytest.approx([WHOLE] + [PLAIN] * 20)
    assert found.insertion[1:] == pytest.approx([WHOLE] * 20)
    assert 1 / 3 < found.insertion[0] < WHOLE  # blurred
    # trapezoids: half a step on the way down, the rest even
    assert found.deletion_auc == pytest.approx((WHOLE - PLAIN) / 40 + PLAIN)
    assert found.insertion_auc == pytest.approx(WHOLE - (WHOLE - found.insertion[0]) / 40)


def test_a_map_that_shows_the_opposite_has_the_opposite_curves():
    found = measure_faithfulness(TinyModel(patch_network()), patch_photo(), explanation_of(-patch_map()))
    assert found.deletion == pytest.approx([WHOLE] * 20 + [PLAIN])
    assert found.insertion == pytest.approx([found.insertion[0]] * 20 + [WHOLE])


def test_a_random_order_lies_between_and_is_the_same_for_every_map():
    model, photo = TinyModel(patch_network()), patch_photo()
    good, bad = (measure_faithfulness(model, photo, explanation_of(sign * patch_map())) for sign in (1, -1))
    assert good.deletion_auc < good.random_deletion_auc < bad.deletion_auc
    assert good.insertion_auc > good.random_insertion_auc > bad.insertion_auc
    assert np.array_equal(good.random_deletion, bad.random_deletion)
    assert good.random_deletion[0] == pytest.approx(WHOLE)
    assert good.random_deletion[-1] == pytest.approx(PLAIN)


def test_a_small_map_is_scaled_to_the_photo():
    small = explanation_of([[1, 0], [0, 0]])
    found = measure_faithfulness(TinyModel(patch_network()), patch_photo(), small)
    assert found.deletion[5:] == pytest.approx([PLAIN] * 16)  # the corner of 25 pixels holds the patch


def test_a_contrast_is_measured_among_its_two_countries():
    explanation = explanation_of(patch_map(), against="IT")
    found = measure_faithfulness(TinyModel(patch_network(against_weight=0.5)), patch_photo(), explanation)
    # The difference of the logits is 4 - 2 with the patch, 0.2 - 0.1 without.
    assert found.deletion == pytest.approx([1 / (1 + math.exp(-2))] + [1 / (1 + math.exp(-0.1))] * 20)


def test_the_fraction_that_is_done_rises_to_one_and_nothing_is_left():
    network, fractions = convolutional_network(), []
    model, photo = TinyModel(network), noise_photo()
    before = state_of(network)
    explanation = explain_country(model, photo, "FR")
    found = measure_faithfulness(model, photo, explanation, on_step=fractions.append)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert state_of(network) == before
    again = measure_faithfulness(model, photo, explanation)
    assert np.array_equal(found.deletion, again.deletion)
    assert found.deletion[0] == pytest.approx(found.insertion[-1])


def test_it_ends_at_its_deadline_or_by_what_a_step_raises():
    class Gone(BaseException):
        """The session has ended."""

    def leave(_fraction):
        raise Gone

    model, photo, explanation = TinyModel(patch_network()), patch_photo(), explanation_of(patch_map())
    with pytest.raises(Gone):
        measure_faithfulness(model, photo, explanation, on_step=leave)
    with pytest.raises(ExplanationError, match=r"takes longer than 0 s"):
        measure_faithfulness(model, photo, explanation, limits=ExplanationLimits(total_s=0))
    assert not TURNS.taken


def test_its_time_is_estimated_for_each_photo_that_the_network_sees():
    network = patch_network()
    model = TinyModel(network, target_layer=None)
    of_50 = estimate_ms(model, "LIME", ExplanationSettings(samples=50, segments=10))
    network.seen.clear()
    measure_faithfulness(model, patch_photo(), explanation_of(patch_map()))
    assert estimate_faithfulness_ms(model) == pytest.approx(of_50 / 50 * sum(map(len, network.seen)))


def test_its_time_is_unknown_while_others_compute():
    model = TinyModel(patch_network(), target_layer=None)
    assert TURNS.acquire(1)
    try:
        assert estimate_faithfulness_ms(model) is None
    finally:
        TURNS.release()
    assert estimate_faithfulness_ms(model) > 0


def test_an_explanation_of_another_model_is_refused():
    other = replace(explanation_of(patch_map()), model="other.test")
    with pytest.raises(ExplanationError, match=r"p\.jpg: is an explanation of other\.test, not of tiny\.test"):
        measure_faithfulness(TinyModel(patch_network()), patch_photo(), other)
