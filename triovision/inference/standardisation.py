"""Numbers of different units brought to one scale, by statistics of the training photos alone."""

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
        """Values of shape `(n, m)`, centred and scaled."""
        return np.asarray((values - self.mean) / self.scale)

    def undo(self, values: Floats) -> Floats:
        """The inverse of `apply`."""
        return np.asarray(values * self.scale + self.mean)

    def facts(self) -> dict[str, list[float]]:
        """As JSON has it."""
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist()}


def fit_standardisation(values: Floats) -> Standardisation:
    """Statistics of the columns of `(n, m)` values."""
    deviation = values.std(axis=0)
    # Equal numbers may have a deviation of a rounding error, which nothing should be divided by.
    varies = np.ptp(values, axis=0) > 0
    return Standardisation(values.mean(axis=0), np.where(varies, deviation, 1.0))


def read_standardisation(facts: Mapping[str, Sequence[float]]) -> Standardisation:
    """From what `facts` gave."""
    return Standardisation(np.array(facts["mean"], np.float64), np.array(facts["scale"], np.float64))
