"""Coastline as the cells of a fine grid."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from triovision.files import atomic_open

#: Cells to a degree: cells of 0.05°, whose middles lie at most 3.9 km from what runs through them.
_PER_DEGREE: Final = 20
_COLUMNS: Final = 360 * _PER_DEGREE


@cache
def coast_deg() -> NDArray[np.float64]:
    """Middles of the cells that a coast runs through, shape `(n, 2)`: latitude and longitude in degrees.

    The coasts are those of Natural Earth at 1:10 million (public domain), as the npm package `world-atlas` 2.0.2 brings
    them in `land-10m.json`; the Caspian Sea counts as a sea, other lakes do not.
    """
    with files("triovision.geo").joinpath("coast.npz").open("rb") as file, np.load(file) as stored:
        rows, columns = np.divmod(np.cumsum(stored["steps"], dtype=np.int64), _COLUMNS)
    return np.column_stack([(rows + 0.5) / _PER_DEGREE - 90, (columns + 0.5) / _PER_DEGREE - 180])


def write_coast(land: Path, target: Path) -> None:
    """Make the file that `coast_deg` reads.

    Args:
        land: `world-atlas/land-10m.json`: quantised TopoJSON, of which every arc is a coast.
        target: The file to write.
    """
    topology = json.loads(land.read_bytes())
    scale, translate = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs = [np.cumsum(np.array(arc, np.int64), axis=0) * scale + translate for arc in topology["arcs"]]
    cells = np.unique(np.concatenate([_cells_along(arc) for arc in arcs]))
    with atomic_open(target) as file:
        np.savez_compressed(file, steps=np.diff(cells, prepend=0).astype(np.int32))


def _cells_along(lon_lat: NDArray[np.float64]) -> NDArray[np.int64]:
    """Numbers of the cells that a line runs through, looked at four times in a cell's width."""
    lon_lat = np.column_stack([np.unwrap(lon_lat[:, 0], period=360), lon_lat[:, 1]])
    starts, ends = lon_lat[:-1], lon_lat[1:]
    # Natural Earth cuts land along the date line and closes Antarctica below: no coast is there.
    at_edge = (np.abs(np.abs(lon_lat[:, 0]) % 360 - 180) < 1e-6) | (lon_lat[:, 1] < -89.9)
    kept = ~(at_edge[:-1] & at_edge[1:])
    starts, ends = starts[kept], ends[kept]
    looks = np.ceil(np.abs(ends - starts).max(axis=1, initial=0) * _PER_DEGREE * 4).astype(np.int64) + 1
    number = np.repeat(np.arange(len(looks)), looks)
    within = np.arange(looks.sum()) - np.repeat(np.cumsum(looks) - looks, looks)
    lon, lat = (starts[number] + (ends - starts)[number] * (within / looks[number])[:, None]).T
    rows = np.floor((lat + 90) * _PER_DEGREE).astype(np.int64)
    columns = np.floor((lon + 180) * _PER_DEGREE).astype(np.int64) % _COLUMNS
    cells: NDArray[np.int64] = rows * _COLUMNS + columns
    return cells
