import json

import pytest

from triovision.bundle import MODELS
from triovision.errors import ModelError
from triovision.metrics.model_studies import MAX_EPOCHS, STUDIES, read_studies

WEIGHTS = "a" * 64
COMMON = {"name": "tiny", "measured_on": "photos", "command": "command"}
EPOCH = {"epoch": 1, "values": {"train/loss": 1.0}}
CURVES = COMMON | {"training_photos": 9, "splits": [{"name": "new", "photos": 4}], "best_epoch": 1, "epochs": [EPOCH]}
ROW = {"name": "a", "on": "new", "photos": 4, "metrics": {"top1": {"value": 0.5, "low": 0.1, "high": 0.9}}}
COMPARISON = COMMON | {"kind": "recipes", "folds": None, "interval": "photos", "metric": "top1", "rows": [ROW]}
TRIALS = [
    {"number": 0, "state": "complete", "value": 0.5, "parameters": {"rate": 0.1}},
    {"number": 1, "state": "pruned", "value": 0.2, "parameters": {"rate": 0.2}},
]
SEARCH = COMMON | {
    "metric": "new/top1",
    "direction": "maximize",
    "photos": 4,
    "count": 2,
    "pruned": 1,
    "first": 0.5,
    "best": 0.5,
    "worst": 0.5,
    "chosen": {"rate": 0.1},
    "trials": TRIALS,
    "importances": {},
}
FIELDS = {
    "version": 1,
    "model": "tiny.photos",
    "weights_sha256": WEIGHTS,
    "curves": [CURVES],
    "comparisons": [COMPARISON],
    "searches": [SEARCH],
}


@pytest.fixture
def read(tmp_path):
    def read_(content):
        (tmp_path / STUDIES).write_text(json.dumps(content))
        return read_studies(tmp_path, "tiny.photos", WEIGHTS)

    return read_


def test_a_folder_may_have_studies_or_none(read, tmp_path):
    assert read_studies(tmp_path, "tiny.photos", WEIGHTS) is None
    studies = read(FIELDS)
    assert studies.curves[0].epochs[0].values == {"train/loss": 1.0}
    assert studies.searches[0].trials[1].state == "pruned"
    assert read(FIELDS | {"searches": [SEARCH | {"trials": []}]}).searches[0].count == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": 2}, "version"),
        ({"weights_sha256": "b" * 64}, "other weights"),
        ({"curves": [CURVES | {"epochs": []}]}, "epochs"),
        ({"curves": [CURVES | {"epochs": [EPOCH] * (MAX_EPOCHS + 1)}]}, "epochs"),
        ({"curves": [CURVES | {"epochs": [EPOCH | {"values": {"train/loss": float("inf")}}]}]}, "finite"),
        ({"curves": [CURVES] * 11}, "curves"),
        ({"comparisons": [COMPARISON | {"metric": "median_km"}]}, "`median_km` is missing in a"),
        ({"comparisons": [COMPARISON | {"folds": 1}]}, "folds"),
        ({"comparisons": [COMPARISON | {"rows": [ROW] * 201}]}, "rows"),
        ({"searches": [SEARCH | {"count": 3}]}, "are not those of `trials`"),
        ({"searches": [SEARCH | {"pruned": 0}]}, "are not those of `trials`"),
        ({"searches": [SEARCH | {"best": 0.2}]}, "no finished trial has the value"),
        ({"searches": [SEARCH | {"chosen": {"rate": [1]}}]}, "chosen"),
        ({"searches": [SEARCH | {"name": "x" * 201}]}, "name"),
    ],
)
def test_what_is_not_valid_is_refused(read, change, reason):
    with pytest.raises(ModelError, match=reason):
        read(FIELDS | change)


@pytest.mark.parametrize("path", sorted(MODELS.glob(f"*/{STUDIES}")), ids=lambda path: path.parent.name)
def test_embedded_studies_belong_to_the_weights_and_invent_no_trial(path):
    card = json.loads((path.parent / "card.json").read_text())
    studies = read_studies(path.parent, card["id"], card["weights_sha256"])
    assert studies.comparisons
    assert all(one.command.startswith("triovision train ") for one in (*studies.comparisons, *studies.searches))
    assert not studies.curves
    assert not any(study.trials or study.importances for study in studies.searches)
