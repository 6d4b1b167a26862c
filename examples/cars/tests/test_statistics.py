from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from examples.cars.statistics import box_shares, make_of, statistics_sections, year_of
from triovision.train.data.manifest import Manifest
from triovision.viz.palette import LIGHT


@pytest.mark.parametrize(
    ("name", "make", "year"),
    [
        ("Audi R8 Coupe 2012", "Audi", "2012"),
        ("AM General Hummer SUV 2000", "AM General", "2000"),
        ("Rolls-Royce Ghost Sedan 2012", "Rolls-Royce", "2012"),
        ("Land Rover LR2 SUV 2012", "Land Rover", "2012"),
        ("Fiat 500", "Fiat", "unknown"),
        ("Trabant", "Trabant", "unknown"),
    ],
)
def test_make_and_year_are_in_the_name_of_a_class(name: str, make: str, year: str) -> None:
    assert (make_of(name), year_of(name)) == (make, year)


def test_the_share_of_a_box_counts_both_of_its_ends() -> None:
    table = pd.DataFrame({"bbox": ["1 1 10 10", "1 1 20 10", "3 2 3 2"]})
    headers = pd.DataFrame({"width": [20.0, 20, 20], "height": [10.0, 10, 10]})
    np.testing.assert_allclose(box_shares(table, headers), [0.5, 1.0, 1 / 200])


def photos(*, boxes: bool) -> tuple[Manifest, pd.DataFrame]:
    rows = [("a.jpg", "Audi TT 2011", "train"), ("b.jpg", "Audi TT 2012", "test"), ("c.jpg", "Audi TT 2012", "train")]
    table = pd.DataFrame(rows, columns=["file", "class", "split"])
    if boxes:
        table["bbox"] = "1 1 10 10"
    headers = pd.DataFrame({"width": 20.0, "height": 10.0, "year": np.nan}, index=range(3))
    return Manifest(table, Path(), "", "class"), headers


def test_sections_count_what_the_manifest_has() -> None:
    sections = {section.heading: section for section in statistics_sections(*photos(boxes=True))}
    assert list(sections) == ["Classes", "Makes and years", "Image sizes", "Boxes"]
    assert list(sections["Classes"].tables[0].rows) == [["Audi TT 2012", 1, 0, 1, 2], ["Audi TT 2011", 1, 0, 0, 1]]
    makes, years = (plot.draw(LIGHT).data[0] for plot in sections["Makes and years"].plots)
    assert (list(makes.y), list(makes.x)) == (["Audi"], [3])
    assert (list(years.y), list(years.x)) == (["2011", "2012"], [1, 2])
    assert sections["Boxes"].plots[0].draw(LIGHT).data[0].x[5] == 3  # 50 to 60 %
    assert sections["Image sizes"].plots[0].draw(LIGHT).data[0].x[0] == 20


def test_without_boxes_there_is_nothing_on_cars() -> None:
    assert [section.heading for section in statistics_sections(*photos(boxes=False))] == ["Classes", "Image sizes"]
