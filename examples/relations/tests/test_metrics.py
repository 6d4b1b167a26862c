from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from examples.relations.annotations import Annotations, Pair
from examples.relations.geometry import RELATIONS, SPATIAL_SIZE
from examples.relations.metrics import (
    accuracy_interval,
    comparison_rows,
    mean_recall,
    measure,
    percent,
    recall_rows,
    spread,
)
from examples.relations.recipe import RECIPES
from examples.relations.training import PairData

ON, UNDER, NEAR = (RELATIONS.index(name) for name in ("on", "under", "near"))
ABOVE, BELOW = (0.0, 0.0, 10.0, 10.0), (0.0, 10.0, 10.0, 20.0)


class Says(nn.Module):
    """Answers with the relation whose index is the first number of the spatial vector."""

    def __init__(self) -> None:
        super().__init__()
        self.relations = nn.Parameter(torch.zeros(1))

    def forward(self, _: Tensor, spatial: Tensor) -> Tensor:
        return nn.functional.one_hot(spatial[:, 0].long(), len(RELATIONS)).float()


@pytest.fixture
def metrics(tmp_path: Path) -> dict[str, object]:
    """Five measured pairs: on, on, on, under, near, answered on, on, under, under, on."""
    labels, answers = [ON, ON, ON, UNDER, NEAR], [ON, ON, UNDER, UNDER, ON]
    # By geometry, each pair is "on" but the fourth, which is "under".
    boxes = [(ABOVE, BELOW)] * 3 + [(BELOW, ABOVE), (ABOVE, BELOW)]
    pairs = [Pair(Path(f"{i // 2}"), 9, 9, *boxes[i], RELATIONS[label], "test") for i, label in enumerate(labels)]
    spatial = np.zeros((5, SPATIAL_SIZE), np.float32)
    spatial[:, 0] = answers
    data = PairData(np.zeros((5, 2, 1), np.float16), spatial, np.array(labels), np.arange(5))
    training = PairData(data.features, spatial, np.array([ON, ON, ON, UNDER, UNDER]), np.arange(5))
    logs = tmp_path / "logs" / "version_0"
    logs.mkdir(parents=True)
    (logs / "metrics.csv").write_text("epoch,step,val/loss\n0,9,3\n1,19,1\n2,29,2\n")
    annotations = Annotations(tuple(pairs), (), {}, 0, "0" * 64)
    parts = {"train": training, "val": training, "test": data}
    measured = measure(annotations, parts, RECIPES.read("study"), Says(), tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text()) == measured
    return measured


@pytest.mark.parametrize("right", [True, False])
def test_a_few_answers_that_are_all_alike_are_no_certainty(right: bool) -> None:
    interval = accuracy_interval(np.full(4, right), np.array(["a", "b", "c", "c"]))
    assert interval is not None
    bound = 3 / (3 + 1.959964**2)  # Wilson's, of three pictures that are all right
    assert (interval.low, interval.high) == pytest.approx((bound, 1) if right else (0, 1 - bound), abs=1e-6)


def test_metrics_worked_out_by_hand(metrics: dict) -> None:
    assert (metrics["part"], metrics["pairs"], metrics["pictures"]) == ("test", 5, 3)
    assert metrics["accuracy"] == pytest.approx(3 / 5)
    low, high = metrics["accuracy_95"]
    assert 0 <= low < 3 / 5 < high <= 1
    assert metrics["macro_recall"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert metrics["majority_accuracy"] == pytest.approx(3 / 5)  # on
    assert metrics["rules_accuracy"] == pytest.approx(4 / 5)
    assert (metrics["epochs"], metrics["best_epoch"]) == (3, 2)
    confusion = np.array(metrics["confusion"])
    assert confusion.sum() == 5
    assert (confusion[ON, ON], confusion[ON, UNDER], confusion[UNDER, UNDER], confusion[NEAR, ON]) == (2, 1, 1, 1)
    assert metrics["relations"]["under"] == {
        "training_pairs": 2, "weight": pytest.approx(5 / (2 * 2)), "pairs": 1, "recall": 1.0,
    }  # fmt: skip
    assert metrics["relations"]["inside"]["recall"] is None
    assert recall_rows(metrics)[0] == ["on", 3, "0.83", 3, "66.7 %"]


def test_means_and_spreads_by_hand() -> None:
    relations = {"on": {"recall": 0.5}, "near": {"recall": 1.0}, "inside": {"recall": None}}
    assert mean_recall(relations, ["on", "near", "inside"]) == 0.75
    assert mean_recall(relations, ["inside"]) is None
    assert spread([0.5, 0.7]) == "60.0 ± 14.1 %"
    assert spread([0.5]) == "50.0 %"
    assert (spread([None]), percent(None), percent(0.123)) == ("–", "–", "12.3 %")  # noqa: RUF001 - a dash


def test_a_recipe_has_one_row_over_its_seeds(metrics: dict) -> None:
    runs = [metrics, metrics | {"accuracy": 0.8, "seed": 1, "epochs": 5}]
    description = f"{RECIPES.read('study').description} (resnet50)"
    assert comparison_rows([RECIPES.read("study")], runs) == [
        ["study", 2, "70.0 ± 14.1 %", "55.6 ± 0.0 %", "55.6 ± 0.0 %", "4", description]
    ]
