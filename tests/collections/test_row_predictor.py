"""Rows of a small random model on photos of noise."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image

from triovision.collections.answer_rows import entry_from_row
from triovision.collections.row_predictor import ROW_SCHEMA, RowPredictor, answers_sha256
from triovision.collections.tables import table_row
from triovision.inference import load_model
from triovision.inference.card import Calibration
from triovision.inference.stored_calibration import write_calibration
from triovision.photo import read_photo


@pytest.fixture
def predictor(tmp_path: Path, write_tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> RowPredictor:
    write_tiny_model(tmp_path / "models")
    monkeypatch.setenv("TRIOVISION_MODELS", str(tmp_path / "models"))
    return RowPredictor("test_efficientnet.noise", "cpu", batch_size=3, thumbnails=True)


@pytest.fixture
def batch(photo_folder: Path) -> dict[str, list[object]]:
    paths = sorted(photo_folder.iterdir())
    return {"path": [path.name for path in paths], "bytes": [path.read_bytes() for path in paths]}


def test_each_row_has_its_answer_or_the_reason_of_its_refusal(
    predictor: RowPredictor, batch: dict[str, list[object]]
) -> None:
    table = pa.table(predictor(batch), schema=ROW_SCHEMA)
    assert table["path"].to_pylist() == batch["path"]
    assert table["content"].to_pylist() == [hashlib.sha256(data).hexdigest() for data in batch["bytes"]]
    assert table["status"].to_pylist() == ["answered"] * 6 + ["refused"]
    *answered, refused = table.to_pylist()
    assert "not a supported image format" in refused["reason"]
    assert refused["prediction"] is None
    for path, data, row in zip(batch["path"], batch["bytes"], answered, strict=False):
        (prediction,) = predictor.model.predict([read_photo(data, path)])
        expected = prediction.to_dict()
        stored = json.loads(row["prediction"])
        assert stored["countries"] == expected["countries"]
        assert stored["place"] == expected["place"]
        assert (row["country"], row["lat_deg"]) == (expected["countries"][0]["country"], expected["place"]["lat_deg"])
        assert Image.open(io.BytesIO(row["thumbnail"])).size == (100, 80)


def test_an_entry_made_from_a_row_has_the_same_row(predictor: RowPredictor, batch: dict[str, list[object]]) -> None:
    row = pa.table(predictor(batch), schema=ROW_SCHEMA).to_pylist()[0]
    entry = entry_from_row(row, "trip/0.jpg")
    again = table_row(entry)
    assert again.pop("name") == "trip/0.jpg"
    assert again.items() <= row.items()
    assert entry.prediction.posterior.weight.sum() == pytest.approx(1)


def test_the_class_travels_to_another_process_by_its_name(predictor: RowPredictor) -> None:
    assert pickle.loads(pickle.dumps(RowPredictor)) is type(predictor)  # noqa: S301 - our own class


def test_a_new_calibration_makes_new_answers_and_new_metrics_do_not(predictor: RowPredictor, tmp_path: Path) -> None:
    def reloaded() -> str:
        return answers_sha256(load_model("test_efficientnet.noise", "cpu"))

    assert reloaded() == predictor.model_sha256
    card = tmp_path / "models" / "test_efficientnet.noise" / "card.json"
    card.write_text(card.read_text().replace('"metrics":{}', '"metrics":{"val":{"accuracy":0.5}}'))
    assert reloaded() == predictor.model_sha256
    calibration = Calibration(
        temperature=2, conformal_threshold=0.1, conformal_coverage=0.9, abstention_threshold=0, fitted_on="photos"
    )
    write_calibration(tmp_path / "models", predictor.model.card, calibration)
    assert reloaded() != predictor.model_sha256
