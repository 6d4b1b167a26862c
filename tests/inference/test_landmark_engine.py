from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from triovision.cli import main
from triovision.errors import ModelError
from triovision.geo import distance_km
from triovision.inference import CountryEngine
from triovision.inference.landmark_additions import additions_file
from triovision.inference.landmark_engine import LandmarkEngine
from triovision.inference.landmarks import INDEX, Landmark, build_index, unit_rows
from triovision.inference.registry import file_faults
from triovision.results import Photo

WriteModel = Callable[..., Path]
MakePhotos = Callable[[int], list[Photo]]

TOWER = Landmark(name="Old Tower", country="FR", lat_deg=48.0, lon_deg=2.0)
GATE = Landmark(name="Big Gate", country="CN", lat_deg=40.0, lon_deg=116.0)
CPU = torch.device("cpu")


@pytest.fixture
def write_landmark_model(write_tiny_model: WriteModel, make_photos: MakePhotos) -> WriteModel:
    """Writes a model whose index holds the first photo of `make_photos` as the tower, and the second as the gate.

    The probability of every match has the logit `intercept`; `section` replaces entries of the card.
    """

    def write(
        models: Path, intercept: float = 0.0, landmarks: tuple[Landmark, ...] = (TOWER, GATE), **section: object
    ) -> Path:
        plain = CountryEngine(write_tiny_model(models / "plain"), CPU)
        network: Any = plain.network
        with torch.inference_mode():
            maps_nchw = network.forward_features(plain.preprocess(make_photos(2)))
            features_nc = network.forward_head(maps_nchw, pre_logits=True).numpy()
        projection = np.random.default_rng(0).normal(size=(features_nc.shape[1], 16)).astype(np.float32)
        content = build_index(projection, unit_rows(features_nc @ projection), landmarks).to_bytes()
        section = {"photos": 2, "landmarks": 2, "head_temperature": 1.0, "intercept": intercept} | section
        section |= {"coefficients": (0.0, 0.0, 0.0), "index_sha256": hashlib.sha256(content).hexdigest()}
        folder = write_tiny_model(models, "landmarks.tiny", engine="country_and_landmarks", landmarks=section)
        (folder / INDEX).write_bytes(content)
        return folder

    return write


@pytest.mark.usefixtures("exact")
def test_a_recognised_landmark_is_the_place_and_its_country_the_first(
    tmp_path: Path, write_landmark_model: WriteModel, make_photos: MakePhotos
) -> None:
    engine = LandmarkEngine(write_landmark_model(tmp_path, intercept=2.2), CPU)
    tower, gate = engine.predict(make_photos(2))
    for prediction, landmark in ((tower, TOWER), (gate, GATE)):
        assert prediction.landmark is not None
        assert prediction.landmark.name == prediction.place.name == landmark.name
        assert prediction.landmark.probability == pytest.approx(0.9, abs=0.01)
        assert prediction.countries[0].country == landmark.country
        assert not prediction.abstained
        assert prediction.radius_km == pytest.approx(1)
        assert prediction.to_dict()["landmark"]["name"] == landmark.name


@pytest.mark.usefixtures("exact")
def test_the_country_decides_between_landmarks_where_its_weight_is_large(
    tmp_path: Path, write_landmark_model: WriteModel, make_photos: MakePhotos
) -> None:
    engine = LandmarkEngine(write_landmark_model(tmp_path, intercept=2.2, country_weight=1e6), CPU)
    plain = CountryEngine(next((tmp_path / "plain").iterdir()), CPU)
    for prediction, country in zip(engine.predict(make_photos(2)), plain.predict(make_photos(2), top_k=9), strict=True):
        probability = {one.country: one.probability for one in country.countries}
        favoured = max((TOWER, GATE), key=lambda one: probability[one.country])
        assert prediction.landmark is not None
        assert prediction.landmark.name == favoured.name


@pytest.mark.usefixtures("exact")
def test_the_posterior_is_the_mixture_of_landmark_and_countries(
    tmp_path: Path, write_landmark_model: WriteModel, make_photos: MakePhotos
) -> None:
    folder = write_landmark_model(tmp_path, intercept=-1.0)
    engine = LandmarkEngine(folder, CPU)
    prediction = engine.predict(make_photos(1), top_k=9)[0]
    share = 1 / (1 + np.e)
    assert prediction.landmark is None  # below 0.8
    assert prediction.posterior.weight.sum() == pytest.approx(1)
    assert prediction.posterior.weight[-1] == pytest.approx(share)
    by_country = prediction.posterior.by_country()
    for guess in prediction.countries:
        assert by_country[guess.country] == pytest.approx(guess.probability)
    alone = CountryEngine(folder.parent / "plain" / "test_efficientnet.noise", CPU).predict(make_photos(1), top_k=9)[0]
    expected = {guess.country: guess.probability * (1 - share) for guess in alone.countries}
    expected["FR"] += share
    for guess in prediction.countries:
        assert guess.probability == pytest.approx(expected[guess.country], abs=1e-6)


@pytest.mark.usefixtures("exact")
def test_a_temperature_acts_on_the_mixture(
    tmp_path: Path, write_landmark_model: WriteModel, make_photos: MakePhotos
) -> None:
    engine = LandmarkEngine(write_landmark_model(tmp_path, intercept=-1.0), CPU)
    plain = engine.predict(make_photos(1), top_k=9)[0]
    calibration = engine.card.calibration.model_copy(update={"temperature": 0.5})
    engine.card = engine.card.model_copy(update={"calibration": calibration})
    sharp = engine.predict(make_photos(1), top_k=9)[0]
    squares = {guess.country: guess.probability**2 for guess in plain.countries}
    for guess in sharp.countries:
        assert guess.probability == pytest.approx(squares[guess.country] / sum(squares.values()))
        assert sharp.posterior.by_country()[guess.country] == pytest.approx(guess.probability)
    (before, after) = (
        one.posterior.weight[list(one.posterior.names).index(TOWER.name)] / one.posterior.by_country()["FR"]
        for one in (plain, sharp)
    )
    assert before == pytest.approx(after)


def test_a_changed_index_is_a_fault_with_its_name(tmp_path: Path, write_landmark_model: WriteModel) -> None:
    folder = write_landmark_model(tmp_path)
    card = LandmarkEngine(folder, CPU).card
    assert list(file_faults(folder, card)) == []
    (folder / INDEX).write_bytes(b"other")
    assert INDEX in str(next(file_faults(folder, card)))
    with pytest.raises(ModelError, match=INDEX):
        LandmarkEngine(folder, CPU)


def test_a_landmark_in_a_country_without_a_label_is_refused(tmp_path: Path, write_landmark_model: WriteModel) -> None:
    peru = Landmark(name="Machu Picchu", country="PE", lat_deg=-13.16, lon_deg=-72.54)
    folder = write_landmark_model(tmp_path, landmarks=(TOWER, peru))
    with pytest.raises(ModelError, match="without a label: PE"):
        LandmarkEngine(folder, CPU)


def save_photo(path: Path, photo: Photo, gps: tuple[float, float] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(photo.image_hwc)
    if gps is None:
        image.save(path, "PNG")
        return
    exif = Image.Exif()
    north, east = ((int(value), value % 1 * 60, 0) for value in gps)
    exif.get_ifd(0x8825).update({1: "N", 2: north, 3: "E", 4: east})
    image.save(path, "JPEG", quality=98, exif=exif)


@pytest.fixture
def own_places(tmp_path: Path, make_photos: MakePhotos, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a town hall from the table, a bridge by GPS, a place without a position and a broken photo."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder, photos = tmp_path / "own", make_photos(5)
    save_photo(folder / "Town Hall" / "a.png", photos[2])
    save_photo(folder / "My Bridge" / "b.jpg", photos[3], (45.5, 4.5))
    save_photo(folder / "Nowhere" / "c.png", photos[4])
    (folder / "Town Hall" / "broken.jpg").write_bytes(b"no photo")
    (folder / "places.csv").write_text("name,lat,lon\nTown Hall,47.5,2.5\n")
    return folder


@pytest.mark.usefixtures("exact")
def test_landmarks_of_a_person_are_added_listed_recognised_and_removed(
    tmp_path: Path,
    own_places: Path,
    write_landmark_model: WriteModel,
    make_photos: MakePhotos,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = write_landmark_model(tmp_path / "models", intercept=3.0)
    monkeypatch.setenv("TRIOVISION_MODELS", str(folder.parent))
    added = CliRunner().invoke(main, ["models", "index", "add", str(own_places), "--model", "landmarks.tiny"])
    assert added.exit_code == 0, added.output
    assert "Town Hall: 1 photos" in added.output
    assert "My Bridge: 1 photos" in added.output
    assert "Nowhere: no position" in added.output
    assert "broken.jpg" in added.output
    listed = CliRunner().invoke(main, ["models", "index", "list", "--model", "landmarks.tiny"])
    assert "Town Hall (FR) 47.50000, 2.50000" in listed.output
    prediction = LandmarkEngine(folder, CPU).predict([make_photos(5)[2]])[0]
    assert prediction.landmark is not None
    assert prediction.landmark.name == "Town Hall"
    assert distance_km(prediction.place.lat_deg, prediction.place.lon_deg, 47.5, 2.5) < 0.1
    # Added twice, nothing is there twice but the photos.
    CliRunner().invoke(main, ["models", "index", "add", str(own_places), "--model", "landmarks.tiny"])
    assert len(LandmarkEngine(folder, CPU).index.landmarks) == 4
    assert CliRunner().invoke(main, ["models", "index", "clear", "--model", "landmarks.tiny"]).exit_code == 0
    assert len(LandmarkEngine(folder, CPU).index.landmarks) == 2


def test_a_folder_without_a_usable_landmark_adds_none(
    tmp_path: Path, own_places: Path, write_landmark_model: WriteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_landmark_model(tmp_path / "models")
    monkeypatch.setenv("TRIOVISION_MODELS", str(folder.parent))
    (own_places / "places.csv").write_text("name,lat,lon\nTown Hall,0,-30\nNowhere,-13.2,-72.5\n")
    (own_places / "My Bridge" / "b.jpg").unlink()
    added = CliRunner().invoke(main, ["models", "index", "add", str(own_places), "--model", "landmarks.tiny"])
    assert added.exit_code == 1
    assert "on the high seas" in added.output
    assert "in Peru, which the model does not know" in added.output
    assert not additions_file("landmarks.tiny").exists()
    (own_places / "places.csv").write_text("name,lat\nTown Hall,0\n")
    added = CliRunner().invoke(main, ["models", "index", "add", str(own_places), "--model", "landmarks.tiny"])
    assert "cannot be read as a table of places" in added.output


def test_additions_for_another_index_are_refused(
    tmp_path: Path, write_landmark_model: WriteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = write_landmark_model(tmp_path / "models")
    projection = np.ones((LandmarkEngine(folder, CPU).index.projection.shape[0], 16), np.float32)
    path = additions_file("landmarks.tiny")
    path.parent.mkdir(parents=True)
    path.write_bytes(build_index(projection, np.eye(1, 16, dtype=np.float32), [TOWER]).to_bytes())
    with pytest.raises(ModelError, match="another version of the model"):
        LandmarkEngine(folder, CPU)
