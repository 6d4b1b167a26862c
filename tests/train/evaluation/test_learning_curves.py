from __future__ import annotations

from pathlib import Path

import pytest

from triovision.errors import RecipeError
from triovision.metrics.country import Epoch, Scores
from triovision.train.evaluation.learning_curves import best_epoch, overfitting, read_curves
from triovision.viz.palette import LIGHT
from triovision.viz.run_figures import accuracy_curves, loss_curves


def log(folder: Path, version: int, text: str) -> None:
    path = folder / "logs" / f"version_{version}" / "metrics.csv"
    path.parent.mkdir(parents=True)
    path.write_text(text)


def scores(top1: float | None, photos: int) -> Scores:
    return Scores(photos=photos, without_label=0, top1=top1, top5=top1, macro_recall=top1, negative_log_likelihood=None)


def test_a_resumed_run_has_one_curve(tmp_path: Path) -> None:
    # Killed in its second epoch: version 1 repeats step 3 and goes on. Version 10 comes after version 1.
    log(
        tmp_path,
        0,
        "epoch,step,lr-AdamW,train/loss,val/loss\n,0,0.1,,\n0,0,,4,\n0,1,,2,\n0,1,,,2.5\n1,2,,9,\n1,3,,8,\n",
    )
    log(tmp_path, 1, "epoch,step,train/loss,val/loss,new/top1\n1,2,1,,\n1,3,2,,\n1,3,,1.5,0.25\n")
    log(tmp_path, 10, "epoch,step,train/loss,val/loss\n1,3,4,\n2,4,nan,inf\n2,5,1,\n")
    assert read_curves(tmp_path) == (
        Epoch(epoch=1, values={"train/loss": 3.0, "val/loss": 2.5}),
        Epoch(epoch=2, values={"train/loss": 2.5, "val/loss": 1.5, "new/top1": 0.25}),
        Epoch(epoch=3, values={"train/loss": 1.0, "val/loss": None}),
    )


def test_the_figures_show_training_beside_validation(tmp_path: Path) -> None:
    log(tmp_path, 0, "epoch,step,new/loss,new/top1,train/loss,train/top1,val/loss\n0,9,,,2,0.5,\n0,9,3,0.25,,,3\n")
    epochs = read_curves(tmp_path)
    assert [(line.name, line.y) for line in loss_curves(epochs, LIGHT).data] == [("train", (2,)), ("new", (3,))]
    assert [(line.name, line.y) for line in accuracy_curves(epochs, LIGHT).data] == [
        ("train", (0.5,)),
        ("new", (0.25,)),
    ]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "\0\xff"])
def test_a_log_that_is_no_log_is_named(tmp_path: Path, text: str) -> None:
    log(tmp_path, 0, text)
    with pytest.raises(RecipeError, match=r"metrics\.csv"):
        read_curves(tmp_path)


def test_a_run_without_a_log_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="has no logs"):
        read_curves(tmp_path)


@pytest.mark.parametrize(
    ("validation", "photos", "verdict"),
    [
        (0.5, 1000, "overfits"),
        (0.75, 10_000, "overfits slightly"),  # a real gap, but of 5 points only
        (0.75, 30, "does not overfit"),  # the same gap, which 30 photos cannot show
        (0.9, 1000, "does not overfit"),
    ],
)
def test_the_verdict_follows_the_gap_and_the_number_of_photos(validation: float, photos: int, verdict: str) -> None:
    found = overfitting(scores(0.8, 10_000), {"new": scores(validation, photos)}, ())
    (gap,) = found.gaps
    assert gap.verdict == verdict
    assert gap.gap == pytest.approx(0.8 - validation)
    assert gap.low < gap.gap < gap.high
    assert f"the run {verdict}: its accuracy is 80.0% on 10000 training photos" in found.verdict


def test_the_interval_is_that_of_agresti_and_caffo() -> None:
    (gap,) = overfitting(scores(0.9, 98), {"new": scores(0.5, 98)}, ()).gaps
    p, q = (0.9 * 98 + 1) / 100, (0.5 * 98 + 1) / 100
    half = 1.96 * ((p * (1 - p) + q * (1 - q)) / 100) ** 0.5
    assert (gap.low, gap.high) == pytest.approx((p - q - half, p - q + half))


def test_photos_without_a_label_allow_no_verdict() -> None:
    found = overfitting(scores(0.8, 10), {"new": scores(None, 0)}, ())
    assert found.gaps == ()
    assert "cannot be measured" in found.verdict


def test_the_verdict_names_the_epoch_with_the_smallest_loss() -> None:
    epochs = [Epoch(epoch=n, values={"val/loss": loss}) for n, loss in enumerate((3.0, 2.0, None, 2.25), start=1)]
    assert best_epoch(epochs) == 2
    verdict = overfitting(scores(0.8, 10), {"new": scores(0.8, 10)}, epochs).verdict
    assert "smallest, 2.000, after epoch 2 of 4, and 0.250 larger after the last epoch." in verdict
    assert (
        "after epoch 2 of 2, the last one."
        in overfitting(scores(0.8, 10), {"new": scores(0.8, 10)}, epochs[:2]).verdict
    )
