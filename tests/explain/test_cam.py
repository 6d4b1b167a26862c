import copy
import math
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import nn

from tests.explain.tiny_models import BOX, TinyModel, hooks_of, photo_of, state_of
from triovision.errors import ExplanationError, ModelFailure
from triovision.explain import METHODS, explain_country
from triovision.explain.turns import TURNS, ExplanationLimits

CAMS = [method.name for method in METHODS if method.kind == "class activation"]

# Two feature maps, and how much each of their cells adds to the logit of France.
FEATURES = np.array([[[1, 2], [0, 4]], [[3, 0], [1, 1]]], np.float32)
FRANCE = np.array([[[2, -1], [0, 1]], [[-1, 1], [1, 3]]], np.float32)
ITALY = -np.abs(FRANCE)


class TinyNetwork(nn.Module):
    """conv 1x1 (red and green become the two features) -> ReLU -> conv over the whole grid (one logit a country)."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 2, 1, bias=False)
        self.features = nn.ReLU()
        self.head = nn.Conv2d(2, 3, 2, bias=False)
        with torch.no_grad():
            self.stem.weight.copy_(torch.eye(2, 3)[..., None, None])
            self.head.weight.copy_(torch.from_numpy(np.stack([FRANCE, ITALY, FRANCE[::-1]])))
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self.batches = []

    def forward(self, batch_nchw):
        self.batches.append(len(batch_nchw))
        return self.head(self.features(self.stem(batch_nchw))).flatten(1)


def feature_photo():
    image_hwc = np.zeros((2, 2, 3), np.uint8)
    image_hwc[..., :2] = FEATURES.transpose(1, 2, 0)
    return photo_of(image_hwc)


BY_HAND = {
    # ReLU of each gradient times its feature: 2·1 + 0·3, 0·2 + 1·0; 0·0 + 1·1, 1·4 + 3·1
    "LayerCAM": np.array([[2, 0], [1, 7]]),
    # mean gradients 1/2 and 1: 1/2 + 3, 1 + 0; 0 + 1, 2 + 1
    "Grad-CAM": np.array([[3.5, 1], [1, 3]]),
    # features sum to 7 and 5; weights 2/(2+2·7) + 1/(2+1·7) = 17/72 and 1/(2+5) + 1/(2+5) + 3/(2+3·5) = 55/119
    "Grad-CAM++": 17 / 72 * FEATURES[0] + 55 / 119 * FEATURES[1],
    # masks FEATURES[0]/4 and FEATURES[1]/3 leave France the logits 5.75 and 5/3; the weights are their softmax
    "Score-CAM": (math.exp(5.75) * FEATURES[0] + math.exp(5 / 3) * FEATURES[1]),
}


@pytest.mark.parametrize("method", CAMS)
def test_map_worked_out_by_hand(method):
    explanation = explain_country(TinyModel(TinyNetwork()), feature_photo(), "FR", method)
    assert explanation.heatmap_hw == pytest.approx(BY_HAND[method] / BY_HAND[method].max(), abs=1e-6)
    assert explanation.heatmap_hw.dtype == np.float32
    assert explanation.heatmap_hw.max() == 1


def test_grad_cam_pp_follows_its_paper_term_by_term():
    gradient = FRANCE.astype(float)
    sums = FEATURES.sum(axis=(1, 2), keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        alpha = np.where(gradient == 0, 0, gradient**2 / (2 * gradient**2 + sums * gradient**3))
    weights = (alpha * np.maximum(gradient, 0)).sum(axis=(1, 2))
    expected = np.tensordot(weights, FEATURES, axes=1)
    heatmap_hw = explain_country(TinyModel(TinyNetwork()), feature_photo(), "FR", "Grad-CAM++").heatmap_hw
    assert heatmap_hw == pytest.approx(expected / expected.max(), abs=1e-6)


def test_the_explanation_says_what_it_is():
    explanation = explain_country(TinyModel(TinyNetwork()), feature_photo(), "NA")
    assert CAMS[0] == explanation.method == "Grad-CAM"
    assert (explanation.photo, explanation.model, explanation.country) == ("p.jpg", "tiny.test", "NA")
    assert (explanation.layer, explanation.box) == ("features", BOX)
    assert explanation.elapsed_ms > 0
    # the gradients have traded places, their means too: 1 + 3/2, 2 + 0; 0 + 1/2, 4 + 1/2
    assert explanation.heatmap_hw == pytest.approx(np.array([[2.5, 2], [0.5, 4.5]]) / 4.5)


@pytest.mark.parametrize("method", ["LayerCAM", "Grad-CAM", "Grad-CAM++"])
def test_a_country_that_nothing_speaks_for_has_an_empty_map(method):
    heatmap_hw = explain_country(TinyModel(TinyNetwork()), feature_photo(), "IT", method).heatmap_hw
    assert heatmap_hw.tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("method", CAMS)
def test_a_black_photo_has_an_empty_map(method):
    heatmap_hw = explain_country(
        TinyModel(TinyNetwork()), photo_of(np.zeros((2, 2, 3), np.uint8)), "FR", method
    ).heatmap_hw
    assert heatmap_hw.tolist() == [[0, 0], [0, 0]]


def test_an_even_map_is_full_and_not_empty():
    engine = TinyModel(TinyNetwork())
    engine.network.head.weight.fill_(1)
    heatmap_hw = explain_country(engine, photo_of(np.full((2, 2, 3), 7, np.uint8)), "FR").heatmap_hw
    assert heatmap_hw.tolist() == [[1, 1], [1, 1]]


def test_a_layer_without_relu_does_not_blow_grad_cam_pp_up():
    engine = TinyModel(TinyNetwork())
    engine.network.features = nn.Identity()
    engine.network.stem.weight[0, 0] = -0.5
    engine.network.head.weight.fill_(1)
    image_hwc = np.zeros((2, 2, 3), np.uint8)
    image_hwc[..., 0], image_hwc[0, 0, 1], image_hwc[1, 1, 1] = 1, 5, 3
    heatmap_hw = explain_country(engine, photo_of(image_hwc), "FR", "Grad-CAM++").heatmap_hw
    # The first feature, -1/2 everywhere, sums to -2: taken as it is, its denominator 2 + 1·(-2) were zero. Without its
    # negative part it weighs 4·1/2, the second 4·1/(2 + 8): 5·0.4 - 1, 0 - 1; 0 - 1, 3·0.4 - 1
    assert heatmap_hw == pytest.approx(np.array([[1, 0], [0, 0.2]]), abs=1e-6)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("method", CAMS)
def test_works_whatever_gradient_mode_the_caller_is_in(method, mode):
    engine = TinyModel(TinyNetwork())
    with mode():
        explanation = explain_country(engine, feature_photo(), "FR", method)
        assert not torch.is_grad_enabled()
    assert explanation.heatmap_hw == pytest.approx(BY_HAND[method] / BY_HAND[method].max(), abs=1e-6)


def test_score_cam_masks_a_bounded_number_of_copies_at_once():
    network = wide_network()
    explain_country(TinyModel(network), random_photo(), "FR", "Score-CAM")
    assert max(network.batches) == 8
    assert sum(network.batches) == 1 + 1 + 70  # the photo, the photo again as baseline, one copy a channel


def test_the_map_is_on_the_grid_of_the_layer():
    explanation = explain_country(TinyModel(wide_network()), random_photo(), "FR")
    assert explanation.heatmap_hw.shape == (5, 3)


def wide_network():
    """A network of random weights with 70 channels, whose layer has half the height and width of its input."""
    network = TinyNetwork()
    generator = torch.Generator().manual_seed(3)
    network.stem, network.head = nn.Conv2d(3, 70, 2, stride=2), nn.Conv2d(70, 3, (5, 3))
    for parameter in network.parameters():
        parameter.data.normal_(std=0.05, generator=generator)
    return network.eval().requires_grad_(False)


def random_photo():
    return photo_of(np.random.default_rng(5).integers(0, 255, (10, 6, 3), np.uint8))


@pytest.mark.parametrize("method", CAMS)
def test_the_network_is_left_as_it_was_found(method):
    engine = TinyModel(TinyNetwork())
    network = engine.network
    network.features.register_forward_hook(lambda *_: None)
    network.stem.weight.requires_grad_(True)
    network.stem.weight.grad = torch.full_like(network.stem.weight, 5)
    network.features.train()
    before, grad = state_of(network), network.stem.weight.grad.clone()
    explain_country(engine, feature_photo(), "FR", method)
    after = state_of(network)
    assert after[:2] == before[:2]
    assert [(p[0], p[2]) for p in after[2]] == [(p[0], p[2]) for p in before[2]]
    assert torch.equal(network.stem.weight.grad, grad)
    assert network.head.weight.grad is None
    assert not TURNS.taken


class BreakingNetwork(TinyNetwork):
    """Breaks behind the layer that is read, in the given forward pass."""

    def __init__(self, breaks_in_pass):
        super().__init__()
        self.passes_left = breaks_in_pass

    def forward(self, batch_nchw):
        self.passes_left -= 1
        logits = super().forward(batch_nchw)
        if not self.passes_left:
            raise RuntimeError("broken on purpose")
        return logits


class BackwardBreakingNetwork(TinyNetwork):
    """Breaks on the way back from the logits."""

    def forward(self, batch_nchw):
        logits = super().forward(batch_nchw)
        logits.register_hook(self.fail)
        return logits

    def fail(self, _):
        raise RuntimeError("broken on purpose")


@pytest.mark.parametrize(
    ("method", "network"),
    [(method, lambda: BreakingNetwork(1)) for method in CAMS]
    + [(method, BackwardBreakingNetwork) for method in ("LayerCAM", "Grad-CAM", "Grad-CAM++")]
    + [("Score-CAM", lambda: BreakingNetwork(2)), ("Score-CAM", lambda: BreakingNetwork(3))],
)
def test_a_failure_leaves_no_trace_and_does_not_poison_the_next(method, network):
    engine = TinyModel(network())
    before = state_of(engine.network)
    with pytest.raises(ModelFailure) as failure:
        explain_country(engine, feature_photo(), "FR", method)
    cause = failure.value.__cause__
    assert "broken on purpose" in f"{cause} {cause.__cause__}"
    assert state_of(engine.network) == before
    assert not TURNS.taken
    healthy = TinyModel(TinyNetwork())
    engine.network = healthy.network if isinstance(engine.network, BackwardBreakingNetwork) else engine.network
    again = explain_country(engine, feature_photo(), "FR", method).heatmap_hw
    assert np.array_equal(again, explain_country(healthy, feature_photo(), "FR", method).heatmap_hw)


class CopyingEngine(TinyModel):
    """Lends copies, as the engines do."""

    @contextmanager
    def private_network(self):
        yield copy.deepcopy(self.network)


class SlowNetwork(TinyNetwork):
    """Waits behind the layer that is read, so that an unguarded second thread would run into the first one's hooks."""

    def forward(self, batch_nchw):
        logits = super().forward(batch_nchw)
        time.sleep(0.01)
        return logits


def test_two_threads_make_the_same_maps_as_one():
    engine = CopyingEngine(SlowNetwork())
    other_photo = photo_of(feature_photo().image_hwc[::-1, ::-1].copy())
    jobs = [(photo, country, method) for method in CAMS for photo, country in _tasks(feature_photo(), other_photo)]
    alone = [explain_country(engine, *job).heatmap_hw for job in jobs]
    together = [None] * len(jobs)
    start = threading.Barrier(2)

    def work(first):
        start.wait()
        for i in range(first, len(jobs), 2):
            together[i] = explain_country(engine, *jobs[i]).heatmap_hw

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one, other)


def _tasks(photo, other_photo):
    return [(photo, "FR"), (other_photo, "NA"), (other_photo, "FR"), (photo, "NA")]


# The gradient of France against Italy is 4, 0; 0, 2 for the first feature and 0, 2; 2, 6 for the second; against
# Namibia it is 3, -2; -1, -2 and -3, 2; 1, 2.
CONTRASTS_BY_HAND = {
    ("LayerCAM", "IT"): np.array([[4, 0], [2, 14]]),  # the gradient times the features
    ("LayerCAM", "NA"): np.array([[3 - 9, -4], [1, -8 + 2]]),
    ("Grad-CAM", "IT"): np.array([[1.5 + 2.5 * 3, 3], [2.5, 6 + 2.5]]),  # mean gradients 3/2 and 5/2
    ("Grad-CAM", "NA"): np.array([[-0.5 + 0.5 * 3, -1], [0.5, -2 + 0.5]]),  # -1/2 and 1/2
    # Weights g/(2 + g·sum), sums 7 and 5: of the positive parts less those of the negative parts.
    ("Grad-CAM++", "NA"): (3 / 23 - 2 * 2 / 16 - 1 / 9) * FEATURES[0] + (2 * 2 / 12 + 1 / 7 - 3 / 17) * FEATURES[1],
}


@pytest.mark.parametrize(("method", "against"), CONTRASTS_BY_HAND)
def test_contrast_worked_out_by_hand(method, against):
    explanation = explain_country(TinyModel(TinyNetwork()), feature_photo(), "FR", method, against=against)
    expected = CONTRASTS_BY_HAND[method, against]
    assert explanation.heatmap_hw == pytest.approx(expected / np.abs(expected).max(), abs=1e-6)
    assert (explanation.country, explanation.against, explanation.signed) == ("FR", against, True)


def test_contrast_of_score_cam_worked_out_by_hand():
    # The masked photos FEATURES[0]²/4 and FEATURES[1]²/3 with the logits of France less those of Namibia.
    masked = np.zeros((2, 2, 2, 2))
    masks = FEATURES[0] / 4, FEATURES[1] / 3
    for one, mask in zip(masked, masks, strict=True):
        one[:] = FEATURES * mask
    rise = (masked * (FRANCE - FRANCE[::-1])).sum(axis=(1, 2, 3))
    weight = np.exp(rise) / np.exp(rise).sum() - np.exp(-rise) / np.exp(-rise).sum()
    expected = np.tensordot(weight, FEATURES, axes=1)
    explanation = explain_country(TinyModel(TinyNetwork()), feature_photo(), "FR", "Score-CAM", against="NA")
    assert explanation.heatmap_hw == pytest.approx(expected / np.abs(expected).max(), abs=1e-5)


@pytest.mark.parametrize("method", CAMS)
def test_swapping_the_countries_of_a_contrast_changes_its_sign(method):
    model = TinyModel(wide_network())
    there = explain_country(model, random_photo(), "FR", method, against="NA").heatmap_hw
    back = explain_country(model, random_photo(), "NA", method, against="FR").heatmap_hw
    assert there == pytest.approx(-back, abs=1e-5)
    assert np.abs(there).max() == 1


def test_an_unknown_method_is_refused_with_the_choice():
    with pytest.raises(ExplanationError, match=r"Guess-CAM: is no .*Grad-CAM, LayerCAM, Grad-CAM\+\+, Score-CAM"):
        explain_country(TinyModel(TinyNetwork()), feature_photo(), "FR", "Guess-CAM")


def test_a_country_without_a_label_is_refused_with_the_choice():
    with pytest.raises(ExplanationError, match=r"DE: .*tiny\.test.*FR, IT, NA"):
        explain_country(TinyModel(TinyNetwork()), feature_photo(), "DE")


def test_other_explanations_take_their_turn_between_the_steps_of_score_cam():
    """While Score-CAM is in its first step, another explanation asks; it is answered before Score-CAM ends."""
    engine, order, fractions = CopyingEngine(wide_network()), [], []
    quick = threading.Thread(target=lambda: (explain_country(engine, random_photo(), "NA"), order.append("quick")))

    def on_step(fraction):
        fractions.append(fraction)
        if len(fractions) == 1:  # the turn is free here
            quick.start()
            quick.join(60)

    explain_country(engine, random_photo(), "FR", "Score-CAM", on_step=on_step)
    order.append("Score-CAM")
    assert order == ["quick", "Score-CAM"]
    assert fractions == pytest.approx([min(1.0, 8 * step / 70) for step in range(1, 10)])


def test_what_a_step_raises_ends_score_cam_and_leaves_no_trace():
    class Gone(BaseException):
        """The session has ended."""

    engine, steps = TinyModel(wide_network()), []
    before = hooks_of(engine.network)

    def on_step(fraction):
        steps.append(fraction)
        if len(steps) == 2:
            raise Gone

    with pytest.raises(Gone):
        explain_country(engine, random_photo(), "FR", "Score-CAM", on_step=on_step)
    assert len(steps) == 2
    assert hooks_of(engine.network) == before
    assert not TURNS.taken


def test_a_turn_that_does_not_come_is_a_busy_answer():
    assert TURNS.acquire(1)
    try:
        with pytest.raises(ExplanationError, match=r"tiny\.test: waits for other explanations.*Try again"):
            explain_country(TinyModel(TinyNetwork()), feature_photo(), "FR", limits=ExplanationLimits(wait_s=0.01))
    finally:
        TURNS.release()
    assert explain_country(TinyModel(TinyNetwork()), feature_photo(), "FR").heatmap_hw.max() == 1


def test_score_cam_ends_at_its_deadline():
    engine, photo, limits = TinyModel(wide_network()), random_photo(), ExplanationLimits(total_s=0.2)
    with pytest.raises(ExplanationError, match=r"takes longer than 0\.2 s"):
        explain_country(engine, photo, "FR", "Score-CAM", on_step=lambda _: time.sleep(0.3), limits=limits)
    assert not TURNS.taken
