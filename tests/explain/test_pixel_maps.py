"""Occlusion, LIME, KernelSHAP, GradientSHAP and integrated gradients on networks with known attributions."""

import time

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from tests.explain.tiny_models import (
    RecordingNetwork,
    TinyModel,
    convolutional_network,
    linear_network,
    noise_photo,
    photo_of,
    state_of,
)
from triovision.errors import ExplanationError, ModelFailure
from triovision.explain import ExplanationSettings, explain_country, perturbation
from triovision.explain.gradients import gradient_shap, integrated_gradients
from triovision.explain.perturbation import kernel_shap, superpixels
from triovision.explain.scores import Scorer, Target
from triovision.explain.turns import TURNS, ExplanationLimits

METHODS = ("Occlusion", "LIME", "KernelSHAP", "GradientSHAP", "Integrated gradients")
SMALL = ExplanationSettings(window=0.5, stride=0.25, segments=6, samples=40, steps=20, seed=4)
HEIGHT, WIDTH = 12, 10


@pytest.fixture
def weights():
    return np.random.default_rng(1).normal(size=(3, 3, HEIGHT, WIDTH)).astype(np.float32)


def contribution(weight_chw, photo):
    """What each pixel adds to a weighted sum of the pixels, over what the mean colour would add."""
    image_chw = photo.image_hwc.transpose(2, 0, 1).astype(np.float64)
    return (weight_chw * (image_chw - image_chw.mean(axis=(1, 2), keepdims=True))).sum(axis=0)


def regions_of(photo, segments):
    return superpixels(TinyModel(None).preprocess([photo]), segments)[0, 0].numpy()


def sums_over(regions_hw, values_hw):
    sums = np.bincount(regions_hw.ravel(), values_hw.ravel())
    return sums[regions_hw]


def scaled(map_hw):
    return map_hw / np.abs(map_hw).max()


def explained(network, photo, method, settings=SMALL, **arguments):
    return explain_country(TinyModel(network), photo, "FR", method, settings=settings, **arguments)


def test_integrated_gradients_of_a_linear_network_are_its_terms(weights):
    photo = noise_photo(HEIGHT, WIDTH)
    explanation = explained(linear_network(weights), photo, "Integrated gradients")
    assert explanation.heatmap_hw == pytest.approx(scaled(contribution(weights[0], photo)), abs=1e-4)
    assert explanation.heatmap_hw.dtype == np.float32
    assert (explanation.layer, explanation.signed, explanation.against) == ("input", True, None)


def test_integrated_gradients_are_complete_and_the_sum_is_the_rise_of_the_score():
    network, target = convolutional_network(), Target(0, 2)
    photo_nchw = TinyModel(network).preprocess([noise_photo()])
    plain_nchw = photo_nchw.mean(dim=(2, 3), keepdim=True).expand_as(photo_nchw)
    map_hw = integrated_gradients(Scorer(network, target, 20, int), photo_nchw, SMALL)
    photo_score, plain_score = (float(target.score(network(one))[0]) for one in (photo_nchw, plain_nchw))
    assert abs(photo_score - plain_score) > 0.01
    assert map_hw.sum() == pytest.approx(photo_score - plain_score, rel=1e-3)


def test_gradient_shap_of_a_linear_network_is_its_terms_over_plain_pictures_in_colours_of_the_photo(weights):
    photo = noise_photo(HEIGHT, WIDTH)
    weights[:, 1:], weights[:, 0] = 0, 1  # the sum of red, so that all pixels lose the same mean of the drawn reds
    red = photo.image_hwc[..., 0].astype(np.float64)
    batch_nchw = TinyModel(None).preprocess([photo])
    for steps, tolerance in ((20, 60), (1000, 8)):  # red has a deviation of about 74
        settings = ExplanationSettings(steps=steps)
        map_hw = gradient_shap(Scorer(linear_network(weights), Target(0), steps, int), batch_nchw, settings)
        assert map_hw - map_hw[0, 0] == pytest.approx(red - red[0, 0], abs=1e-2)
        assert map_hw.mean() == pytest.approx(0, abs=tolerance)
        assert map_hw.mean() != 0


def test_gradient_shap_takes_gradients_between_the_plain_picture_and_the_photo():
    photo = photo_of(np.full((4, 4, 3), 60, np.uint8))
    photo.image_hwc[0, 0] = 200
    network = RecordingNetwork(lambda batch_nchw: batch_nchw.square().sum(dim=(1, 2, 3))[:, None].expand(-1, 3))
    explained(network, photo, "GradientSHAP", ExplanationSettings(steps=400))
    seen = torch.cat(network.seen)
    assert 60 <= seen.min() <= 62
    assert 198 <= seen.max() <= 200
    corner, other = seen[:, 0, 0, 0], seen[:, 0, 1, 1]
    plain = other.isclose(torch.tensor(60.0))  # of a picture in the colour of the many pixels nothing but one changes
    assert plain.float().mean() == pytest.approx(15 / 16, abs=0.05)
    assert corner[plain].mean() == pytest.approx(130, abs=10)  # half way from 60 to 200
    assert corner[~plain] == pytest.approx(200, abs=1e-3)


def test_occlusion_of_a_linear_network_is_the_mean_of_its_windows(weights):
    photo = noise_photo(HEIGHT, WIDTH)
    term = contribution(weights[0], photo)
    total, count = np.zeros((2, HEIGHT, WIDTH))
    for top in range(0, HEIGHT - 6 + 1, 3):  # half of 12, a quarter of 12
        for left in (0, 3, 6):  # half of 10, a quarter of 10, rounded up; the last window is cut
            window = np.s_[top : top + 6, left : left + 5]
            total[window] += term[window].sum()
            count[window] += 1
    explanation = explained(linear_network(weights), photo, "Occlusion")
    assert count.min() >= 1
    assert explanation.heatmap_hw == pytest.approx(scaled(total / count), abs=1e-4)


def test_kernel_shap_of_a_linear_network_is_the_sum_of_each_superpixel(weights):
    photo = noise_photo(HEIGHT, WIDTH)
    regions_hw = regions_of(photo, SMALL.segments)
    assert len(np.unique(regions_hw)) >= 3
    expected = sums_over(regions_hw, contribution(weights[0], photo))
    explanation = explained(linear_network(weights), photo, "KernelSHAP")
    assert explanation.heatmap_hw == pytest.approx(scaled(expected), abs=2e-3)


def test_kernel_shap_shares_what_two_superpixels_only_do_together(monkeypatch):
    image_hwc = np.zeros((8, 8, 3), np.uint8)
    image_hwc[:, :4, 0], image_hwc[:, 4:, 2] = 200, 200
    batch_nchw = TinyModel(None).preprocess([photo_of(image_hwc)])
    halves = (torch.arange(64).reshape(1, 1, 8, 8) % 8 >= 4).long()
    monkeypatch.setattr(perturbation, "superpixels", lambda *_: halves)

    def logits_of(pixels_nchw):  # how red the left half is, times how blue the right half is, plus the latter
        red, blue = pixels_nchw[:, 0, :, :4].mean(dim=(1, 2)) / 100, pixels_nchw[:, 2, :, 4:].mean(dim=(1, 2)) / 100
        return (red * blue + blue)[:, None]

    settings = ExplanationSettings(segments=2, samples=40)
    map_hw = kernel_shap(Scorer(RecordingNetwork(logits_of), Target(0), 40, int), batch_nchw, settings)
    # Red and blue are 2 where kept, 1 where not: scores 2, 3 (left kept), 4 (right kept), 6. Shapley values: the mean
    # of 3 - 2 and 6 - 4, and of 4 - 2 and 6 - 3.
    assert map_hw[:, :4] == pytest.approx(1.5, abs=1e-2)
    assert map_hw[:, 4:] == pytest.approx(2.5, abs=1e-2)


def test_lime_is_the_ridge_regression_that_its_paper_describes(weights):
    photo = noise_photo(HEIGHT, WIDTH)
    regions_hw = regions_of(photo, SMALL.segments)
    network = linear_network(weights)
    explanation = explained(network, photo, "LIME")
    seen_nchw = torch.cat(network.seen).numpy()
    photo_chw = photo.image_hwc.transpose(2, 0, 1)
    first_pixels = [np.argwhere(regions_hw == region)[0] for region in range(regions_hw.max() + 1)]
    kept = np.array([[(one[:, y, x] == photo_chw[:, y, x]).all() for y, x in first_pixels] for one in seen_nchw])
    assert kept.shape == (SMALL.samples, regions_hw.max() + 1)
    assert kept[0].all()
    assert 0.35 < kept[1:].mean() < 0.65
    score = np.einsum("nchw,chw->n", seen_nchw.astype(np.float64), weights[0])
    sample_weight = np.exp(-((1 - np.sqrt(kept.mean(axis=1))) ** 2) / (2 * 0.25**2))
    coefficients = Ridge(alpha=1.0).fit(kept.astype(float), score, sample_weight).coef_
    assert explanation.heatmap_hw == pytest.approx(scaled(coefficients[regions_hw]), abs=1e-3)


def test_what_lowers_the_score_is_negative():
    weights = np.zeros((3, 3, 8, 8))
    weights[0, 0, 1:3, 2:6], weights[0, 0, 5:7, 2:6] = 1, -2  # red above speaks for France, red below against it
    image_hwc = np.zeros((8, 8, 3), np.uint8)
    image_hwc[1:3, 2:6, 0], image_hwc[5:7, 2:6, 0] = 200, 100
    for method in METHODS:
        heatmap_hw = explained(linear_network(weights), photo_of(image_hwc), method).heatmap_hw
        assert heatmap_hw[1, 3] > 0 > heatmap_hw[6, 3], method
        assert np.abs(heatmap_hw).max() == 1


@pytest.mark.parametrize("method", METHODS)
def test_a_contrast_explains_the_difference_of_two_logits(weights, method):
    photo = noise_photo(HEIGHT, WIDTH)
    contrast = explained(linear_network(weights), photo, method, against="NA")
    weights[0] -= weights[2]
    assert contrast.heatmap_hw == pytest.approx(explained(linear_network(weights), photo, method).heatmap_hw, abs=1e-3)
    assert (contrast.against, contrast.signed) == ("NA", True)


@pytest.mark.parametrize("method", METHODS)
def test_swapping_the_countries_of_a_contrast_changes_its_sign(method):
    model = TinyModel(convolutional_network())
    there = explain_country(model, noise_photo(), "IT", method, against="NA", settings=SMALL).heatmap_hw
    back = explain_country(model, noise_photo(), "NA", method, against="IT", settings=SMALL).heatmap_hw
    assert there == pytest.approx(-back, abs=1e-4)
    assert np.abs(there).max() == 1


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_map_whatever_else_draws(method):
    model = TinyModel(convolutional_network())
    maps = []
    for seed in (4, 4, 5):
        settings = ExplanationSettings(window=0.5, stride=0.25, segments=6, samples=40, steps=20, seed=seed)
        maps.append(explain_country(model, noise_photo(), "FR", method, settings=settings).heatmap_hw)
        torch.rand(3)
        np.random.default_rng().random(3)
    assert np.array_equal(maps[0], maps[1])
    assert np.array_equal(maps[0], maps[2]) == (method in ("Occlusion", "Integrated gradients"))


@pytest.mark.parametrize("method", ["Occlusion", "GradientSHAP", "Integrated gradients"])
def test_the_generators_of_the_process_are_left_alone(method):
    network = convolutional_network()
    torch.manual_seed(1)
    np.random.seed(1)
    explained(network, noise_photo(), method)
    drawn = torch.rand(1), np.random.rand()
    torch.manual_seed(1)
    np.random.seed(1)
    assert drawn == (torch.rand(1), np.random.rand())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("method", METHODS)
def test_works_whatever_gradient_mode_the_caller_is_in(method, mode):
    network = convolutional_network()
    expected, before = explained(network, noise_photo(), method).heatmap_hw, state_of(network)
    with mode():
        heatmap_hw = explained(network, noise_photo(), method).heatmap_hw
        assert not torch.is_grad_enabled()
    assert np.array_equal(heatmap_hw, expected)
    assert state_of(network) == before


@pytest.mark.parametrize("method", METHODS)
def test_the_fraction_that_is_done_rises_to_one(method):
    fractions = []
    explained(convolutional_network(), noise_photo(), method, on_step=fractions.append)
    assert len(fractions) > 2
    assert fractions == sorted(fractions)
    assert fractions[0] < 0.5
    assert fractions[-1] == 1


@pytest.mark.parametrize("method", METHODS)
def test_what_a_step_raises_ends_the_explanation_and_leaves_no_trace(method):
    class Gone(BaseException):
        """The session has ended."""

    network, steps = convolutional_network(), []
    before = state_of(network)

    def on_step(fraction):
        steps.append(fraction)
        if len(steps) == 2:
            raise Gone

    with pytest.raises(Gone):
        explained(network, noise_photo(), method, on_step=on_step)
    assert len(steps) == 2
    assert state_of(network) == before
    assert not TURNS.taken


@pytest.mark.parametrize("method", METHODS)
def test_an_explanation_ends_at_its_deadline(method):
    limits = ExplanationLimits(total_s=0.2)
    with pytest.raises(ExplanationError, match=r"takes longer than 0\.2 s"):
        explained(convolutional_network(), noise_photo(), method, on_step=lambda _: time.sleep(0.3), limits=limits)
    assert not TURNS.taken


@pytest.mark.parametrize("method", METHODS)
def test_a_network_that_fails_is_a_worded_error(method):
    def logits_of(batch_nchw):
        if len(network.seen) == 2:
            raise RuntimeError("broken on purpose")
        return batch_nchw.mean(dim=(2, 3))

    network = RecordingNetwork(logits_of)
    with pytest.raises(ModelFailure, match="broken on purpose"):
        explained(network, noise_photo(), method)
    assert not TURNS.taken


@pytest.mark.parametrize("method", METHODS)
def test_logits_that_are_not_finite_are_a_worded_error(method):
    network = RecordingNetwork(lambda batch_nchw: batch_nchw.mean(dim=(2, 3)) * float("nan"))
    with pytest.raises(ModelFailure, match=r"tiny\.test"):
        explained(network, noise_photo(), method)


@pytest.mark.parametrize("method", METHODS)
def test_a_photo_of_one_colour_has_an_empty_map(method):
    heatmap_hw = explained(convolutional_network(), photo_of(np.full((8, 8, 3), 90, np.uint8)), method).heatmap_hw
    assert heatmap_hw == pytest.approx(0, abs=1e-3)


def test_a_photo_of_one_pixel_has_no_superpixels():
    with pytest.raises(ExplanationError, match=r"Superpixels: are fewer than two in this photo"):
        explained(convolutional_network(), photo_of(np.full((1, 1, 3), 90, np.uint8)), "LIME")
