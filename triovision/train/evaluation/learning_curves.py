"""What a run logged epoch by epoch, and whether it overfits."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from triovision.errors import RecipeError
from triovision.metrics.country import Epoch, Gap, Overfitting, Scores

Verdict = Literal["does not overfit", "overfits slightly", "overfits"]

#: Training accuracy may be this far above validation accuracy before a run is said to overfit outright.
TOLERATED_GAP = 0.1
_RULE = (
    "The finished network answers a random sample of its training photos and every validation photo, both without "
    "augmentation. The gap is the difference of the two top-1 accuracies, with its 95% interval (Agresti and Caffo, "
    "2000; photos taken as independent). When the whole interval is above "
    f"{TOLERATED_GAP:.0%}, the run overfits; when it is above 0, it overfits slightly; otherwise these photos show "
    "no overfitting."
)


def read_curves(folder: Path) -> tuple[Epoch, ...]:
    """Read the CSV logs of a run, one record an epoch.

    A resumed run has one log for each start. Where they speak of the same step, the later one holds. Figures that
    are logged several times an epoch, such as the training loss, are averaged over it.

    Raises:
        RecipeError: If there is no log, or one that is no table with `epoch` and `step`.
    """
    paths = sorted(folder.glob("logs/**/metrics.csv"), key=_version)
    remedy = "Give the --out folder of a run that has finished an epoch"
    tables = []
    for path in paths:
        try:
            table = pd.read_csv(path).apply(pd.to_numeric, errors="coerce")
        except (OSError, ValueError) as exc:
            raise RecipeError(str(path), f"cannot be read as CSV ({exc})", remedy) from exc
        if missing := {"epoch", "step"} - set(table.columns):
            raise RecipeError(str(path), f"lacks the column(s) {', '.join(sorted(missing))}", remedy)
        tables.append(table)
    if not tables:
        raise RecipeError(str(folder), "holds no logs/**/metrics.csv", remedy)
    # Long form: a version logs each figure in rows of its own, and versions may differ in their columns.
    long = pd.concat(tables).melt(["epoch", "step"], var_name="name").dropna()
    long = long[~long["name"].str.startswith("lr-")].drop_duplicates(["epoch", "step", "name"], keep="last")
    means = long.groupby(["epoch", "name"])["value"].mean()
    epochs: dict[int, dict[str, float | None]] = {}
    for (epoch, name), value in means.items():
        epochs.setdefault(int(epoch) + 1, {})[str(name)] = float(value) if math.isfinite(value) else None
    return tuple(Epoch(epoch=number, values=values) for number, values in sorted(epochs.items()))


def overfitting(training: Scores, validation: Mapping[str, Scores], epochs: Sequence[Epoch]) -> Overfitting:
    """Judge a run by the gap between its training and validation accuracy.

    Args:
        training: Scores on a sample of the training photos, without augmentation.
        validation: Scores by the name of the validation split.
        epochs: The curves.
    """
    gaps = tuple(_gap(name, training, scores) for name, scores in validation.items() if scores.photos)
    lines = [_gap_words(gap, training, validation[gap.split]) for gap in gaps if training.photos]
    if not lines:
        lines = ["No training or no validation photo has a label, so nothing can be said of overfitting."]
    return Overfitting(
        training=training,
        gaps=gaps if training.photos else (),
        verdict=" ".join([*lines, *_loss_words(epochs)]),
        rule=_RULE,
    )


def best_epoch(epochs: Sequence[Epoch]) -> int | None:
    """Epoch with the lowest validation loss, or None when none was logged."""
    losses = _losses(epochs)
    return min(losses, key=losses.__getitem__) if losses else None


def _gap(name: str, training: Scores, validation: Scores) -> Gap:
    top1_training, top1 = training.top1 or 0.0, validation.top1 or 0.0
    shares, variance = [], 0.0
    for share, photos in ((top1_training, training.photos), (top1, validation.photos)):
        # One right and one wrong answer are added to each sample, so that 0 % and 100 % have an interval too.
        adjusted = (share * photos + 1) / (photos + 2)
        shares.append(adjusted)
        variance += adjusted * (1 - adjusted) / (photos + 2)
    middle, half = shares[0] - shares[1], 1.96 * math.sqrt(variance)
    low, high = middle - half, middle + half
    verdict: Verdict = "does not overfit"
    if low > TOLERATED_GAP:
        verdict = "overfits"
    elif low > 0:
        verdict = "overfits slightly"
    return Gap(split=name, gap=top1_training - top1, low=low, high=high, verdict=verdict)


def _gap_words(gap: Gap, training: Scores, validation: Scores) -> str:
    return (
        f"Measured on {gap.split}, the run {gap.verdict}: it is right on {training.top1:.1%} of {training.photos} "
        f"training photos and on {validation.top1:.1%} of {validation.photos} validation photos, a gap of "
        f"{100 * gap.gap:.1f} points (95% interval {100 * gap.low:.1f} to {100 * gap.high:.1f})."
    )


def _loss_words(epochs: Sequence[Epoch]) -> list[str]:
    losses, best = _losses(epochs), best_epoch(epochs)
    if best is None:
        return []
    last = max(losses)
    lowest = f"The validation loss was lowest, {losses[best]:.3f}, after epoch {best} of {last}"
    if best == last:
        return [f"{lowest}: it had not risen when the run ended."]
    return [f"{lowest}, and {losses[last] - losses[best]:.3f} higher after the last."]


def _losses(epochs: Sequence[Epoch]) -> dict[int, float]:
    found = {epoch.epoch: epoch.values.get("val/loss") for epoch in epochs}
    return {epoch: loss for epoch, loss in found.items() if loss is not None}


def _version(path: Path) -> tuple[int, str]:
    number = re.search(r"version_(\d+)", path.parent.name)
    return (int(number[1]) if number else -1, path.parent.name)
