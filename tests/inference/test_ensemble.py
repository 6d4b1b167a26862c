from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from triovision.cli import main
from triovision.errors import ExplanationError, ModelError
from triovision.explain import explain_country, methods_for
from triovision.geo import WeightedPlaces
from triovision.guesses import CountryGuess
from triovision.inference import GeoModel, load_model, read_card
from triovision.inference.card import CARD, WEIGHTS, Ensemble, Member, ModelCard
from triovision.inference.ensemble import EnsembleEngine
from triovision.inference.prediction import build_prediction_fields
from triovision.inference.registry import file_faults
from triovision.results import Photo, Prediction
from triovision.train.evaluation.country_probabilities import read_classifier
from triovision.train.evaluation.embedding import model_network

pytestmark = pytest.mark.usefixtures("exact")

WriteModel = Callable[..., Path]
MakePhotos = Callable[[int], list[Photo]]

A, B, BOTH = "test_efficientnet.a", "test_efficientnet.b", "ensemble.ab"


def write_ensemble(
    models: Path, member_cards: Sequence[ModelCard], countries: Sequence[float], places: Sequence[float]
) -> Path:
    """The card of an ensemble of some models."""
    members = tuple(
        Member(id=card.id, weights_sha256=card.weights_sha256, country_weight=country, place_weight=place)
        for card, country, place in zip(member_cards, countries, places, strict=True)
    )
    card = member_cards[0].model_copy(
        update={
            "id": BOTH,
            "engine": "ensemble",
            "architecture": "ensemble",
            "labels": tuple(sorted({label for one in member_cards for label in one.labels})),
            "preprocessing": None,
            "weights_sha256": None,
            "ensemble": Ensemble(members=members),
        }
    )
    (models / BOTH).mkdir()
    (models / BOTH / CARD).write_text(card.model_dump_json(), encoding="utf-8")
    return models / BOTH


@pytest.fixture
def models(tmp_path: Path, write_tiny_model: WriteModel, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two models of different countries, and an ensemble of them."""
    folder = tmp_path / "models"
    monkeypatch.setenv("TRIOVISION_MODELS", str(folder))
    a = read_card(write_tiny_model(folder, A))
    b = read_card(write_tiny_model(folder, B, seed=1, labels=("CN", "FR", "IT")))
    write_ensemble(folder, [a, b], [0.4, 0.6], [0.3, 0.7])
    return folder


class Told:
    """A model that says of every photo what it was told to say."""

    def __init__(self, card: ModelCard, countries: dict[str, float], places: WeightedPlaces) -> None:
        self.card = card.model_copy(update={"labels": tuple(countries)})
        order = sorted(countries.items(), key=lambda pair: -pair[1])
        guesses = [CountryGuess(code, p) for code, p in order]
        self.answered = build_prediction_fields(guesses, places, card.calibration, len(guesses))

    def predict(self, photos: Sequence[Photo], top_k: int = 5) -> list[Prediction]:
        assert top_k == len(self.card.labels)
        about = {"model": self.card.id, "elapsed_ms": 20.0, "device": "cpu", "precision": "float32"}
        return [Prediction(photo=photo.name, **self.answered, **about) for photo in photos]

    def country_similarity(self, countries: Sequence[str]) -> NDArray[np.float32]:
        return np.full((len(countries),) * 2, 0.5, np.float32) + np.eye(len(countries), dtype=np.float32) / 2


def one_place(
    lat: float, lon: float, *rest: tuple[float, float], countries: tuple[str, ...], weight: tuple[float, ...]
):
    lats, lons = zip((lat, lon), *rest, strict=True)
    return WeightedPlaces(
        lat_deg=np.array(lats), lon_deg=np.array(lons), weight=np.array(weight), countries=np.array(countries)
    )


def test_countries_and_places_by_hand(models: Path, make_photos: MakePhotos) -> None:
    card = read_card(models / BOTH)
    first = one_place(49.0, 2.0, (35.0, 105.0), countries=("FR", "CN"), weight=(0.8, 0.2))
    second = one_place(44.0, 7.0, (30.0, 110.0), countries=("FR", "CN"), weight=(0.5, 0.5))
    members = [Told(card, {"FR": 0.8, "CN": 0.2}, first), Told(card, {"CN": 0.5, "FR": 0.5}, second)]
    weights = {"country_weight": 0.5, "weights_sha256": "0" * 64}
    ensemble = Ensemble(
        members=(Member(id="x.a", place_weight=0.25, **weights), Member(id="x.b", place_weight=0.75, **weights))
    )
    engine = EnsembleEngine(card.model_copy(update={"labels": ("CN", "FR"), "ensemble": ensemble}), members)
    (found,) = engine.predict(make_photos(1))
    assert found.model == BOTH
    assert [(guess.country, guess.probability) for guess in found.countries] == [
        ("FR", pytest.approx(2 / 3)),
        ("CN", pytest.approx(1 / 3)),
    ]
    assert found.posterior.by_country() == pytest.approx({"FR": 2 / 3, "CN": 1 / 3})
    np.testing.assert_allclose(found.posterior.weight, [2 / 3 / 4, 1 / 3 / 4, 2 / 3 * 3 / 4, 1 / 3 * 3 / 4])
    assert (found.place.country, found.place.lat_deg) == ("FR", 44)
    assert found.elapsed_ms > 40
    assert (found.device, found.precision) == ("cpu", "float32")
    np.testing.assert_allclose(engine.country_similarity(["FR", "CN"]), [[1, 0.5], [0.5, 1]])


@pytest.mark.parametrize("elsewhere", [0.0, 0.1])
def test_a_country_where_nobody_has_a_place_has_nothing(
    models: Path, make_photos: MakePhotos, elsewhere: float
) -> None:
    card = read_card(models / BOTH)
    alone = one_place(49.0, 2.0, countries=("FR",), weight=(1.0,))
    members = [Told(card, {"FR": 1 - elsewhere, "CN": elsewhere}, alone), Told(card, {"FR": 1.0, "CN": 0.0}, alone)]
    engine = EnsembleEngine(card.model_copy(update={"labels": ("CN", "FR")}), members)
    (found,) = engine.predict(make_photos(1))
    assert found.countries == (CountryGuess("FR", 1.0), CountryGuess("CN", 0.0))


@pytest.mark.usefixtures("models")
def test_it_answers_as_one_more_model(make_photos: MakePhotos) -> None:
    engine = load_model(BOTH, "cpu")
    assert isinstance(engine, EnsembleEngine)
    assert engine.labels == ("CN", "FR", "IT", "NA", "US")
    photos = make_photos(3)
    predictions = engine.predict(photos, top_k=9)
    assert [p.photo for p in predictions] == ["0.jpg", "1.jpg", "2.jpg"]
    for photo, prediction in zip(photos, predictions, strict=True):
        probability = {guess.country: guess.probability for guess in prediction.countries}
        assert sum(probability.values()) == pytest.approx(1)
        assert prediction.posterior.by_country() == pytest.approx(probability)
        assert prediction.place.country == prediction.countries[0].country
        (short,) = engine.predict([photo], top_k=2)
        assert [g.country for g in short.countries] == [g.country for g in prediction.countries[:2]]
    assert engine.predict([]) == []
    with pytest.raises(ValueError, match="top_k"):
        engine.predict(photos, top_k=0)


@pytest.mark.parametrize("weights", [(0.5, 0.5), (1.0, 0.0), (0.2, 0.8)])
def test_equal_members_are_the_member(
    tmp_path: Path,
    write_tiny_model: WriteModel,
    make_photos: MakePhotos,
    monkeypatch: pytest.MonkeyPatch,
    weights: tuple[float, float],
) -> None:
    monkeypatch.setenv("TRIOVISION_MODELS", str(tmp_path))
    cards = [read_card(write_tiny_model(tmp_path, name)) for name in (A, B)]
    write_ensemble(tmp_path, cards, weights, weights[::-1])
    photos = make_photos(2)
    engine = load_model(BOTH, "cpu")
    for member, both in zip(engine.members[0].predict(photos), engine.predict(photos), strict=True):
        assert [g.country for g in both.countries] == [g.country for g in member.countries]
        np.testing.assert_allclose(
            [g.probability for g in both.countries], [g.probability for g in member.countries], rtol=1e-6
        )
        assert both.place.name == member.place.name
        assert both.radius_km == pytest.approx(member.radius_km)
        assert both.country_set == member.country_set


def test_the_order_of_members_does_not_matter(models: Path, make_photos: MakePhotos) -> None:
    card = read_card(models / BOTH)
    members = [load_model(name, "cpu") for name in (A, B)]
    turned = card.model_copy(update={"ensemble": Ensemble(members=card.ensemble.members[::-1])})
    photos = make_photos(1)
    (one,) = EnsembleEngine(card, members).predict(photos)
    (other,) = EnsembleEngine(turned, members[::-1]).predict(photos)
    assert [g.country for g in one.countries] == [g.country for g in other.countries]
    assert one.place == other.place
    assert one.radius_90_km == pytest.approx(other.radius_90_km)


@pytest.mark.usefixtures("models")
def test_similarity_is_the_mean_of_those_who_know_both() -> None:
    engine = load_model(BOTH, "cpu")
    of_a, of_b = (member.country_similarity(["CN", "FR"]) for member in engine.members)
    similarity = engine.country_similarity(["CN", "FR", "IT", "US"])
    np.testing.assert_allclose(similarity[:2, :2], 0.4 * of_a + 0.6 * of_b, atol=1e-6)
    np.testing.assert_allclose(np.diag(similarity), 1, atol=1e-5)
    assert similarity[2, 3] == 0  # nobody knows both
    assert similarity[0, 3] == pytest.approx(engine.members[0].country_similarity(["CN", "US"])[0, 1])
    with pytest.raises(ValueError, match="DE"):
        engine.country_similarity(["FR", "DE"])


@pytest.mark.usefixtures("models")
def test_the_heavier_member_gives_the_reasons_and_is_named(make_photos: MakePhotos) -> None:
    engine = load_model(BOTH, "cpu")
    (photo,) = make_photos(1)
    assert methods_for(engine) == methods_for(engine.members[1])
    explained = explain_country(engine, photo, "IT")
    assert explained.model == B
    assert np.array_equal(explained.heatmap_hw, explain_country(engine.members[1], photo, "IT").heatmap_hw)
    with pytest.raises(ExplanationError, match=f"US: is no label of {B}"):
        explain_country(engine, photo, "US")


@pytest.mark.usefixtures("models")
def test_a_member_without_a_grid_leaves_the_reasons_to_the_next_unless_none_has_one(make_photos: MakePhotos) -> None:
    engine = load_model(BOTH, "cpu")
    (photo,) = make_photos(1)
    engine.members[1].target_layer = None
    assert explain_country(engine, photo, "US").model == A
    engine.members[0].target_layer = None
    explained = explain_country(engine, photo, "IT")
    assert (explained.model, explained.method) == (B, "Occlusion")


def edit_card(folder: Path, **fields: object) -> None:
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps(card | fields))


def make_nested(models: Path) -> None:
    ensemble = json.loads((models / BOTH / CARD).read_text())
    (models / B / CARD).write_text(json.dumps(ensemble | {"id": B}))


def name_itself(models: Path) -> None:
    ensemble = json.loads((models / BOTH / CARD).read_text())["ensemble"]
    ensemble["members"][1]["id"] = BOTH
    edit_card(models / BOTH, ensemble=ensemble)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda models: (models / B / CARD).unlink(), rf"card\.json.*{B}, which is not installed"),
        (lambda models: edit_card(models / B, weights_sha256="1" * 64), rf"card\.json.*fitted with {B}.*{B} holds 111"),
        (lambda models: (models / B / WEIGHTS).write_bytes(b"x"), r"weights\.safetensors.*SHA-256"),
        (make_nested, rf"{B}, which is an ensemble itself"),
        (name_itself, rf"{BOTH}, which is an ensemble itself"),
    ],
)
def test_a_member_that_is_not_what_it_was_is_named_at_load_and_when_verified(
    models: Path, damage: Callable[[Path], object], words: str
) -> None:
    assert list(file_faults(models / BOTH, read_card(models / BOTH))) == []
    damage(models)
    with pytest.raises(ModelError, match=words) as caught:
        load_model(BOTH, "cpu")
    assert caught.value.remedy
    assert [str(fault) for fault in file_faults(models / BOTH, read_card(models / BOTH))] == [str(caught.value)]


def test_members_of_other_labels_are_refused(models: Path) -> None:
    edit_card(models / BOTH, labels=["CN", "FR"])
    with pytest.raises(ModelError, match="other labels"):
        load_model(BOTH, "cpu")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"weights_sha256": "0" * 64}, "neither"),
        ({"ensemble": None}, "neither"),
        ({"ensemble": {"members": []}}, "members"),
    ],
)
def test_a_card_has_a_network_or_members(models: Path, fields: dict[str, object], words: str) -> None:
    edit_card(models / BOTH, **fields)
    with pytest.raises(ModelError, match=words):
        read_card(models / BOTH)


@pytest.mark.parametrize(("change", "words"), [({"id": A}, "twice"), ({"place_weight": 0.1}, "place_weight must sum")])
def test_members_that_make_no_sense_are_refused(models: Path, change: dict[str, object], words: str) -> None:
    ensemble = json.loads((models / BOTH / CARD).read_text())["ensemble"]
    ensemble["members"][1] |= change
    edit_card(models / BOTH, ensemble=ensemble)
    with pytest.raises(ModelError, match=words):
        read_card(models / BOTH)


def test_what_needs_a_network_says_that_an_ensemble_has_none(models: Path) -> None:
    assert read_classifier(A).preprocessing == read_card(models / A).network_input
    for use in (read_classifier, model_network):
        with pytest.raises(ModelError, match=f"{BOTH}: is an ensemble and has no network of its own"):
            use(BOTH)


def test_the_commands_know_it(models: Path) -> None:
    run = CliRunner().invoke
    assert BOTH in run(main, ["models"]).output
    assert json.loads(run(main, ["models", "show", BOTH]).output)["ensemble"]["members"][0]["id"] == A
    assert f"{BOTH}: whole" in run(main, ["models", "verify", BOTH]).output
    (models / A / WEIGHTS).write_bytes(b"x")
    verified = run(main, ["models", "verify", BOTH])
    assert verified.exit_code == 1
    assert f"{A}/weights.safetensors" in verified.output


@pytest.mark.usefixtures("models")
def test_a_temperature_is_a_power_of_the_probabilities(check_temperature: Callable[[GeoModel], None]) -> None:
    check_temperature(load_model(BOTH, "cpu"))
