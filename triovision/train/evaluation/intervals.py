"""Bootstrap intervals over whole groups of photos, means over groups, and paired differences.

Photos of one source are alike, so their number overstates what they tell: a value is resampled by whole sources (a
cluster bootstrap; "Bootstrap Methods and their Application", Davison and Hinkley, 1997, section 3.8).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from triovision.train.data.splits import whole_groups

Floats = NDArray[np.float64]
Groups = NDArray[np.generic]

_PERCENTILES: Final = (2.5, 97.5)
_NO_DUPLICATES: Final = np.empty((0, 2), dtype=np.intp)


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval, in the unit of its value."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Difference of two values on the same photos.

    Attributes:
        difference: Mean of the first minus mean of the second.
        interval: 95 % interval of the difference; None with fewer than two groups.
        differs: Whether 0 lies outside the interval; without an interval, nothing differs.
    """

    difference: float
    interval: Interval | None
    differs: bool


def macro_mean(values: Floats | NDArray[np.bool_], groups: Groups) -> float:
    """Mean over the groups of the mean of each group: every group counts the same.

    Args:
        values: One value per photo, such as whether the answer is right, shape `(n,)`, n at least 1.
        groups: Group of each photo, shape `(n,)`.
    """
    total, photos = _sums(values, groups)
    return float((total / photos).mean())


def group_interval(
    values: Floats | NDArray[np.bool_], groups: Groups, *, resamples: int = 1000, seed: int = 0
) -> Interval | None:
    """95 % interval of a mean by resampling whole groups with replacement.

    Group g has the sum s_g and the number n_g of its values. Resample b draws the multiplicities
    w_b ~ Multinomial(G, (1/G, ..., 1/G)) of the G groups, and its mean is

        m_b = sum_g w_bg s_g / sum_g w_bg n_g.

    The interval is from the 2.5th to the 97.5th percentile of m_b. With fewer than ten groups it is too narrow.

    Args:
        values: One value per photo, shape `(n,)`.
        groups: Group of each photo, shape `(n,)`.
        resamples: Number of resamples.
        seed: Seed of the resamples; the same seed and groups give the same resamples.

    Returns:
        The interval; None with fewer than two groups.
    """
    total, photos = _sums(values, groups)
    n_groups = len(photos)
    if n_groups < 2:
        return None
    weight = np.random.default_rng(seed).multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=resamples)
    low, high = np.percentile((weight @ total) / (weight @ photos), _PERCENTILES)
    return Interval(float(low), float(high))


def paired_difference(
    first: Floats | NDArray[np.bool_],
    second: Floats | NDArray[np.bool_],
    groups: Groups,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Difference:
    """Compare two models on the same photos by the mean of d_i = first_i - second_i and its `group_interval`.

    Args:
        first: Values of the first model, shape `(n,)`, n at least 1.
        second: Values of the second model for the same photos in the same order.
        groups: Group of each photo, shape `(n,)`.
        resamples: Number of resamples.
        seed: Seed of the resamples.
    """
    each = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    interval = group_interval(each, groups, resamples=resamples, seed=seed)
    differs = interval is not None and not interval.low <= 0 <= interval.high
    return Difference(float(each.mean()), interval, differs)


def sources_of(table: pd.DataFrame) -> NDArray[np.intp] | None:
    """Source of each photo as a number, shape `(n,)`; None without a column `source`.

    A photo without a source is a source of its own.
    """
    return whole_groups(table, "source", _NO_DUPLICATES) if "source" in table else None


def groups_of(table: pd.DataFrame) -> NDArray[np.intp]:
    """Group of each photo for resampling, shape `(n,)`: its source, else its place, else the photo itself."""
    sources = sources_of(table)
    if sources is None:
        return whole_groups(table, "place" if "place" in table else "random", _NO_DUPLICATES)
    return sources


def source_metrics(values: Mapping[str, NDArray[np.bool_]], sources: Groups | None) -> dict[str, float | None]:
    """Number of sources and, for each name, `<name>_by_source` (the mean over sources), `<name>_low` and `<name>_high`.

    Args:
        values: Whether each photo is right, shape `(n,)`, by the name of the metric.
        sources: Source of each photo, shape `(n,)`; None if unknown, where there are no such metrics.

    Returns:
        Metrics; None where there are too few photos or sources.
    """
    if sources is None:
        return {}
    metrics: dict[str, float | None] = {"sources": float(len(np.unique(sources)))}
    for name, right in values.items():
        interval = group_interval(right, sources)
        metrics[f"{name}_by_source"] = macro_mean(right, sources) if len(sources) else None
        metrics[f"{name}_low"] = None if interval is None else interval.low
        metrics[f"{name}_high"] = None if interval is None else interval.high
    return metrics


def _sums(values: Floats | NDArray[np.bool_], groups: Groups) -> tuple[Floats, Floats]:
    """Sum and number of the values of each group, shape `(n_groups,)`."""
    _, group, photos = np.unique(groups, return_inverse=True, return_counts=True)
    total = np.bincount(group, np.asarray(values, np.float64), len(photos))
    return np.asarray(total, np.float64), photos.astype(np.float64)
