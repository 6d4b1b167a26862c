"""The ten relations as rules on two boxes, and the spatial vector of a pair.

A box is `(x0, y0, x1, y1)`: left, top, right and bottom in pixels, y downwards. The functions take many pairs at once:
boxes of shape `(n, 4)`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]

#: The relations in the order of the logits.
RELATIONS: Final = (
    "on", "under", "above", "below", "left of", "right of", "near", "next to", "inside", "outside",
)  # fmt: skip
#: Length of the spatial vector.
SPATIAL_SIZE: Final = 13

_CONTAINED, _HALF, _CONTACT, _BESIDE, _NEAR = 0.9, 0.5, 0.1, 0.25, 0.5


def relations_of(subject: Boxes, object_: Boxes) -> NDArray[np.int64]:
    """Relation of each pair by geometry, as an index of `RELATIONS`, shape `(n,)`.

    The first rule that holds decides. "Half" is half of the smaller of the two; a gap is the empty distance between
    the boxes along one axis, 0 where they overlap.

    1. inside: 90 % of the subject lie in the object. outside: 90 % of the object lie in the subject.
    2. The columns overlap by half, the rows by less than half, and the subject is the higher one: on, if the gap is at
       most a tenth of the smaller height, else above. If it is the lower one: under, else below.
    3. next to: the rows overlap by half, and the gap is at most a quarter of the smaller width.
    4. near: the gap, in a straight line, is at most half of the mean side of the two boxes.
    5. left of or right of, by the centres.

    So exchanging the boxes exchanges inside and outside, on and under, above and below, left of and right of, and
    leaves near and next to.

    Args:
        subject: Boxes of the subjects.
        object_: Boxes of the objects.
    """
    shared, size_s, size_o = _overlap(subject, object_), _size(subject), _size(object_)
    area = shared.prod(axis=1)
    smaller = np.minimum(size_s, size_o)
    gap = np.maximum(0, np.maximum(subject[:, :2], object_[:, :2]) - np.minimum(subject[:, 2:], object_[:, 2:]))
    columns, rows = (shared >= _HALF * smaller).T
    dx, dy = (_centre(subject) - _centre(object_)).T
    stacked, contact = columns & ~rows, gap[:, 1] <= _CONTACT * smaller[:, 1]
    distance, mean_side = np.hypot(*gap.T), (size_s + size_o).mean(axis=1) / 2
    rules = (
        ("inside", area >= _CONTAINED * size_s.prod(axis=1)),
        ("outside", area >= _CONTAINED * size_o.prod(axis=1)),
        ("on", stacked & contact & (dy < 0)),
        ("under", stacked & contact & (dy > 0)),
        ("above", stacked & (dy < 0)),
        ("below", stacked & (dy > 0)),
        ("next to", rows & (gap[:, 0] <= _BESIDE * smaller[:, 0])),
        ("near", distance <= _NEAR * mean_side),
        ("left of", dx < 0),
    )
    chosen = np.select([holds for _, holds in rules], [RELATIONS.index(name) for name, _ in rules], -1)
    return np.where(chosen < 0, RELATIONS.index("right of"), chosen).astype(np.int64)


def spatial_vectors(subject: Boxes, object_: Boxes, width: NDArray[np.int64], height: NDArray[np.int64]) -> Boxes:
    """Describe the position of each pair by 13 numbers, shape `(n, 13)`.

    Centres (4) and sizes (4) are fractions of the picture's sides. Offsets (2) are the distances of the centres along
    both axes in units of the mean side d of the two boxes, as d / (1 + |d|): between -1 and 1, and ± 0.5 where the
    boxes just touch. Overlap (3) is the intersection over the union, over the subject and over the object.

    Args:
        subject: Boxes of the subjects.
        object_: Boxes of the objects.
        width: Widths of the pictures, shape `(n,)`.
        height: Heights of the pictures, shape `(n,)`.
    """
    picture = np.stack([width, height], axis=1)
    centre_s, centre_o, size_s, size_o = _centre(subject), _centre(object_), _size(subject), _size(object_)
    offset = (centre_s - centre_o) / ((size_s + size_o) / 2)
    area, area_s, area_o = (sides.prod(axis=1) for sides in (_overlap(subject, object_), size_s, size_o))
    overlap = np.stack([area / (area_s + area_o - area), area / area_s, area / area_o], axis=1)
    fractions = [part / picture for part in (centre_s, centre_o, size_s, size_o)]
    return np.concatenate([*fractions, offset / (1 + np.abs(offset)), overlap], axis=1)


def _size(boxes: Boxes) -> Boxes:
    return boxes[:, 2:] - boxes[:, :2]


def _centre(boxes: Boxes) -> Boxes:
    return (boxes[:, 2:] + boxes[:, :2]) / 2


def _overlap(first: Boxes, second: Boxes) -> Boxes:
    """Width and height of the intersection, `(n, 2)`."""
    sides: Boxes = np.maximum(0, np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2]))
    return sides
