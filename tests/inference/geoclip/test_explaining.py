from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from triovision.errors import ExplanationError
from triovision.explain import (
    ExplanationSettings,
    estimate_ms,
    explain_country,
    measure_faithfulness,
    methods_for,
    network_activations,
)
from triovision.explain.attention import attention_map, rollout
from triovision.explain.scores import Target
from triovision.inference.geoclip.engine import GeoClipEngine
from triovision.results import Photo


@pytest.fixture
def engine(write_worldwide: Callable[[Path], Path], tmp_path: Path) -> GeoClipEngine:
    return GeoClipEngine(write_worldwide(tmp_path / "models"), torch.device("cpu"))


def test_the_worldwide_engine_can_be_explained_and_predicts_as_before(
    engine: GeoClipEngine, some_photos: list[tuple[Path, Photo]]
) -> None:
    photo = some_photos[0][1]
    before = engine.position_probability([photo])
    maps = {country: explain_country(engine, photo, country) for country in ("FR", "JP", "US")}
    for country, explanation in maps.items():
        assert explanation.country == country
        assert explanation.method == "Gradient-weighted attention"
        assert explanation.layer == "vision.vision_model.encoder.layers"
        assert engine.network.get_submodule(explanation.layer)
        assert explanation.heatmap_hw.shape == (4, 4)  # 56 pixels in patches of 14
        assert explanation.heatmap_hw.max() == 1
        assert explanation.heatmap_hw.min() >= 0
        assert explanation.box == engine.seen_box(photo)
    assert np.abs(maps["FR"].heatmap_hw - maps["JP"].heatmap_hw).max() > 0.05
    assert np.array_equal(engine.position_probability([photo]), before)
    assert np.array_equal(explain_country(engine, photo, "FR").heatmap_hw, maps["FR"].heatmap_hw)


def test_explaining_leaves_the_network_as_it_was(engine: GeoClipEngine, some_photos: list[tuple[Path, Photo]]) -> None:
    attends = engine.network.vision.config._attn_implementation  # type: ignore[union-attr]
    memory = engine.network.gallery.data_ptr()  # type: ignore[operator]
    explain_country(engine, some_photos[1][1], "US")
    assert engine.network.vision.config._attn_implementation == attends != "eager"  # type: ignore[union-attr]
    assert not any(parameter.requires_grad for parameter in engine.network.parameters())
    with engine.private_network() as network:
        assert network.gallery.data_ptr() == memory, "the copy must not take the gallery's 200 MB again"  # type: ignore[operator]


def test_every_method_explains_the_worldwide_engine(
    engine: GeoClipEngine, some_photos: list[tuple[Path, Photo]]
) -> None:
    photo, settings = some_photos[0][1], ExplanationSettings(window=0.5, stride=0.5, segments=4, samples=8, steps=4)
    assert len(methods_for(engine)) == 6
    for method in methods_for(engine):
        explanation = explain_country(engine, photo, "FR", method, against="JP", settings=settings)
        assert np.abs(explanation.heatmap_hw).max() == 1, method
        assert explanation.signed
        assert (estimate_ms(engine, method, settings) or 0) > 0
    assert explanation.heatmap_hw.shape == (56, 56)
    faithfulness = measure_faithfulness(engine, photo, explanation)
    assert faithfulness.deletion[0] == pytest.approx(faithfulness.insertion[-1], abs=1e-6)
    stages = network_activations(engine, photo)
    assert [stage.layer for stage in stages][:2] == [f"{engine.attention_layers}.{i}" for i in range(2)]
    assert {stage.maps_khw.shape[1:] for stage in stages} == {(4, 4)}


def test_what_cannot_be_explained_is_refused(engine: GeoClipEngine, some_photos: list[tuple[Path, Photo]]) -> None:
    photo = some_photos[0][1]
    assert methods_for(engine)[:2] == ("Gradient-weighted attention", "Occlusion")
    with pytest.raises(ExplanationError, match=r"LayerCAM: is no method for geoclip\.mp16"):
        explain_country(engine, photo, "FR", "LayerCAM")
    with pytest.raises(ExplanationError, match="XX: is no label"):
        explain_country(engine, photo, "XX")


def test_rollout_of_two_layers_by_hand() -> None:
    first = torch.tensor([[0.0, 1, 0], [0, 0, 3], [0, 0, 0]])
    second = torch.tensor([[0.0, 0, 1], [0, 0, 0], [1, 0, 0]])
    # Each with the identity added and rows divided by their sums.
    first_rows = torch.tensor([[0.5, 0.5, 0], [0, 0.25, 0.75], [0, 0, 1]])
    second_rows = torch.tensor([[0.5, 0, 0.5], [0, 1, 0], [0.5, 0, 0.5]])
    flowed = rollout([first, second])
    assert torch.allclose(flowed, second_rows @ first_rows)
    assert torch.allclose(flowed.sum(1), torch.ones(3))


def test_rows_of_a_rollout_sum_to_one_whatever_the_attention() -> None:
    layers = list(torch.rand(5, 17, 17, generator=torch.Generator().manual_seed(0)) * 1e-3)
    assert torch.allclose(rollout(layers).sum(1), torch.ones(17))


class FourPatches(nn.Module):
    """One layer, one head, a class and four patches; country 0 likes the first patch, country 1 the last."""

    def attend(self, batch_nchw: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        attention = torch.full((1, 1, 5, 5), 0.2) + 0 * batch_nchw.sum()
        values = torch.tensor([[0.0, 0], [2, 0], [0, 0], [0, 0], [0, 1]])
        return (attention[0, 0] @ values)[:1], (attention,)


def test_a_map_shows_what_speaks_for_the_label_and_against_the_other() -> None:
    batch_nchw = torch.zeros(1, 3, 2, 2)
    for label, patch in ((0, (0, 0)), (1, (1, 1))):
        heatmap_hw = attention_map(FourPatches(), batch_nchw, Target(label))
        assert heatmap_hw[patch] > 0
        assert np.count_nonzero(heatmap_hw) == 1


def test_a_contrast_is_the_map_of_a_difference_less_that_of_its_opposite() -> None:
    batch_nchw = torch.zeros(1, 3, 2, 2)
    # Of two labels, the log-odds of one are the difference of the logits.
    first, second = (attention_map(FourPatches(), batch_nchw, Target(label)) for label in (0, 1))
    contrast = attention_map(FourPatches(), batch_nchw, Target(0, 1))
    assert np.allclose(contrast, first - second)
    assert np.array_equal(attention_map(FourPatches(), batch_nchw, Target(1, 0)), -contrast)
