"""`train benchmark models`, on synthetic photos and models."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from triovision.cli import main
from triovision.inference import load_model
from triovision.inference.card import CARD
from triovision.train.evaluation.benchmark import build_benchmark, run_benchmark
from triovision.train.evaluation.calibration import fit_half
from triovision.train.evaluation.predict import evaluate

from .conftest import KNOWN, NEW, A, B, Study
from .test_ensemble import train_ensemble

pytestmark = pytest.mark.usefixtures("exact")


def report(study: Study, *arguments: str) -> Result:
    command = ["train", "benchmark", "models", "--manifest", str(study.folder / "manifest.csv"), "--device", "cpu"]
    return CliRunner().invoke(main, [*command, "--timed", "3", *arguments])


def test_every_engine_is_measured_on_the_same_photos(study: Study) -> None:
    assert train_ensemble(study).exit_code == 0
    out = study.folder / "benchmark.json"
    result = report(study, "--markdown", "--out", str(out))
    assert result.exit_code == 0, result.output
    rows = {(row["split"], row["model"]): row for row in json.loads(out.read_text())}
    assert set(rows) == {(split, name) for split in ("new_places", "known_places") for name in (A, B, "ensemble.noise")}
    table = study.manifest.table
    for name, column in (("new_places", NEW), ("known_places", KNOWN)):
        part = study.manifest.where((table[column] == "val") & ~fit_half(table["place"]))
        for model_id in (A, B, "ensemble.noise"):
            found = rows[name, model_id]
            assert found["photos"] == len(part)
            assert found["photo_ms"] > 0
        expected = evaluate(load_model(A, "cpu"), part).metrics
        assert rows[name, A]["country_top1"] == pytest.approx(expected["country_top1"])
        assert rows[name, A]["geo_score"] == pytest.approx(expected["geo_score"])
    seen = {key: row["training_photos"] for key, row in rows.items()}
    new = len(build_benchmark(study.manifest, [NEW], 1).parts["new_places"])
    assert seen["new_places", A] == seen["known_places", B] == seen["known_places", "ensemble.noise"] == 0
    assert seen["new_places", B] == seen["new_places", "ensemble.noise"] == new > 0
    assert f"| {A} |" in result.stdout
    assert f"| {B}† |" in result.stdout


def test_models_are_timed_one_photo_at_a_time(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    model, sizes = load_model(A, "cpu"), []
    real = model.predict
    monkeypatch.setattr(model, "predict", lambda photos, top_k=5: (sizes.append(len(photos)), real(photos, top_k))[1])
    photos = build_benchmark(study.manifest, [NEW, KNOWN], 4)
    assert len(photos.timed) == 4
    found = run_benchmark(model, photos, lambda: None)
    assert sizes[:5] == [1] * 5  # one to warm up
    assert found[0].photo_ms == found[1].photo_ms


def test_a_model_that_cannot_be_used_is_named_and_the_others_are_measured(study: Study) -> None:
    (study.models / B / "weights.safetensors").write_bytes(b"x")
    result = report(study, "no.model", B, A)
    assert result.exit_code == 1
    assert "no.model: is not installed" in result.stderr
    assert "SHA-256" in result.stderr
    assert f"{A}  " in result.stdout
    assert B not in result.stdout
    nothing = report(study, B)
    assert (nothing.exit_code, nothing.stdout) == (1, "")


def test_unreadable_photos_are_named_once(study: Study) -> None:
    torn = study.manifest.where(~fit_half(study.manifest.table["place"])).paths[0]
    torn.write_bytes(b"no photo")
    result = report(study)
    assert result.exit_code == 1
    assert result.stderr.count("unreadable") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--split", "split_by_moon"), "split_by_moon"),
        (("--split", "place"), "have no held-out photo"),
        (("--out", "benchmark.txt"), "benchmark.txt"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_measured(
    study: Study, arguments: tuple[str, ...], words: str
) -> None:
    (study.models / A / CARD).unlink()
    result = report(study, A, *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
