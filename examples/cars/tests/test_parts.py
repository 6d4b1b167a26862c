from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from examples.cars.parts import hold_out
from triovision.train.data.manifest import Manifest


def test_groups_are_not_divided_and_duplicates_of_seen_photos_are_not_tested() -> None:
    labels = ["a"] * 10 + ["b"] * 10
    photos = Manifest(pd.DataFrame({"file": [f"{i}.jpg" for i in range(20)], "class": labels}), Path(), "", "class")
    test = np.isin(np.arange(20), (8, 9, 19))
    groups = np.arange(20)
    groups[1], groups[9], groups[18] = 0, 2, 17
    table = hold_out(photos, test, groups).table.set_index("file")
    assert "9.jpg" not in table.index  # a near-duplicate of 2.jpg
    assert sorted(table.index[table["split"] == "test"]) == ["19.jpg", "8.jpg"]
    assert table["split"]["0.jpg"] == table["split"]["1.jpg"]
    assert table["split"]["17.jpg"] == table["split"]["18.jpg"]
    assert set(table[table["split"] == "val"]["class"]) == {"a", "b"}
