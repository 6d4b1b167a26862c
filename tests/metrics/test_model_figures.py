import json

import pytest

from triovision.bundle import MODELS
from triovision.errors import ModelError
from triovision.metrics.model_figures import FIGURES, read_figures
from triovision.metrics.model_files import MAX_BYTES

WEIGHTS = "a" * 64
FIELDS = {
    "version": 1,
    "model": "tiny.photos",
    "weights_sha256": WEIGHTS,
    "measured_on": "photos",
    "command": "command",
    "photos": 2,
    "sources": None,
    "top1": 0.5,
    "top1_low": None,
    "top1_high": None,
    "expected_calibration_error": 0.1,
    "reliability": [{"photos": 2, "probability": 0.6, "accuracy": 0.5}],
    "risk_coverage": [{"threshold": 0.6, "coverage": 1.0, "risk": 0.5}],
    "at_threshold": {"threshold": 1.0, "coverage": 0.0, "risk": None},
    "countries": [{"country": "FR", "photos": 2, "right": 1, "sources": None, "low": None, "high": None}],
    "continents": [{"truth": "EU", "answer": "EU", "photos": 2}],
}


@pytest.fixture
def read(tmp_path):
    def read_(content, weights=WEIGHTS):
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / FIGURES).write_text(text)
        return read_figures(tmp_path, "tiny.photos", weights)

    return read_


def test_a_folder_may_have_figures_or_none(read, tmp_path):
    assert read_figures(tmp_path, "tiny.photos", WEIGHTS) is None
    assert read(FIELDS).countries[0].recall == 0.5


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": 2}, "version"),
        ({"photos": 3}, "do not add up"),
        ({"top1": 1.5}, "top1"),
        ({"top1": float("nan")}, "top1"),
        ({"extra": 1}, "extra"),
        ({"countries": [FIELDS["countries"][0] | {"right": 3}]}, "exceeds"),
        ({"countries": [FIELDS["countries"][0] | {"country": "<b>"}]}, "country"),
        ({"continents": [{"truth": "XX", "answer": "EU", "photos": 2}]}, "truth"),
        ({"model": "other.photos"}, "other weights"),
        ({"weights_sha256": "b" * 64}, "other weights"),
        ({"measured_on": "x" * 1001}, "measured_on"),
    ],
)
def test_what_is_not_valid_is_refused(read, change, reason):
    with pytest.raises(ModelError, match=reason):
        read(FIELDS | change)


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 10_000, " " * (MAX_BYTES + 1)])
def test_damaged_and_huge_files_are_refused(read, content):
    with pytest.raises(ModelError, match=r"figures\.json"):
        read(content)


@pytest.mark.parametrize("path", sorted(MODELS.glob(f"*/{FIGURES}")), ids=lambda path: path.parent.name)
def test_embedded_figures_belong_to_the_weights_and_repeat_the_card(path):
    card = json.loads((path.parent / "card.json").read_text())
    figures = read_figures(path.parent, card["id"], card["weights_sha256"])
    (measured,) = [values for name, values in card["metrics"].items() if name.startswith("new_sources")]
    assert figures.photos == measured["photos"]
    assert figures.sources == measured["sources"]
    assert figures.top1 == pytest.approx(measured["country_top1"], abs=0.002)
    assert figures.expected_calibration_error == pytest.approx(measured["expected_calibration_error"], abs=0.005)
