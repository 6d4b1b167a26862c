"""Baselines: most frequent country, country of the source, photo metadata, logistic regression on initial features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from triovision.train.data.dataset import NO_LABEL, choose_labels, targets
from triovision.train.data.manifest import Manifest
from triovision.train.data.splits import Splits
from triovision.train.data.statistics import read_headers
from triovision.train.evaluation.intervals import groups_of, paired_difference, source_metrics, sources_of
from triovision.train.evaluation.metrics import accuracy, in_top_k

#: Candidates of the inverse regularisation strength.
_STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)

#: The strength used when there are too few photos to choose one.
_DEFAULT_STRENGTH = 0.1

#: Trees of the random forest on photo metadata.
_TREES = 200

_UNKNOWN = "\N{EN DASH}"

#: Photos of a place from which single photos are held out.
_LARGE_PLACE = 8


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """Accuracy of one classifier on one split, over the photos whose country has a label.

    Attributes:
        name: Name of the classifier.
        split: Name of the split.
        photos: Number of photos.
        top1: Top-1 accuracy.
        top5: Top-5 accuracy.
        macro_recall: Mean recall over the countries that occur.
        by_source: `source_metrics` of `top1`; empty if the sources are unknown.
        right: Whether the first answer to each photo is right, shape `(photos,)`.
    """

    name: str
    split: str
    photos: int
    top1: float | None
    top5: float | None
    macro_recall: float | None
    by_source: dict[str, float | None]
    right: NDArray[np.bool_]


def score(
    name: str,
    split_name: str,
    scores: NDArray[np.floating],
    target: NDArray[np.int64],
    sources: NDArray[np.intp] | None = None,
) -> Score:
    """Score a classifier.

    Args:
        name: Name of the classifier.
        split_name: Name of the split.
        scores: Higher for a more probable label, shape `(n, n_labels)`.
        target: True labels, shape `(n,)`; `NO_LABEL` where there is none.
        sources: Source of each photo, see `sources_of`, shape `(n,)`; None if unknown.
    """
    known = target != NO_LABEL
    scores, target = scores[known], target[known]
    first = scores.argmax(axis=1)
    right = np.asarray(first == target)
    by_source = source_metrics({"top1": right}, None if sources is None else sources[known])
    return Score(
        name,
        split_name,
        len(target),
        **accuracy(target, first, in_top_k(scores, target, 5)),
        by_source=by_source,
        right=right,
    )


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
    """Evaluate the baselines on every validation split.

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
    forest = fit_metadata_forest(photo_metadata(splits.training), target)
    scores = []
    for name, part in splits.validation.items():
        if not len(part):
            continue
        ranked = {
            "most frequent country": np.tile(frequency, (len(part), 1)),
            "country of the source": source_country_counts(splits.training, part, labels),
            "photo metadata": forest.predict_proba(photo_metadata(part)),
            "logistic regression": linear.predict_log_proba(features[name]),
        }
        truth, sources = targets(part, labels), sources_of(part.table)
        scores += [score(title, name, s, truth, sources) for title, s in ranked.items() if s is not None]
    return scores


def source_country_counts(training: Manifest, part: Manifest, labels: Sequence[str]) -> NDArray[np.float64] | None:
    """Photos of each label in the source of each photo, of which the largest is the majority country of the source.

    It counts the true countries of the evaluated photos too: an upper bound of what knowing the source, without a
    pixel, gets right. A model that is not better may have learnt the sources.

    Args:
        training: Training photos.
        part: Evaluated photos.
        labels: Countries with a label.

    Returns:
        Counts, shape `(n, n_labels)`; None if the manifest has no column `source`.
    """
    every = pd.concat([training.table, part.table], ignore_index=True)
    if (sources := sources_of(every)) is None:
        return None
    target = np.concatenate([targets(training, labels), targets(part, labels)])
    known = target != NO_LABEL
    counts = np.zeros((sources.max() + 1, len(labels)))
    np.add.at(counts, (sources[known], target[known]), 1)
    return np.asarray(counts[sources[len(training) :]])


def photo_metadata(photos: Manifest) -> NDArray[np.float64]:
    """Width, height, aspect ratio and file size in bytes of photos, shape `(n, 4)`; NaN where a file cannot be read.

    The size is that before resizing where the manifest has `orig_width` and `orig_height`.
    """
    table = photos.table
    if {"orig_width", "orig_height"} <= set(table):
        size = table[["orig_width", "orig_height"]].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    else:
        size = read_headers(photos, lambda: None)[["width", "height"]].to_numpy(np.float64)
    file_bytes = [path.stat().st_size if path.is_file() else np.nan for path in photos.paths]
    return np.column_stack([size, size[:, 0] / size[:, 1], file_bytes])


def fit_metadata_forest(metadata: NDArray[np.float64], target: NDArray[np.int64]) -> RandomForestClassifier:
    """Fit a class-balanced random forest on `photo_metadata`; photos without a label are left out.

    What it gets right is recognised by the way a source resizes and compresses, not by what a photo shows.
    """
    known = target != NO_LABEL
    forest = RandomForestClassifier(_TREES, min_samples_leaf=2, class_weight="balanced_subsample", random_state=0)
    return forest.fit(metadata[known], target[known])


def scores_text(scores: Sequence[Score]) -> str:
    """The scores as text: one line per split and classifier, with the interval and mean over sources where known."""
    heading = f"{'':24} {'split':14} {'photos':>6} {'top-1':>6} {'95% interval':>15} {'by source':>9} {'top-5':>6}"
    lines = [f"{heading} {'macro recall':>12}"]
    for s in sorted((s for s in scores if s.photos), key=lambda s: s.split):
        low, high, mean = (s.by_source.get(f"top1_{name}") for name in ("low", "high", "by_source"))
        interval = _UNKNOWN if low is None or high is None else f"{low:.1%} to {high:.1%}"
        by_source = _UNKNOWN if mean is None else f"{mean:.1%}"
        lines.append(
            f"{s.name:24} {s.split:14} {s.photos:6} {s.top1:6.1%} {interval:>15} {by_source:>9} {s.top5:6.1%} "
            f"{s.macro_recall:12.1%}"
        )
    return "\n".join(lines)


def differences_text(scores: Sequence[Score], name: str, splits: Splits) -> str:
    """Difference of the top-1 accuracy of one classifier from each other one, with its interval: one line each.

    Args:
        scores: Scores of all classifiers.
        name: Name of the one that is compared.
        splits: The photos; resampled are their sources, or their places if the sources are unknown.
    """
    lines = []
    compared = {s.split: s for s in scores if s.name == name and s.photos}
    for other in (s for s in scores if s.name != name and s.split in compared):
        part = splits.validation[other.split]
        groups = groups_of(part.table)[targets(part, splits.labels) != NO_LABEL]
        found = paired_difference(compared[other.split].right, other.right, groups)
        interval = found.interval
        spread = "" if interval is None else f" (95% interval {100 * interval.low:+.1f} to {100 * interval.high:+.1f})"
        verdict = "" if found.differs else ", cannot be told apart"
        lines.append(f"{other.split}: {name} {100 * found.difference:+.1f} points from {other.name}{spread}{verdict}")
    return "\n".join(lines)


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
