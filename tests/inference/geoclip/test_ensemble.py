"""Worldwide engine as a member of an ensemble, and in a benchmark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from triovision.explain import explain_country
from triovision.inference import load_model, read_card
from triovision.inference.card import CARD, Ensemble, Member, ModelCard
from triovision.results import Photo
from triovision.train.data.manifest import Manifest
from triovision.train.evaluation.benchmark import Benchmark, benchmark_tables, run_benchmark

pytestmark = pytest.mark.usefixtures("exact")

OTHER, BOTH = "test_efficientnet.noise", "ensemble.both"


@pytest.fixture
def ensemble(
    tmp_path: Path,
    write_worldwide: Callable[[Path], Path],
    write_tiny_model: Callable[..., Path],
    tiny_card: ModelCard,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    models = tmp_path / "models"
    monkeypatch.setenv("TRIOVISION_MODELS", str(models))
    write_worldwide(models)
    other = read_card(write_tiny_model(models, OTHER))
    members = tuple(
        Member(id=card.id, weights_sha256=card.weights_sha256, country_weight=weight, place_weight=1 - weight)
        for card, weight in ((tiny_card, 0.7), (other, 0.3))
    )
    card = other.model_copy(
        update={
            "id": BOTH,
            "engine": "ensemble",
            "architecture": "ensemble",
            "labels": tuple(sorted({*tiny_card.labels, *other.labels})),
            "preprocessing": None,
            "weights_sha256": None,
            "ensemble": Ensemble(members=members),
        }
    )
    (models / BOTH).mkdir()
    (models / BOTH / CARD).write_text(card.model_dump_json(), encoding="utf-8")
    return BOTH


def test_it_answers_with_a_classifier(ensemble: str, some_photos: list[tuple[Path, Photo]]) -> None:
    engine = load_model(ensemble, "cpu")
    photo = some_photos[0][1]
    (found,) = engine.predict([photo], len(engine.card.labels))
    worldwide, classifier = (member.predict([photo], len(member.card.labels))[0] for member in engine.members)
    probability = {guess.country: guess.probability for guess in found.countries}
    by_country = found.posterior.by_country()
    assert by_country == pytest.approx({country: p for country, p in probability.items() if country in by_country})
    assert sum(p for country, p in probability.items() if country not in by_country) == 0
    # The classifier abstains from what it does not know, so the worldwide engine's order of those stays.
    unknown = [g.country for g in worldwide.countries if g.country not in engine.members[1].card.labels]
    assert [g.country for g in found.countries if g.country in unknown] == unknown
    assert len(found.posterior.weight) <= len(worldwide.posterior.weight) + len(classifier.posterior.weight)
    assert explain_country(engine, photo, unknown[0]).model == engine.members[0].card.id


def test_the_report_takes_it_and_the_ensemble(ensemble: str, some_photos: list[tuple[Path, Photo]]) -> None:
    paths, photos = zip(*some_photos, strict=True)
    about = {"country": "CN", "lat": 40.0, "lon": [116.0, np.nan, 116.0], "place": "Beijing"}
    table = pd.DataFrame({"file": [path.name for path in paths], **about})
    manifest = Manifest(table, paths[0].parent, "m")
    measured = Benchmark(manifest, {"new_places": manifest}, photos)
    found = [
        one for name in ("geoclip.mp16", ensemble) for one in run_benchmark(load_model(name, "cpu"), measured, int)
    ]
    assert [one.training_photos for one in found] == [None, None]
    assert all(one.evaluation.metrics["photos"] == 3 and one.photo_ms > 0 for one in found)
    assert "Possibly trained on some of these photos: geoclip.mp16, ensemble.both" in benchmark_tables(
        found, 3, markdown=True
    )
