"""Parts of a data set: what is trained on, what chooses the epoch, and what is measured once."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from triovision.train.data.manifest import Manifest
from triovision.train.data.splits import divide

#: Values of the column `split`.
TRAINING, VALIDATION, TEST = "train", "val", "test"
_VALIDATION_FRACTION: Final = 0.15


def hold_out(photos: Manifest, test: NDArray[np.bool_], groups: NDArray[np.intp]) -> Manifest:
    """Divide the photos that are not tested into training and validation, stratified by label: the column `split`.

    Args:
        photos: All photos.
        test: Mask of the test photos, `(n,)`. One that shares its group with another photo is left out.
        groups: Group of each photo, such as its near-duplicates, `(n,)`; a group is never divided.

    Raises:
        ManifestError: If there are too few photos to divide.
    """
    kept = ~(test & np.isin(groups, groups[~test]))
    photos, test, groups = photos.where(kept), test[kept], groups[kept]
    part = np.where(test, TEST, TRAINING)
    divided = divide(
        photos.table[~test],
        groups[~test],
        "random",
        val_fraction=_VALIDATION_FRACTION,
        test_fraction=0,
        seed=0,
        label_column=photos.label_column,
    )
    part[~test] = divided.part
    return replace(photos, table=photos.table.assign(split=part))
