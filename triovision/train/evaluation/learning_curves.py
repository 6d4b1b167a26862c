"""Learning curves of a run, and a test for overfitting."""

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

#: Largest difference of training and validation accuracy that does not count as overfitting.
TOLERATED_GAP = 0.1
_RULE = (
    "The trained network is evaluated on a random sample of its training photos and on all validation photos, both "
    "without augmentation. The gap is the difference of the two top-1 accuracies with its 95% interval (Agresti and "
    "Caffo, 2000; photos taken as independent). If the whole interval is above "
    f"{TOLERATED_GAP:.0%}, the run overfits; if it is above 0, it overfits slightly; otherwise no overfitting is "
    "measurable."
)


def read_curves(folder: Path) -> tuple[Epoch, ...]:
    """Read the CSV logs of a run, one record per epoch.

    A resumed run has one log per start; for the same step the later one is used. Metrics logged several times per
    epoch, such as the training loss, are averaged.

    Raises:
        RecipeError: If there is no log, or one is not a table with `epoch` and `step`.
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
        raise RecipeError(str(folder), "has no logs/**/metrics.csv", remedy)
    # Long format, because each metric is logged in rows of its own and the logs may differ in their columns.
    long = pd.concat(tables).melt(["epoch", "step"], var_name="name").dropna()
    long = long[~long["name"].str.startswith("lr-")].drop_duplicates(["epoch", "step", "name"], keep="last")
    means = long.groupby(["epoch", "name"])["value"].mean()
    epochs: dict[int, dict[str, float | None]] = {}
    for (epoch, name), value in means.items():
        epochs.setdefault(int(epoch) + 1, {})[str(name)] = float(value) if math.isfinite(value) else None
    return tuple(Epoch(epoch=number, values=values) for number, values in sorted(epochs.items()))


def overfitting(training: Scores, validation: Mapping[str, Scores], epochs: Sequence[Epoch]) -> Overfitting:
    """Test a run for overfitting by the gap between its training and validation accuracy.

    Args:
        training: Scores on a sample of the training photos, without augmentation.
        validation: Scores by validation split.
        epochs: Learning curves.
    """
    gaps = tuple(_gap(name, training, scores) for name, scores in validation.items() if scores.photos)
    lines = [_gap_text(gap, training, validation[gap.split]) for gap in gaps if training.photos]
    if not lines:
        lines = ["Overfitting cannot be measured: no training photo or no validation photo has a label."]
    return Overfitting(
        training=training,
        gaps=gaps if training.photos else (),
        verdict=" ".join([*lines, *_loss_text(epochs)]),
        rule=_RULE,
    )


def best_epoch(epochs: Sequence[Epoch]) -> int | None:
    """Epoch with the smallest validation loss; None if none was logged."""
    losses = _losses(epochs)
    return min(losses, key=losses.__getitem__) if losses else None


def _gap(name: str, training: Scores, validation: Scores) -> Gap:
    top1_training, top1 = training.top1 or 0.0, validation.top1 or 0.0
    rates, variance = [], 0.0
    for rate, photos in ((top1_training, training.photos), (top1, validation.photos)):
        # Agresti and Caffo add one correct and one wrong prediction, so that 0 % and 100 % have an interval too.
        adjusted = (rate * photos + 1) / (photos + 2)
        rates.append(adjusted)
        variance += adjusted * (1 - adjusted) / (photos + 2)
    centre, half = rates[0] - rates[1], 1.96 * math.sqrt(variance)
    low, high = centre - half, centre + half
    verdict: Verdict = "does not overfit"
    if low > TOLERATED_GAP:
        verdict = "overfits"
    elif low > 0:
        verdict = "overfits slightly"
    return Gap(split=name, gap=top1_training - top1, low=low, high=high, verdict=verdict)


def _gap_text(gap: Gap, training: Scores, validation: Scores) -> str:
    return (
        f"On {gap.split} the run {gap.verdict}: its accuracy is {training.top1:.1%} on {training.photos} training "
        f"photos and {validation.top1:.1%} on {validation.photos} validation photos, a gap of "
        f"{100 * gap.gap:.1f} points (95% interval {100 * gap.low:.1f} to {100 * gap.high:.1f})."
    )


def _loss_text(epochs: Sequence[Epoch]) -> list[str]:
    losses, best = _losses(epochs), best_epoch(epochs)
    if best is None:
        return []
    last = max(losses)
    lowest = f"The validation loss was smallest, {losses[best]:.3f}, after epoch {best} of {last}"
    if best == last:
        return [f"{lowest}, the last one."]
    return [f"{lowest}, and {losses[last] - losses[best]:.3f} larger after the last epoch."]


def _losses(epochs: Sequence[Epoch]) -> dict[int, float]:
    losses = {epoch.epoch: epoch.values.get("val/loss") for epoch in epochs}
    return {epoch: loss for epoch, loss in losses.items() if loss is not None}


def _version(path: Path) -> tuple[int, str]:
    number = re.search(r"version_(\d+)", path.parent.name)
    return (int(number[1]) if number else -1, path.parent.name)
