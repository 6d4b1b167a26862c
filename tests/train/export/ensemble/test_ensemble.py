from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from triovision.cli import main
from triovision.geo import WeightedPlaces, distance_km
from triovision.inference import load_model, read_card
from triovision.inference.card import CARD
from triovision.train.evaluation.calibration import fit_half
from triovision.train.evaluation.predict import evaluate
from triovision.train.export import ensemble_members as answers_module
from triovision.train.export.ensemble import held_out_photos
from triovision.train.export.ensemble_members import density_at, member_predictions

from .conftest import KNOWN, A, B, Study

pytestmark = pytest.mark.usefixtures("exact")


def train_ensemble(study: Study, *arguments: str, model_id: str = "ensemble.noise") -> Result:
    command = ["train", "ensemble", *(arguments or (A, B)), "--manifest", str(study.folder / "manifest.csv")]
    command += ["--id", model_id, "--describe", str(study.folder / "words.toml"), "--models", str(study.models)]
    return CliRunner().invoke(main, [*command, "--device", "cpu"])


def edit(folder: Path, **fields: object) -> None:
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps(card | fields))


def test_the_card_says_what_was_fitted_on_what_and_the_model_answers(study: Study) -> None:
    result = train_ensemble(study)
    assert result.exit_code == 0, result.output
    card = read_card(study.models / "ensemble.noise")
    assert card.labels == ("CN", "FR", "IT", "US")
    assert [member.id for member in card.ensemble.members] == [A, B]
    assert f"{card.ensemble.members[0].country_weight:.1%}" in result.output
    # Only known places: the second model learnt from the new ones.
    photos = held_out_photos([read_card(study.models / name) for name in (A, B)], study.manifest)
    assert photos.columns == (KNOWN,)
    assert f"{len(photos.fit)} photos that no member was trained on, splits known_places" in card.calibration.fitted_on
    assert "are unknown" not in card.calibration.fitted_on
    assert card.provenance.manifest_sha256 == study.manifest.sha256
    assert card.calibration.radius_factor != 1
    assert list(card.metrics) == ["known_places"]
    part = photos.splits["known_places"]
    again = evaluate(load_model("ensemble.noise", "cpu"), part.where(~fit_half(part.table["place"]))).metrics
    for name, value in card.metrics["known_places"].items():
        if name in {"radius_holds", "radius_90_holds"}:  # of either half, with the factors of the other
            continue
        assert again[name] == (value if value is None else pytest.approx(value, rel=1e-3, abs=1e-3)), name
    assert not [path for path in study.models.iterdir() if path.name.startswith(".")]


def test_no_place_is_fitted_and_measured(study: Study) -> None:
    cards = [read_card(study.models / A)] * 2
    photos = held_out_photos(cards, study.manifest)
    table = study.manifest.table.iloc[photos.fit]
    assert set(photos.splits) == {"new_places", "known_places"}
    for name, part in photos.splits.items():
        assert (part.table[f"split_{name}"] == "val").all()
        measured = part.table[~fit_half(part.table["place"])]
        assert len(measured)
        assert set(measured["place"]).isdisjoint(table["place"])
    np.testing.assert_array_equal(photos.split == "new_places", table["split_new_places"] == "val")


def test_answers_are_kept_and_a_killed_fit_asks_only_for_the_rest(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, rows, ticks = load_model(A, "cpu"), np.arange(6), []
    monkeypatch.setattr(answers_module, "_BATCH_SIZE", 2)
    whole = member_predictions(model, study.manifest, rows, tmp_path / "one", lambda: None)
    asked: list[int] = []
    real = model.predict

    def killed(photos: list[object], top_k: int = 5) -> list[object]:
        asked.append(len(photos))
        if sum(asked) > 4:
            raise KeyboardInterrupt
        return real(photos, top_k)

    monkeypatch.setattr(model, "predict", killed)
    with pytest.raises(KeyboardInterrupt):
        member_predictions(model, study.manifest, rows, tmp_path / "two", lambda: None)
    asked.clear()
    rest = member_predictions(model, study.manifest, rows, tmp_path / "two", lambda: ticks.append(1))
    assert sum(asked) <= 3  # the unreadable photo is no question
    assert len(ticks) == len(rows)
    np.testing.assert_allclose(rest.probability, whole.probability, rtol=1e-4)
    np.testing.assert_allclose(rest.density, whole.density, rtol=1e-4)
    assert np.isnan(whole.probability[0]).all()  # FR00.png
    np.testing.assert_allclose(whole.probability[1:].sum(axis=1), 1)


def test_the_density_by_hand() -> None:
    posterior = WeightedPlaces(
        lat_deg=np.array([48.0, 44.0, 36.0]),
        lon_deg=np.array([2.0, 6.0, 140.0]),
        weight=np.array([0.3, 0.1, 0.6]),
        countries=np.array(["FR", "FR", "JP"]),
    )
    near, far = (float(distance_km(47, 3, lat, lon)) for lat, lon in [(48, 2), (44, 6)])
    expected = 0.75 * math.exp(-near / 200) + 0.25 * math.exp(-far / 200)
    assert density_at(posterior, "FR", 47, 3) == pytest.approx(expected)
    assert density_at(posterior, "JP", 36, 140) == 1
    assert math.isnan(density_at(posterior, "US", 36, 140))
    assert math.isnan(density_at(posterior, "FR", math.nan, math.nan))


def test_a_foreign_member_is_disclosed(study: Study) -> None:
    card = read_card(study.models / B)
    edit(study.models / B, provenance=card.provenance.model_dump(mode="json") | {"recipe": {}})
    result = train_ensemble(study)
    assert result.exit_code == 0, result.output
    made = read_card(study.models / "ensemble.noise")
    assert f"the training photos of {B} are unknown" in made.calibration.fitted_on
    assert set(made.metrics) == {"new_places", "known_places"}


@pytest.mark.parametrize(
    ("arguments", "model_id", "words"),
    [
        ((A,), "ensemble.noise", "two or more"),
        ((A, A), "ensemble.noise", "two or more"),
        ((A, "no.model"), "ensemble.noise", "no.model: is not installed"),
        ((A, B), "Ensemble", "is not a valid id"),
        ((A, B), A, "is another model"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    study: Study, arguments: tuple[str, ...], model_id: str, words: str
) -> None:
    before = (study.models / A / CARD).read_bytes()
    result = train_ensemble(study, *arguments, model_id=model_id)
    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert (study.models / A / CARD).read_bytes() == before


def test_an_ensemble_is_no_member_and_can_be_fitted_anew(study: Study) -> None:
    assert train_ensemble(study).exit_code == 0
    nested = train_ensemble(study, A, "ensemble.noise", model_id="ensemble.two")
    assert nested.exit_code == 2
    assert "ensemble.noise: is an ensemble itself" in nested.stderr
    assert train_ensemble(study).exit_code == 0


def test_photos_that_a_member_learnt_from_are_refused(study: Study) -> None:
    made = read_card(study.models / B).provenance.model_dump(mode="json")
    edit(study.models / B, provenance=made | {"recipe": {"data": {"validation_splits": []}}})
    result = train_ensemble(study)
    assert result.exit_code == 2
    assert f"has no split that all members held out ({A}: " in result.stderr
    edit(study.models / B, provenance=made | {"manifest_sha256": "other"})
    assert f"{B}: was trained on another manifest" in train_ensemble(study).stderr
    assert not (study.models / "ensemble.noise").exists()


def test_members_that_share_no_country_are_refused(study: Study) -> None:
    edit(study.models / B, labels=["US", "JP", "GB"])
    result = train_ensemble(study)
    assert result.exit_code == 2
    assert "has no country in common" in result.stderr
