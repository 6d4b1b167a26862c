"""Engine of ResNetGPS with random weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from triovision.errors import ModelError
from triovision.explain import explain_country
from triovision.geo import candidate_cities
from triovision.geo.city_metadata import CITY_METADATA
from triovision.geo.city_queries import CityQueries
from triovision.inference.card import Position, sha256
from triovision.inference.model import GeoModel
from triovision.inference.registry import open_model
from triovision.inference.resnetgps import ResNetGpsEngine
from triovision.networks import LocatingClassifier, build_resnetgps
from triovision.results import Photo

LABELS = ("CN", "FR", "NA", "US")
N_FEATURES = len(CITY_METADATA)
POSITION = Position(
    backbone="test_resnet",
    city_features=CITY_METADATA,
    city_mean=(1.0, 0.5, 0.2, 0.4),
    city_scale=(0.8, 0.7, 0.4, 0.5),
    outputs="standardised_degrees",
    components=1,
    position_mean=(20.0, 10.0),
    position_scale=(15.0, 40.0),
    scale_km=500.0,
    asked_countries=2,
    cities_per_country=3,
)
MakePhotos = Callable[[int], list[Photo]]


@pytest.fixture
def write_gps(tmp_path: Path, write_tiny_model: Callable[..., Path]) -> Callable[..., Path]:
    def write(position: Position = POSITION, n_outputs: int = 2) -> Path:
        torch.manual_seed(0)
        network = LocatingClassifier(build_resnetgps("v1", N_FEATURES, "test_resnet", n_outputs=n_outputs), len(LABELS))
        save_file(network.state_dict(), tmp_path / "new")
        folder = write_tiny_model(
            tmp_path, "resnetgps_v1.noise", architecture="resnetgps_v1", labels=LABELS, position=position,
            weights_sha256=sha256(tmp_path / "new"),
        )  # fmt: skip
        shutil.move(tmp_path / "new", folder / "weights.safetensors")
        return folder

    return write


@pytest.fixture
def engine(write_gps: Callable[..., Path]) -> ResNetGpsEngine:
    opened = open_model(write_gps(), torch.device("cpu"))
    assert isinstance(opened, ResNetGpsEngine)
    return opened


def test_countries_are_those_of_the_classifier(engine: ResNetGpsEngine, make_photos: MakePhotos) -> None:
    photos = make_photos(3)
    expected = torch.from_numpy(engine.logits(photos)).softmax(1).numpy()
    for row, prediction in zip(expected, engine.predict(photos, top_k=4), strict=True):
        found = {guess.country: guess.probability for guess in prediction.countries}
        assert [found[label] for label in LABELS] == pytest.approx(row.tolist(), abs=0.02)
        assert prediction.posterior.by_country() == pytest.approx(found)


@pytest.mark.parametrize(("outputs", "n_outputs"), [("standardised_degrees", 2), ("von_mises_fisher_mixture", 10)])
def test_places_are_the_answers_for_the_cities_of_probable_countries(
    write_gps: Callable[..., Path], make_photos: MakePhotos, outputs: str, n_outputs: int
) -> None:
    position = POSITION.model_copy(update={"outputs": outputs, "components": max(1, n_outputs // 5)})
    engine = ResNetGpsEngine(write_gps(position, n_outputs), torch.device("cpu"))
    (photo,) = make_photos(1)
    (prediction,) = engine.predict([photo], top_k=4)
    cities = CityQueries(LABELS, 3)
    probable = [guess.country for guess in prediction.countries[:2]]
    asked = np.isin(cities.cities.countries, probable)
    city_nm = (cities.metadata[asked] - POSITION.city_mean) / POSITION.city_scale
    network = engine.network
    assert isinstance(network, LocatingClassifier)
    with torch.inference_mode():
        batch_nchw = engine.preprocess([photo]).expand(int(asked.sum()), -1, -1, -1)
        raw = network.regressor(batch_nchw, torch.from_numpy(city_nm).float()).numpy()
    if outputs == "standardised_degrees":
        expected = raw * [15.0, 40.0] + [20.0, 10.0]
    else:
        parts = raw.reshape(len(raw), 2, 5)
        x, y, z = parts[np.arange(len(raw)), parts[:, :, 4].argmax(1), :3].T
        expected = np.degrees(np.column_stack([np.arctan2(z, np.hypot(x, y)), np.arctan2(y, x)]))
    posterior = prediction.posterior
    found = np.column_stack([posterior.lat_deg, posterior.lon_deg])
    np.testing.assert_allclose(found[asked], expected, atol=1.0)  # the engine may run in bfloat16
    np.testing.assert_array_equal(found[~asked][:, 0], cities.cities.lat_deg[~asked])
    for name, country in zip(posterior.names, posterior.countries.tolist(), strict=True):
        assert name in candidate_cities([country], per_country=10**4).names


def test_a_photo_passes_through_the_backbone_once(engine: ResNetGpsEngine, make_photos: MakePhotos) -> None:
    network = engine.network
    assert isinstance(network, LocatingClassifier)
    seen: list[int] = []
    network.regressor.resnet.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    engine.predict(make_photos(3))
    assert seen == [3]


def test_no_photos_give_no_predictions(engine: ResNetGpsEngine) -> None:
    assert engine.predict([]) == []


def test_its_countries_can_be_explained(engine: ResNetGpsEngine, make_photos: MakePhotos) -> None:
    explanation = explain_country(engine, make_photos(1)[0], "FR")
    assert explanation.layer == "regressor.resnet.layer4"
    assert explanation.heatmap_hw.max() in (0, 1)


def test_a_model_with_other_metadata_of_cities_is_refused(write_gps: Callable[..., Path]) -> None:
    folder = write_gps(POSITION.model_copy(update={"city_features": ("elevation_m", *CITY_METADATA[1:])}))
    with pytest.raises(ModelError, match=f"without {CITY_METADATA[0]} and with elevation_m"):
        ResNetGpsEngine(folder, torch.device("cpu"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("city_mean", [0, 0, 0]), ("city_scale", [1, 1, 0, 1]), ("position_mean", ["NaN", 0]), ("scale_km", 0)],
)
def test_a_card_with_impossible_numbers_is_refused(write_gps: Callable[..., Path], name: str, value: object) -> None:
    folder = write_gps()
    card = json.loads((folder / "card.json").read_text())
    card["position"][name] = value
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="position"):
        open_model(folder, torch.device("cpu"))


def test_weights_of_another_version_are_refused(write_gps: Callable[..., Path]) -> None:
    folder = write_gps()
    text = (folder / "card.json").read_text()
    for version, words in (("resnetgps_v2", "does not fit resnetgps_v2"), ("resnetgps_v9", "v9")):
        (folder / "card.json").write_text(text.replace('"resnetgps_v1"', f'"{version}"'))
        with pytest.raises(ModelError, match=words):
            open_model(folder, torch.device("cpu"))


@pytest.mark.usefixtures("exact")
def test_a_temperature_is_a_power_of_the_probabilities(
    engine: ResNetGpsEngine, check_temperature: Callable[[GeoModel], None]
) -> None:
    check_temperature(engine)
