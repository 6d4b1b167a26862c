"""Density of weighted points on cells of equal area, smoothed by a von Mises-Fisher kernel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from triovision.geo.distances import EARTH_RADIUS_KM
from triovision.geo.equal_area import EqualAreaGrid, grid

_REACH: Final = 3.0  # kernel widths; what lies beyond is 1.1 % of the kernel and goes to the cells within
_BLOCK: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Density:
    """Probability of cells of equal area; cells without probability are dropped.

    Attributes:
        bounds_deg: South, west, north and east edge of each cell in degrees, shape `(n_cells, 4)`.
        probability: Probability of each cell, shape `(n_cells,)`; they sum to one.
        cell_km2: Area of each cell.
        width_km: Width of the kernel.
    """

    bounds_deg: NDArray[np.float64]
    probability: NDArray[np.float64]
    cell_km2: float
    width_km: float


def density(xyz: NDArray[np.float64], weight: NDArray[np.float64], width_km: float) -> Density:
    """Weighted points smoothed by a von Mises-Fisher kernel, on cells about as wide as the kernel.

    The kernel is exp(κ·cos θ) with κ = (Earth's radius / width)², for a small width a Gaussian of that standard
    deviation ("Directional Statistics", Mardia and Jupp, 2000, section 9.3.2), cut off at three widths. Each
    point's kernel is scaled to sum to its weight, so that the total stays one.

    Args:
        xyz: Points as unit vectors, shape `(n, 3)`.
        weight: Their probabilities, shape `(n,)`.
        width_km: Width of the kernel in km, from 50 to 2000.

    Raises:
        ValueError: If the width is out of range.
    """
    cells = grid(width_km)
    neighbours = _neighbours(width_km)
    # The last centre, out of every kernel's reach, is no neighbour.
    x, y, z = np.ascontiguousarray(np.vstack([cells.centres_xyz, np.zeros(3)]).T)
    held = np.zeros(len(x))
    kappa = (EARTH_RADIUS_KM / width_km) ** 2
    xyz, weight = xyz[weight > 0], weight[weight > 0]
    own = cells.cell_of_height(xyz[:, 2], np.degrees(np.arctan2(xyz[:, 1], xyz[:, 0])))
    for start in range(0, len(xyz), _BLOCK):  # a block fits into the processor's cache
        block = slice(start, start + _BLOCK)
        near = neighbours[own[block]]
        at_x, at_y, at_z = xyz[block].T[:, :, None]
        cosine = x[near] * at_x + y[near] * at_y + z[near] * at_z
        kernel = np.exp(kappa * (cosine - 1))
        kernel[cosine < np.cos(_REACH * width_km / EARTH_RADIUS_KM)] = 0
        kernel *= (weight[block] / kernel.sum(axis=1))[:, None]
        held += np.bincount(near.ravel(), kernel.ravel(), len(x))
    some = np.flatnonzero(held)
    return Density(
        bounds_deg=cells.bounds_deg[some], probability=held[some], cell_km2=cells.cell_km2, width_km=width_km
    )


@lru_cache(maxsize=4)
def _neighbours(side_km: float) -> NDArray[np.intp]:
    """For each cell, the cells that a kernel in it may reach, padded with `n_cells`; shape `(n_cells, most)`."""
    cells = grid(side_km)
    side = side_km / EARTH_RADIUS_KM
    # Half a diagonal from a point to the centre of its own cell; a triangle at a pole is longer.
    reach = np.cos(min(np.pi, (_REACH + 1.2) * side))
    xyz = cells.centres_xyz
    margin = 5 * int(cells.columns.max())
    pairs: list[tuple[NDArray[np.intp], NDArray[np.intp]]] = []
    for ring in _rings(cells):
        first = max(0, ring.start - margin)
        row, column = np.nonzero(np.einsum("ik,jk->ij", xyz[ring], xyz[first : ring.stop + margin]) >= reach)
        pairs.append((ring.start + row, first + column))
    cell, near = map(np.concatenate, zip(*pairs, strict=True))
    counts = np.bincount(cell, minlength=cells.n_cells)
    table = np.full((cells.n_cells, counts.max()), cells.n_cells, np.intp)
    table[cell, np.arange(len(cell)) - np.repeat(np.cumsum(counts) - counts, counts)] = near
    return table


def _rings(cells: EqualAreaGrid) -> list[slice]:
    ends = np.cumsum(cells.columns).tolist()
    return [slice(end - n, end) for end, n in zip(ends, cells.columns.tolist(), strict=True)]
