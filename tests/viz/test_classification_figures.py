from __future__ import annotations

import numpy as np
import pytest

from triovision.viz.classification_figures import bars, confusion_heatmap
from triovision.viz.palette import DARK, LIGHT


def test_the_confusion_is_a_fraction_of_each_true_label() -> None:
    heatmap = confusion_heatmap(np.array([[3, 1], [0, 0]]), ("fox", "rest"), LIGHT).data[0]
    assert heatmap.z[0] == pytest.approx([0.75, 0.25])
    assert np.isnan(heatmap.z[1]).all()  # no example, no colour
    assert [list(row) for row in heatmap.text] == [["3", "1"], ["", ""]]


def test_a_matrix_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(3, 3\), got \(2, 2\)"):
        confusion_heatmap(np.ones((2, 2), dtype=np.int64), ("a", "b", "c"), LIGHT)


def test_long_names_that_begin_alike_are_rows_and_bars_of_their_own() -> None:
    labels = [f"Chevrolet Silverado 1500 Hybrid Extended Cab {year}" for year in (2007, 2012)]
    shown = [f"Chevrolet Silverado 1500 Hybrid Extende\u2026 {number}" for number in (1, 2)]
    heatmap = confusion_heatmap(np.eye(2, dtype=np.int64), labels, LIGHT).data[0]
    assert (list(heatmap.x), list(heatmap.y)) == (shown, shown)
    assert list(bars(dict.fromkeys(labels, 0.5), LIGHT, "recall").data[0].y) == shown


def test_numbers_stand_in_the_cells_of_a_small_matrix_only() -> None:
    small = confusion_heatmap(np.eye(20, dtype=np.int64), [str(i) for i in range(20)], DARK)
    large = confusion_heatmap(np.eye(21, dtype=np.int64), [str(i) for i in range(21)], DARK)
    assert small.data[0].texttemplate == "%{text}"
    assert small.data[0].text[0, :2].tolist() == ["1", ""]
    assert large.data[0].texttemplate is None


def test_bars_keep_their_order_and_escape_their_names() -> None:
    figure = bars({"<b>first": 0.5, "second": 0.25}, LIGHT, "accuracy")
    assert list(figure.data[0].y) == ["&lt;b&gt;first", "second"]
    assert list(figure.data[0].x) == [0.5, 0.25]
    assert figure.layout.yaxis.autorange == "reversed"
