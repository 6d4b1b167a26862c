"""Grid of cells with equal area, nearly square from the equator to the poles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from triovision.geo.distances import EARTH_RADIUS_KM


@dataclass(frozen=True, eq=False)
class EqualAreaGrid:
    """Rings of cells from north to south, each cut into cells of equal width from 180° west on.

    A zone of the sphere is as large as its height along the axis (Archimedes), so rings that are as high as they have
    cells make all cells exactly as large.

    Attributes:
        columns: Number of cells of each ring, shape `(n_rings,)`.
    """

    columns: NDArray[np.intp]

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return int(self.columns.sum())

    @property
    def cell_km2(self) -> float:
        """Area of each cell."""
        return 4 * math.pi * EARTH_RADIUS_KM**2 / self.n_cells

    @cached_property
    def bounds_deg(self) -> NDArray[np.float64]:
        """South, west, north and east edge of each cell in degrees, shape `(n_cells, 4)`."""
        ring, column = self._ring_and_column
        edge_deg = np.degrees(np.arcsin(self._edges))
        width_deg = 360 / self.columns[ring]
        west_deg = -180 + column * width_deg
        return np.stack([edge_deg[ring + 1], west_deg, edge_deg[ring], west_deg + width_deg], axis=1)

    @cached_property
    def centres_xyz(self) -> NDArray[np.float64]:
        """Point that halves each cell's area both ways, as unit vectors `(n_cells, 3)`."""
        ring, column = self._ring_and_column
        height = (self._edges[ring] + self._edges[ring + 1]) / 2
        lon = 2 * np.pi * (column + 0.5) / self.columns[ring] - np.pi
        flat = np.sqrt(1 - height**2)
        return np.stack([flat * np.cos(lon), flat * np.sin(lon), height], axis=1)

    def cell_of(self, lat_deg: ArrayLike, lon_deg: ArrayLike) -> NDArray[np.intp]:
        """Index of the cell that each position lies in; longitudes may run on beyond ±180°."""
        return self.cell_of_height(np.sin(np.radians(lat_deg)), lon_deg)

    def cell_of_height(self, height: ArrayLike, lon_deg: ArrayLike) -> NDArray[np.intp]:
        """The same for the sine of the latitude."""
        last = len(self.columns) - 1
        ring = np.clip(np.searchsorted(-self._edges, -np.asarray(height), side="right") - 1, 0, last)
        turn = (np.asarray(lon_deg, np.float64) + 180) % 360 / 360
        column = np.minimum((turn * self.columns[ring]).astype(np.intp), self.columns[ring] - 1)
        return np.asarray(self._first[ring] + column)

    @cached_property
    def _edges(self) -> NDArray[np.float64]:
        """Sine of the latitude where each ring begins, and -1."""
        return 1 - 2 * np.append(self._first, self.n_cells) / self.n_cells

    @cached_property
    def _first(self) -> NDArray[np.intp]:
        """Index of each ring's first cell."""
        return np.asarray(np.cumsum(self.columns) - self.columns)

    @cached_property
    def _ring_and_column(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        ring = np.repeat(np.arange(len(self.columns)), self.columns)
        return ring, np.arange(self.n_cells) - self._first[ring]


@lru_cache(maxsize=8)
def grid(side_km: float) -> EqualAreaGrid:
    """The grid whose cells are about `side_km` wide and high, kept for the next who asks.

    Raises:
        ValueError: If the side is below 50 km (204,000 cells) or above 2,000 km.
    """
    if not 50 <= side_km <= 2000:
        raise ValueError(f"`side_km` must lie within 50 and 2000, got {side_km}")
    side = side_km / EARTH_RADIUS_KM
    n_rings = round(math.pi / side)
    from_pole = (np.arange(n_rings) + 0.5) * np.pi / n_rings
    return EqualAreaGrid(np.maximum(3, np.rint(2 * np.pi * np.sin(from_pole) / side)).astype(np.intp))
