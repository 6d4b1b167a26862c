from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from triovision.errors import ModelFailure
from triovision.inference import CountryEngine, GeoModel, country_classifier
from triovision.inference.calibration import probabilities
from triovision.results import Photo

MakePhotos = Callable[[int], list[Photo]]
WriteModel = Callable[..., Path]


def test_a_prediction_is_a_distribution_in_order(engine: CountryEngine, make_photos: MakePhotos) -> None:
    predictions = engine.predict(make_photos(3), top_k=4)
    assert [p.photo for p in predictions] == ["0.jpg", "1.jpg", "2.jpg"]
    for prediction in predictions:
        assert sum(guess.probability for guess in prediction.countries) == pytest.approx(1)
        assert {guess.country for guess in prediction.countries} == {"CN", "FR", "NA", "US"}
        assert prediction.place.country == prediction.countries[0].country
        assert sum(place.probability for place in prediction.places) <= 1 + 1e-6
        assert prediction.precision in {"float32", "bfloat16"}
        assert prediction.elapsed_ms > 0


def test_top_k_is_a_slice_of_the_same_answer(engine: CountryEngine, make_photos: MakePhotos) -> None:
    photos = make_photos(1)
    assert engine.predict(photos, top_k=2)[0].countries == engine.predict(photos, top_k=9)[0].countries[:2]
    with pytest.raises(ValueError, match="top_k"):
        engine.predict(photos, top_k=0)


def test_no_photos_give_no_predictions(engine: CountryEngine) -> None:
    assert engine.predict([]) == []


def test_probabilities_are_those_of_the_network_and_the_temperature(
    tmp_path: Path, write_tiny_model: WriteModel, make_photos: MakePhotos
) -> None:
    folder = write_tiny_model(tmp_path)
    warm = CountryEngine(folder, torch.device("cpu"))
    photos = make_photos(1)
    with torch.inference_mode():
        logits = warm.network(warm.preprocess(photos)).numpy()
    expected = sorted(probabilities(logits, 1.0)[0], reverse=True)
    found = [guess.probability for guess in warm.predict(photos, top_k=4)[0].countries]
    np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.mark.parametrize(("threshold", "abstains"), [(0.0, False), (1.0, True)])
def test_it_abstains_below_its_threshold(
    tmp_path: Path, write_tiny_model: WriteModel, make_photos: MakePhotos, threshold: float, abstains: bool
) -> None:
    calibration = CountryEngine(write_tiny_model(tmp_path / "a"), torch.device("cpu")).card.calibration
    changed = calibration.model_copy(update={"abstention_threshold": threshold, "conformal_threshold": threshold})
    unsure = CountryEngine(write_tiny_model(tmp_path / "b", calibration=changed), torch.device("cpu"))
    prediction = unsure.predict(make_photos(1), top_k=4)[0]
    assert prediction.abstained is abstains
    # The set is never empty: it holds at least the most probable country.
    assert prediction.country_set[0] == prediction.countries[0].country
    assert len(prediction.country_set) == (1 if threshold else 4)


def test_out_of_memory_halves_the_batch_and_goes_on(
    engine: CountryEngine, make_photos: MakePhotos, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = make_photos(7)
    expected = engine.logits(photos)
    sizes: list[int] = []
    real = country_classifier.forward

    def small_machine(network: nn.Module, batch_nchw: Tensor, precision: torch.dtype) -> Tensor:
        sizes.append(len(batch_nchw))
        if len(batch_nchw) > 2:
            raise torch.OutOfMemoryError("no memory left")
        return real(network, batch_nchw, precision)

    monkeypatch.setattr(country_classifier, "forward", small_machine)
    np.testing.assert_allclose(engine.logits(photos), expected, atol=0.05)
    assert max(sizes[-4:]) <= 2
    assert sum(size for size in sizes if size <= 2) == 7


def test_a_photo_that_does_not_fit_alone_is_an_error_and_the_next_request_works(
    engine: CountryEngine, make_photos: MakePhotos, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_machine(*_: object) -> Tensor:
        raise torch.OutOfMemoryError("no memory left")

    with monkeypatch.context() as patch:
        patch.setattr(country_classifier, "forward", no_machine)
        with pytest.raises(ModelFailure, match="needs more memory than this machine has free"):
            engine.predict(make_photos(2))
    assert len(engine.predict(make_photos(2))) == 2


@pytest.mark.parametrize(
    "fault",
    [
        RuntimeError("CUDA error: device-side assert triggered\nmore"),
        MemoryError(),
        KeyError("head"),
        ZeroDivisionError(),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_any_fault_of_the_network_is_worded(
    engine: CountryEngine, make_photos: MakePhotos, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def fail(*_: object) -> Tensor:
        raise fault

    monkeypatch.setattr(country_classifier, "forward", fail)
    with pytest.raises(
        ModelFailure, match=r"test_efficientnet\.noise: (failed|needs more memory).*Choose another model"
    ):
        engine.predict(make_photos(1))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_outputs_that_are_not_finite_are_an_error(
    engine: CountryEngine, make_photos: MakePhotos, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    monkeypatch.setattr(
        country_classifier, "forward", lambda _, batch_nchw, __: torch.full((len(batch_nchw), 4), value)
    )
    with pytest.raises(ModelFailure, match="gave numbers that are not finite"):
        engine.predict(make_photos(1))


def test_threads_share_one_engine(engine: CountryEngine, make_photos: MakePhotos) -> None:
    photos = make_photos(1)
    alone = engine.predict(photos)[0].countries
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: engine.predict(photos)[0].countries, range(8)))
    assert together == [alone] * 8


def test_hooks_on_the_private_network_reach_neither_the_shared_one_nor_its_memory(engine: CountryEngine) -> None:
    with engine.private_network() as network:
        network.get_submodule(engine.target_layer).register_forward_hook(lambda *_: None)
        theirs = dict(network.named_parameters())
    assert not engine.network.get_submodule(engine.target_layer)._forward_hooks
    for name, parameter in engine.network.named_parameters():
        assert theirs[name].data_ptr() == parameter.data_ptr()
        assert not parameter.requires_grad


def test_a_prediction_does_not_wait_for_an_explanation(engine: CountryEngine, make_photos: MakePhotos) -> None:
    with engine.private_network(), ThreadPoolExecutor(1) as pool:
        assert len(pool.submit(engine.predict, make_photos(1)).result(timeout=60)) == 1


def test_similarity_is_a_cosine(engine: CountryEngine) -> None:
    similarity = engine.country_similarity(["US", "FR", "CN"])
    assert similarity.shape == (3, 3)
    np.testing.assert_allclose(np.diag(similarity), 1, atol=1e-5)
    np.testing.assert_allclose(similarity, similarity.T, atol=1e-6)
    vectors = engine.network.get_submodule("classifier").weight.numpy()
    us, fr = vectors[3], vectors[1]
    assert similarity[0, 1] == pytest.approx(us @ fr / np.linalg.norm(us) / np.linalg.norm(fr), abs=1e-5)


def test_the_box_that_is_seen_is_the_centre_square(engine: CountryEngine, make_photos: MakePhotos) -> None:
    left, top, right, bottom = engine.seen_box(make_photos(1)[0])
    assert (top, bottom) == (0, 1)
    assert (right - left) * 90 == pytest.approx(70)


def test_a_photo_gets_the_same_prediction_after_each_load(
    tmp_path: Path, write_tiny_model: WriteModel, make_photos: MakePhotos
) -> None:
    folder, photos = write_tiny_model(tmp_path), make_photos(1)
    first, second = (CountryEngine(folder, torch.device("cpu")).predict(photos)[0] for _ in range(2))
    assert first.countries == second.countries
    assert (first.place, first.radius_km, first.precision) == (second.place, second.radius_km, second.precision)


@pytest.mark.usefixtures("exact")
def test_a_temperature_is_a_power_of_the_probabilities(
    tmp_path: Path, write_tiny_model: Callable[..., Path], check_temperature: Callable[[GeoModel], None]
) -> None:
    check_temperature(CountryEngine(write_tiny_model(tmp_path / "cold"), torch.device("cpu")))
