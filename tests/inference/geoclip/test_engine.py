from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from triovision import extras
from triovision.errors import ModelError
from triovision.geo import candidate_cities, distance_km
from triovision.geo.reverse import country_at
from triovision.inference.geoclip import gallery, loading, release
from triovision.inference.geoclip.engine import GeoClipEngine
from triovision.inference.model import GeoModel
from triovision.results import Photo

CPU = torch.device("cpu")


@pytest.fixture
def folder(write_worldwide: Callable[[Path], Path], tmp_path: Path) -> Path:
    return write_worldwide(tmp_path / "models")


@pytest.fixture
def engine(folder: Path) -> GeoClipEngine:
    return GeoClipEngine(folder, CPU)


@pytest.fixture
def package_model(
    engine: GeoClipEngine,  # noqa: ARG001 - has imported the package without its warnings
    hub_files: Path,
    small_package: Path,
) -> Any:
    """The package's own model on the same weights and positions."""
    from geoclip import GeoCLIP  # noqa: PLC0415

    model = GeoCLIP(clip_path=str(hub_files)).eval()
    positions = np.loadtxt(small_package / release.GALLERY, delimiter=",", skiprows=1)
    model.gps_gallery = torch.tensor(positions, dtype=torch.float32)
    return model


def test_it_ranks_positions_as_the_package_does(
    engine: GeoClipEngine, package_model: Any, some_photos: list[tuple[Path, Photo]]
) -> None:
    weights = engine.position_probability([photo for _, photo in some_photos])
    rankings = set()
    for (path, _), weight in zip(some_photos, weights, strict=True):
        positions, probability = package_model.predict(str(path), 100)
        ours = np.argsort(-weight, kind="stable")[:100]
        assert np.array_equal(engine.gallery.lat_deg[ours].astype(np.float32), positions[:, 0].numpy())
        assert np.array_equal(engine.gallery.lon_deg[ours].astype(np.float32), positions[:, 1].numpy())
        assert weight[ours] == pytest.approx(probability.numpy(), rel=1e-4)
        rankings.add(tuple(ours))
    assert len(rankings) == 3, "the random network must tell photos apart, or this test says little"


def test_a_prediction_sums_positions_up(engine: GeoClipEngine, some_photos: list[tuple[Path, Photo]]) -> None:
    photo = some_photos[0][1]
    (weight,) = engine.position_probability([photo])
    (prediction,) = engine.predict([photo], top_k=len(engine.labels))
    by_country: dict[str, float] = dict.fromkeys(engine.labels, 0.0)
    at_sea = 0.0
    for lat_deg, lon_deg, share in zip(engine.gallery.lat_deg, engine.gallery.lon_deg, weight, strict=True):
        country = country_at(lat_deg, lon_deg)
        if country is None:
            at_sea += share
        else:
            by_country[country] += share
    given = {guess.country: guess.probability for guess in prediction.countries}
    assert sum(given.values()) == pytest.approx(1)
    assert sum(abs(given[country] - by_country[country]) for country in given) <= at_sea + 1e-9
    assert prediction.place.country == prediction.countries[0].country
    assert prediction.model == "geoclip.mp16"
    assert not prediction.abstained
    assert not prediction.calibrated
    assert prediction.country_set == (prediction.countries[0].country,)
    to_place_km = distance_km(
        prediction.place.lat_deg, prediction.place.lon_deg, engine.gallery.lat_deg, engine.gallery.lon_deg
    )
    assert weight[to_place_km <= prediction.radius_km + 1e-6].sum() >= 0.5
    assert weight[to_place_km < prediction.radius_km - 1].sum() < 0.5
    assert len(prediction.places) == 20
    assert len(engine.predict([photo], top_k=3)[0].countries) == 3
    with pytest.raises(ValueError, match="top_k"):
        engine.predict([photo], top_k=0)


def test_a_position_has_the_name_of_a_city_in_its_country(
    engine: GeoClipEngine, some_photos: list[tuple[Path, Photo]]
) -> None:
    (prediction,) = engine.predict([some_photos[0][1]])
    names = dict.fromkeys(zip(prediction.posterior.countries.tolist(), prediction.posterior.names, strict=True))
    for country in ("CA", "CH", "MX"):  # with large neighbours
        cities = candidate_cities([country], per_country=10**4).names
        assert {name for code, name in names if code == country} <= set(cities)


def test_no_photos_no_predictions(engine: GeoClipEngine) -> None:
    assert engine.predict([]) == []


def test_countries_are_summed_in_the_network_too(engine: GeoClipEngine, some_photos: list[tuple[Path, Photo]]) -> None:
    photo = some_photos[1][1]
    with torch.inference_mode():
        probability = engine.network(engine.preprocess([photo])).softmax(1)[0]
    (prediction,) = engine.predict([photo], top_k=len(engine.labels))
    for guess in prediction.countries:
        assert float(probability[engine.labels.index(guess.country)]) == pytest.approx(guess.probability, abs=1e-5)


def test_countries_are_alike_as_their_mean_embeddings_are(engine: GeoClipEngine) -> None:
    network: Any = engine.network
    countries = ["FR", "US", "JP"]
    means = torch.stack(
        [network.gallery[network.country_index == engine.labels.index(country)].mean(0) for country in countries]
    )
    expected = F.cosine_similarity(means[:, None], means[None], dim=2).numpy()
    similarity = engine.country_similarity(countries)
    assert similarity == pytest.approx(expected, abs=1e-5)
    assert np.diag(similarity) == pytest.approx(np.ones(3))


def test_positions_are_embedded_once(folder: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    first = GeoClipEngine(folder, CPU, lambda *progress: told.append(progress))
    n = len(first.gallery)
    assert told == [(n, n)]
    again = GeoClipEngine(folder, CPU, lambda *progress: told.append(progress))
    assert told == [(n, n)]
    assert torch.equal(first.network.gallery, again.network.gallery)  # type: ignore[arg-type]
    assert sorted(path.name.partition("-")[0] for path in (tmp_path / "cache" / "triovision").iterdir()) == [
        "countries",
        "positions",
    ]


@pytest.mark.parametrize("kind", ["positions", "countries"])
def test_a_cache_cut_halfway_is_noticed_and_made_anew(
    folder: Path, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    GeoClipEngine(folder, CPU)
    (path,) = (tmp_path / "cache" / "triovision").glob(f"{kind}-*.npy")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    GeoClipEngine(folder, CPU)
    assert path.read_bytes() == whole
    assert "computed again" in caplog.text


@pytest.mark.parametrize("damage", ["empty", "no array", "another shape", "another type", "a pickle"])
def test_what_is_not_the_array_is_made_anew(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    path, right = tmp_path / "array.npy", np.arange(6, dtype=np.float32).reshape(3, 2)
    if damage in {"empty", "no array"}:
        path.write_bytes(b"" if damage == "empty" else b"this is no array at all")
    elif damage == "another shape":
        np.save(path, right[:-1])
    elif damage == "another type":
        np.save(path, right.astype(np.float64))
    else:
        np.save(path, np.array([[print] * 2] * 3, dtype=object), allow_pickle=True)
    for _ in range(2):
        assert np.array_equal(gallery.load_or_compute(path, (3, 2), np.float32, right.copy), right)
    assert caplog.text.count("computed again") == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_cache_that_cannot_be_written_is_done_without(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    engine = GeoClipEngine(folder, CPU)
    assert "cannot be written" in caplog.text
    assert len(engine.network.gallery) == len(engine.gallery)  # type: ignore[arg-type]


def test_the_cache_goes_with_the_weights_and_the_positions(folder: Path, tmp_path: Path, tiny_card: Any) -> None:
    engine = GeoClipEngine(folder, CPU)
    args = tiny_card.architecture_args
    changed = args | {"package_files": args["package_files"] | {release.LOCATION_WEIGHTS: "0" * 64}}
    loading.position_embeddings(tiny_card.model_copy(update={"architecture_args": changed}), engine.gallery, print)
    assert len(list((tmp_path / "cache" / "triovision").glob("positions-*.npy"))) == 2


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "preprocessor_config.json"])
def test_a_changed_file_is_refused_and_named(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=rf"{name}.*SHA-256.*models install geoclip"):
        GeoClipEngine(folder, CPU)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"config\.json.*cannot be read"):
        GeoClipEngine(folder, CPU)


def test_another_package_is_refused(
    folder: Path, tmp_path: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    for name in (release.LOCATION_WEIGHTS, release.PROJECTION_WEIGHTS, release.GALLERY):
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).symlink_to((package / name).resolve())
    (other / release.SCALE).write_bytes(b"something that would be unpickled")
    monkeypatch.setattr(release, "package_folder", lambda: other)
    with pytest.raises(ModelError, match=r"logit_scale_weights\.pth.*SHA-256.*requirements-geoclip"):
        GeoClipEngine(folder, CPU)


def test_without_the_extra_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "transformers" else object())
    assert release.missing_packages() == ("transformers",)
    with pytest.raises(ModelError, match=r"transformers: is needed.*pip install -r requirements-geoclip\.txt"):
        release.package_folder()


def test_a_temperature_is_a_power_of_the_probabilities(
    engine: GeoClipEngine, check_temperature: Callable[[GeoModel], None]
) -> None:
    check_temperature(engine)
