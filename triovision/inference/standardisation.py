"""Standardisation of columns by the mean and standard deviation of the training photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Standardisation:
    """Mean and scale of columns.

    Attributes:
        mean: Shape `(m,)`.
        scale: Shape `(m,)`: the standard deviation, or 1 where a column holds one value only.
    """

    mean: Floats
    scale: Floats

    def apply(self, values: Floats) -> Floats:
        """Centre and scale values of shape `(n, m)`."""
        return np.asarray((values - self.mean) / self.scale)

    def undo(self, values: Floats) -> Floats:
        """Invert `apply`."""
        return np.asarray(values * self.scale + self.mean)

    def to_dict(self) -> dict[str, list[float]]:
        """Return the statistics as JSON-serialisable lists."""
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist()}


def fit_standardisation(values: Floats) -> Standardisation:
    """Fit mean and scale to the columns of `(n, m)` values."""
    deviation = values.std(axis=0)
    # A column of equal numbers may have the deviation of a rounding error: do not divide by it.
    varies = np.ptp(values, axis=0) > 0
    return Standardisation(values.mean(axis=0), np.where(varies, deviation, 1.0))


def read_standardisation(statistics: Mapping[str, Sequence[float]]) -> Standardisation:
    """Restore a standardisation from the output of `to_dict`."""
    return Standardisation(np.array(statistics["mean"], np.float64), np.array(statistics["scale"], np.float64))
