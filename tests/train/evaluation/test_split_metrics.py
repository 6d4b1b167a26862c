from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from triovision.inference.card import Calibration
from triovision.train.data.dataset import NO_LABEL
from triovision.train.evaluation.split_metrics import (
    SplitLogits,
    reliability,
    risk_at,
    risk_coverage,
    scores,
    split_metrics,
)

LABELS = ("FR", "JP", "NA")
#: Probabilities of four photos, as logits: right, wrong, right, and one of a country without a label.
LOGITS = np.log(
    np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.5, 0.2, 0.3]], dtype=np.float32),
)
TARGET = np.array([0, 1, 1, NO_LABEL])
TRUTH = np.array(["FR", "JP", "JP", "US"])
FILES = np.array(["a.jpg", "b.jpg", "c.jpg", "d.jpg"])


def calibration(temperature: float, threshold: float) -> Calibration:
    return Calibration(
        temperature=temperature,
        conformal_threshold=0.1,
        conformal_coverage=0.9,
        abstention_threshold=threshold,
        fitted_on="nothing",
    )


def answers(fitted: list[bool]) -> SplitLogits:
    return SplitLogits(FILES, TRUTH, LOGITS, TARGET, np.array(fitted))


def test_scores_by_hand() -> None:
    found = scores(LOGITS, TARGET)
    assert (found.photos, found.without_label) == (3, 1)
    assert found.top1 == pytest.approx(2 / 3)
    assert found.top5 == 1
    assert found.macro_recall == pytest.approx(3 / 4)  # FR 1, JP 1/2
    assert found.negative_log_likelihood == pytest.approx(-math.log(0.8 * 0.3 * 0.5) / 3, rel=1e-5)


def test_scores_by_source_leave_the_country_without_a_label_out() -> None:
    # Right, wrong, right, and a photo without a label, whose source is not counted.
    data = SplitLogits(FILES, TRUTH, LOGITS, TARGET, np.zeros(4, bool), np.array([0, 0, 1, 2]))
    found = split_metrics(data, LABELS, {}, None).by_source
    assert found is not None
    assert (found.sources, found.top1_by_source) == (2, pytest.approx(3 / 4))
    assert (found.top1_low, found.top1_high) == (0.5, 1)
    assert split_metrics(answers([False] * 4), LABELS, {}, None).by_source is None


def test_top5_looks_at_five_of_many_labels() -> None:
    ranks = np.tile(np.arange(7, 0, -1, dtype=np.float32), (7, 1))
    assert scores(ranks, np.arange(7)).top5 == pytest.approx(5 / 7)


def test_photos_without_a_label_leave_the_scores_open() -> None:
    found = scores(LOGITS, np.full(4, NO_LABEL))
    assert (found.photos, found.without_label, found.top1, found.macro_recall) == (0, 4, None, None)


def test_reliability_by_hand() -> None:
    found = reliability(LOGITS, TARGET, 1.0)
    # Fifteenths: 0.5 twice (one right, one of no label) in the eighth, 0.6 (wrong) and 0.8 (right) alone.
    assert [(b.photos, round(b.probability, 3), b.accuracy) for b in found.bins] == [
        (2, 0.5, 0.5), (1, 0.6, 0.0), (1, 0.8, 1.0)
    ]  # fmt: skip
    assert found.expected_calibration_error == pytest.approx((2 * 0 + 0.6 + 0.2) / 4, abs=1e-6)


def test_a_higher_temperature_is_less_sure() -> None:
    cold, warm = (reliability(LOGITS, TARGET, t).bins[-1].probability for t in (1.0, 2.0))
    root = math.sqrt(0.8) / (math.sqrt(0.8) + 2 * math.sqrt(0.1))
    assert cold == pytest.approx(0.8)
    assert warm == pytest.approx(root, abs=1e-6)


def test_risk_and_coverage_by_hand() -> None:
    points, area = risk_coverage(np.array([0.5, 0.9, 0.7, 0.6]), np.array([False, True, False, True]))
    assert [(p.threshold, p.coverage) for p in points] == [(0.9, 0.25), (0.7, 0.5), (0.6, 0.75), (0.5, 1.0)]
    assert [p.risk for p in points] == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert area == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert risk_coverage(np.array([]), np.array([], dtype=bool)) == ((), None)


def test_a_long_curve_is_thinned_and_its_area_is_not() -> None:
    random = np.random.default_rng(0)
    confidence, correct = random.random(1000), random.random(1000) < 0.7
    points, area = risk_coverage(confidence, correct)
    assert len(points) == 200
    assert points[-1].coverage == 1
    assert points[-1].risk == pytest.approx(1 - correct.mean())
    by_hand = [1 - correct[confidence >= c].mean() for c in confidence]
    assert area == pytest.approx(np.mean(by_hand))


def test_a_threshold_that_nothing_reaches_answers_nothing() -> None:
    point = risk_at(0.95, np.array([0.5, 0.9]), np.array([True, True]))
    assert (point.coverage, point.risk) == (0, None)


def test_countries_by_hand() -> None:
    found = split_metrics(answers([False] * 4), LABELS, {"FR": 30, "JP": 20}, None)
    rows = {c.country: c for c in found.countries}
    assert [c.country for c in found.countries] == ["NA", "JP", "FR"]  # Africa, Asia, Europe
    # FR was answered three times: to FR, to JP and to a photo without a label.
    assert (rows["FR"].recall, rows["FR"].answers, rows["FR"].photos) == (1, 3, 1)
    assert rows["FR"].precision == pytest.approx(1 / 3)
    assert (rows["JP"].recall, rows["JP"].precision, rows["JP"].training_photos) == (0.5, 1, 20)
    assert (rows["NA"].recall, rows["NA"].precision, rows["NA"].training_photos) == (None, None, 0)


def test_confusion_holds_what_scikit_learn_counts() -> None:
    random = np.random.default_rng(1)
    logits, target = random.normal(size=(200, 3)).astype(np.float32), random.integers(0, 3, 200)
    files = np.array([f"{i}.jpg" for i in range(200)])
    truth = np.array(LABELS)[target]
    found = split_metrics(SplitLogits(files, truth, logits, target, np.zeros(200, bool)), LABELS, {}, None)
    counts = np.zeros((3, 3), int)
    for cell in found.confusion:
        counts[LABELS.index(cell.truth), LABELS.index(cell.answer)] = cell.photos
    np.testing.assert_array_equal(counts, confusion_matrix(target, logits.argmax(axis=1)))


def test_a_wrong_answer_names_its_photos_and_a_country_without_a_label_is_confused_too() -> None:
    found = split_metrics(answers([False] * 4), LABELS, {}, None)
    cells = {(c.truth, c.answer): c.examples for c in found.confusion}
    assert cells == {("FR", "FR"): (), ("JP", "FR"): ("b.jpg",), ("JP", "JP"): (), ("US", "FR"): ("d.jpg",)}
    assert {(c.truth, c.answer) for c in found.most_confused} == {("JP", "FR"), ("US", "FR")}


def test_best_and_worst_photos_are_the_surest() -> None:
    found = split_metrics(answers([False] * 4), LABELS, {}, None)
    assert [p.file for p in found.best] == ["a.jpg", "c.jpg"]
    assert [(p.file, p.truth, p.answer) for p in found.worst] == [("b.jpg", "JP", "FR"), ("d.jpg", "US", "FR")]
    assert found.worst[0].probability_of_truth == pytest.approx(0.3)
    assert found.worst[1].probability_of_truth is None


def test_calibration_is_measured_where_it_was_not_fitted() -> None:
    found = split_metrics(answers([True, False, False, True]), LABELS, {}, calibration(2.0, 0.45))
    assert found.scores.photos == 3  # accuracy is over all
    assert found.measured == 2
    assert found.before == reliability(LOGITS[1:3], TARGET[1:3], 1.0)
    assert found.after == reliability(LOGITS[1:3], TARGET[1:3], 2.0)
    # At T = 2: b.jpg is FR at 0.473 (wrong), c.jpg is JP at 0.415 (right, not answered).
    assert found.at_threshold == risk_at(0.45, np.array([0.473, 0.415]), np.array([False, True]))


def test_without_calibration_all_photos_are_measured() -> None:
    found = split_metrics(answers([False] * 4), LABELS, {}, None)
    assert (found.measured, found.after, found.at_threshold) == (4, None, None)


def test_a_split_that_calibration_took_whole_is_left_open() -> None:
    found = split_metrics(answers([True] * 4), LABELS, {}, calibration(2.0, 0.45))
    assert (found.measured, found.before, found.after, found.aurc, found.risk_coverage) == (0, None, None, None, ())
