"""Baselines: the most frequent country, and a logistic regression on frozen initial features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from triovision.train.data.dataset import NO_LABEL, choose_labels, targets
from triovision.train.data.manifest import Manifest
from triovision.train.data.splits import Splits
from triovision.train.evaluation.metrics import accuracy, in_top_k

#: Candidates of the inverse regularisation strength.
_STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)

#: The strength used when there are too few photos to choose one.
_DEFAULT_STRENGTH = 0.1

#: Photos of a place from which single photos are held out.
_LARGE_PLACE = 8


@dataclass(frozen=True, slots=True)
class Score:
    """Accuracy of one classifier on one split, over the photos whose country has a label."""

    name: str
    split: str
    photos: int
    top1: float | None
    top5: float | None
    macro_recall: float | None


def score(name: str, split_name: str, scores: NDArray[np.floating], target: NDArray[np.int64]) -> Score:
    """Score a classifier.

    Args:
        name: Name of the classifier.
        split_name: Name of the split.
        scores: Higher for a more probable label, shape `(n, n_labels)`.
        target: True labels, shape `(n,)`; `NO_LABEL` where there is none.
    """
    known = target != NO_LABEL
    scores, target = scores[known], target[known]
    return Score(name, split_name, len(target), **accuracy(target, scores.argmax(axis=1), in_top_k(scores, target, 5)))


def fit_logistic(features: NDArray[np.float32], target: NDArray[np.int64], strength: float) -> Pipeline:
    """Fit a class-balanced logistic regression on standardised features; photos without a label are left out."""
    known = target != NO_LABEL
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000, class_weight="balanced"))
    return model.fit(features[known], target[known])


def choose_strength(training: Manifest, labels: Sequence[str], features: NDArray[np.float32], seed: int) -> float:
    """Choose the inverse regularisation strength on held-out training photos: a baseline has to be tuned as well.

    Held out are a fifth of the places, and a sixth of the photos of the other large places; the strength with the
    largest mean of both accuracies is chosen.

    Args:
        training: Training photos.
        labels: Countries with a label.
        features: Their frozen features.
        seed: Seed of the held-out photos.
    """
    target = targets(training, labels)
    new_places = fifth_of_places(training, seed)
    places = training.table["place"]
    large = places.map(Counter(places)).to_numpy() >= _LARGE_PLACE
    new_photos = large & ~new_places & (np.random.default_rng(seed).random(len(training)) < 1 / 6)
    fitted = ~new_places & ~new_photos
    parts = [held & (target != NO_LABEL) for held in (new_places, new_photos)]
    if not any(part.any() for part in parts) or len(np.unique(target[fitted & (target != NO_LABEL)])) < 2:
        return _DEFAULT_STRENGTH

    def accuracy(strength: float) -> float:
        linear = fit_logistic(features[fitted], target[fitted], strength)
        return float(np.mean([(linear.predict(features[p]) == target[p]).mean() for p in parts if p.any()]))

    return max(_STRENGTHS, key=accuracy)


def baseline_scores(splits: Splits, features: dict[str, NDArray[np.float32]], strength: float) -> list[Score]:
    """Evaluate both baselines on every validation split.

    Args:
        splits: Training and validation photos.
        features: Frozen features of the `"training"` photos and of each split.
        strength: Inverse regularisation strength.
    """
    labels = splits.labels
    target = targets(splits.training, labels)
    counts = Counter(target[target != NO_LABEL].tolist())
    frequency = np.array([counts[i] for i in range(len(labels))], dtype=np.float64)
    linear = fit_logistic(features["training"], target, strength)
    scores = []
    for name, part in splits.validation.items():
        truth = targets(part, labels)
        scores.append(score("most frequent country", name, np.tile(frequency, (len(part), 1)), truth))
        scores.append(score("logistic regression", name, linear.predict_log_proba(features[name]), truth))
    return scores


def rare_country_recall(
    training: Manifest, features: NDArray[np.float32], min_photos: Sequence[int], strength: float, seed: int
) -> list[tuple[int, int, float, float]]:
    """Measure the recall of countries with few photos, from which the default of `data.min_photos` follows.

    The logistic regression is fitted on four fifths of the training places and evaluated on the others.

    Args:
        training: Training photos.
        features: Their frozen features.
        min_photos: Values of `data.min_photos`, in ascending order.
        strength: Inverse regularisation strength.
        seed: Seed of the held-out places.

    Returns:
        Per value: the value, the number of labels, the accuracy over the held-out photos of all countries (photos
        without a label count as wrong), and the mean recall of the countries that the next value would drop.
    """
    held = fifth_of_places(training, seed)
    rows = []
    for low, high in zip(min_photos, [*min_photos[1:], len(training)], strict=True):
        labels = choose_labels(training, low)
        rarest = set(labels) - set(choose_labels(training, high))
        target = targets(training, labels)
        first = fit_logistic(features[~held], target[~held], strength).predict(features[held])
        truth = target[held]
        recalls = [(first == i)[truth == i].mean() for i in (labels.index(c) for c in rarest) if (truth == i).any()]
        mean_recall = float(np.mean(recalls)) if recalls else float("nan")
        rows.append((low, len(labels), float((first == truth).mean()), mean_recall))
    return rows


def fifth_of_places(training: Manifest, seed: int) -> NDArray[np.bool_]:
    """Mask of the photos of a random fifth of the places."""
    places = training.table["place"].to_numpy()
    names = np.unique(places)
    return np.isin(places, np.random.default_rng(seed).choice(names, max(1, len(names) // 5), replace=False))
