"""Metrics on plain arrays: accuracy, calibration error, log-likelihood, risk-coverage and great-circle scores."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import r2_score, recall_score
from torchmetrics.functional.classification import binary_calibration_error

from triovision.geo import THRESHOLDS_KM, distance_km, geo_score
from triovision.metrics.country import RiskPoint
from triovision.metrics.position import PositionScores

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

ECE_BINS = 15
_CURVE_POINTS = 200


def in_top_k(scores: NDArray[np.floating], target: NDArray[np.int64], k: int) -> Mask:
    """Whether the target is among the k highest scores; of equal scores, the label with the lower index comes first.

    Args:
        scores: Higher for a more probable label, shape `(n, n_labels)`.
        target: Index of the true label, shape `(n,)`.
        k: Number of labels.
    """
    target_score = np.take_along_axis(scores, target[:, None], axis=1)
    before = (scores == target_score) & (np.arange(scores.shape[1]) < target[:, None])
    return np.asarray(((scores > target_score) | before).sum(axis=1) < k)


def accuracy(truth: NDArray[np.generic], predicted: NDArray[np.generic], in_top5: Mask) -> dict[str, float | None]:
    """Top-1 and top-5 accuracy, and the mean recall over the classes that occur; None without photos.

    Args:
        truth: True class of each photo, shape `(n,)`.
        predicted: Most probable class, shape `(n,)`.
        in_top5: Whether the truth is among the five most probable classes, shape `(n,)`.
    """
    if not len(truth):
        return dict.fromkeys(("top1", "top5", "macro_recall"))
    # A class that is only predicted has no recall.
    recall = recall_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0)
    return {
        "top1": float((truth == predicted).mean()),
        "top5": float(in_top5.mean()),
        "macro_recall": float(recall),
    }


def expected_calibration_error(confidence: Floats, correct: Mask) -> float:
    """Mean distance of confidence and accuracy over 15 equally wide bins (Naeini et al., 2015).

    Args:
        confidence: Probability of the most probable class, shape `(n,)`, n at least 1.
        correct: Whether that class is the truth, shape `(n,)`.
    """
    # torchmetrics takes values above 1 for logits.
    bounded = torch.from_numpy(np.minimum(confidence, 1.0))
    return float(binary_calibration_error(bounded, torch.from_numpy(correct.astype(np.int64)), ECE_BINS))


def negative_log_likelihood(probability_of_truth: Floats, floor: float) -> float | None:
    """Mean of -ln p(truth) in nats, each p at least `floor`; None without photos."""
    if not len(probability_of_truth):
        return None
    return float(-np.log(np.maximum(probability_of_truth, floor)).mean())


def risk_coverage(confidence: Floats, correct: Mask) -> tuple[tuple[RiskPoint, ...], float | None]:
    """Risk against coverage as the threshold falls, and the area under the curve.

    "Selective Classification for Deep Neural Networks" (Geifman and El-Yaniv, 2017). The area is the mean of the
    risk over all coverages k/n.

    Args:
        confidence: Probability of the most probable country, shape `(n,)`.
        correct: Whether that country is the truth, shape `(n,)`.

    Returns:
        At most 200 points from the smallest coverage to all photos, and the area; `((), None)` without photos.
    """
    n = len(confidence)
    if n == 0:
        return (), None
    order = np.argsort(-confidence, kind="stable")
    risk = np.cumsum(~correct[order]) / np.arange(1, n + 1)
    shown = np.unique(np.linspace(0, n - 1, min(n, _CURVE_POINTS)).round().astype(int))
    points = tuple(
        RiskPoint(threshold=min(1.0, float(confidence[order[i]])), coverage=(i + 1) / n, risk=float(risk[i]))
        for i in shown.tolist()
    )
    return points, float(risk.mean())


def risk_at(threshold: float, confidence: Floats, correct: Mask) -> RiskPoint:
    """Coverage and risk of the predictions at or above a threshold."""
    answered = confidence >= threshold
    return RiskPoint(
        threshold=threshold,
        coverage=float(answered.mean()) if len(answered) else 0.0,
        risk=float(1 - correct[answered].mean()) if answered.any() else None,
    )


def distance_scores(error_km: Floats) -> dict[str, float]:
    """Median and mean error, fractions of photos within each of `THRESHOLDS_KM`, and the mean GeoScore.

    Args:
        error_km: Great-circle distance from prediction to truth, shape `(n,)`, n at least 1.
    """
    return {
        "median_km": float(np.median(error_km)),
        "mean_km": float(error_km.mean()),
        **{f"within_{km}_km": float((error_km <= km).mean()) for km in THRESHOLDS_KM},
        "geo_score": float(np.mean(geo_score(error_km))),
    }


def position_scores(truth_deg: Floats, predicted_deg: Floats) -> PositionScores:
    """Distance scores, and R² of latitude and longitude.

    Args:
        truth_deg: True latitude and longitude in degrees, shape `(n, 2)`, n at least 1.
        predicted_deg: Predicted ones.
    """
    error_km = distance_km(*truth_deg.T, *predicted_deg.T)
    r2_lat, r2_lon = (_r2(truth, predicted) for truth, predicted in zip(truth_deg.T, predicted_deg.T, strict=True))
    return PositionScores.model_validate(
        {"photos": len(error_km), "r2_lat": r2_lat, "r2_lon": r2_lon} | distance_scores(error_km)
    )


def _r2(truth: Floats, predicted: Floats) -> float | None:
    return float(r2_score(truth, predicted)) if np.ptp(truth) > 0 else None
