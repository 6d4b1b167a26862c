"""Metrics of a trained head, and the table that compares recipes over their seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from examples.relations.annotations import Annotations
from examples.relations.geometry import RELATIONS, relations_of
from examples.relations.network import RelationHead
from examples.relations.recipe import RelationRecipe
from examples.relations.training import PairData, class_weights, predict
from triovision.files import atomic_write
from triovision.train.evaluation.intervals import group_interval
from triovision.train.evaluation.learning_curves import best_epoch, read_curves

METRICS: Final = "metrics.json"
#: A relation with fewer training pairs than this is called rare; oversampling draws it three times.
RARE: Final = 100

Metrics = dict[str, Any]


def measure(
    annotations: Annotations,
    parts: Mapping[str, PairData],
    recipe: RelationRecipe,
    head: RelationHead,
    folder: Path,
) -> Metrics:
    """Measure a trained head on the test part, or on the validation part where no test part is marked.

    Args:
        annotations: Annotated pairs.
        parts: Parts of the pairs.
        recipe: Recipe of the run.
        head: Trained head.
        folder: Folder of the run, with its logs; `metrics.json` is written there.

    Returns:
        JSON values: accuracy with its 95 % interval (from resampling pictures), macro recall over the relations that
        occur, recall and numbers of pairs by relation, the confusion matrix (rows are the truth), and, on the same
        pairs, the accuracy of the most frequent training relation and that of the rules of `relations_of`.
    """
    part = "test" if "test" in parts else "val"
    data, training = parts[part], parts["train"]
    truth, answer = data.labels[data.rows], predict(head, data).argmax(axis=1)
    right = truth == answer
    pictures = np.array([str(annotations.pairs[row].image) for row in data.rows])
    interval = group_interval(right, pictures)
    confusion = confusion_matrix(truth, answer, labels=range(len(RELATIONS)))
    relations = _by_relation(confusion, training.counts, class_weights(training.counts, recipe).tolist())
    epochs = read_curves(folder)
    metrics = {
        "recipe": recipe.name,
        "architecture": recipe.architecture,
        "seed": recipe.seed,
        "part": part,
        "pairs": len(data),
        "pictures": len(np.unique(pictures)),
        "accuracy": float(right.mean()),
        "accuracy_95": None if interval is None else [interval.low, interval.high],
        "macro_recall": mean_recall(relations, RELATIONS),
        "rare_recall": mean_recall(
            relations, [name for name in RELATIONS if training.counts[RELATIONS.index(name)] < RARE]
        ),
        "majority_accuracy": float((truth == training.counts.argmax()).mean()),
        "rules_accuracy": float((truth == relations_of(*(box[data.rows] for box in annotations.boxes))).mean()),
        "epochs": len(epochs),
        "best_epoch": best_epoch(epochs),
        "relations": relations,
        "confusion": confusion.tolist(),
        "parameters": parameters(head),
    }
    atomic_write(folder / METRICS, json.dumps(metrics, indent=2) + "\n")
    return metrics


def _by_relation(
    confusion: NDArray[np.int64], training_pairs: NDArray[np.int64], weights: Sequence[float]
) -> dict[str, Metrics]:
    return {
        name: {
            "training_pairs": int(training_pairs[i]),
            "weight": weights[i],
            "pairs": int(row.sum()),
            "recall": float(row[i] / row.sum()) if row.any() else None,
        }
        for i, (name, row) in enumerate(zip(RELATIONS, confusion, strict=True))
    }


def mean_recall(relations: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> float | None:
    """Mean of the recalls of some relations; None where none of them occurs."""
    recalls = [relations[name]["recall"] for name in names if relations[name]["recall"] is not None]
    return float(np.mean(recalls)) if recalls else None


def parameters(head: RelationHead) -> dict[str, int]:
    """Number of trained parameters of each part of the head, and of all."""
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in head.named_children()}
    return counts | {"relations": head.relations.numel(), "all": sum(p.numel() for p in head.parameters())}


def summary(metrics: Metrics) -> str:
    """The accuracy of a run in words, beside those of the two baselines."""
    interval = metrics["accuracy_95"]
    between = f" (95 % interval {percent(interval[0])} to {percent(interval[1])})" if interval else ""
    return (
        f"Accuracy {percent(metrics['accuracy'])}{between} and macro recall {percent(metrics['macro_recall'])} on "
        f"{metrics['pairs']:,} pairs of {metrics['pictures']:,} pictures ({metrics['part']}). On the same pairs, the "
        f"most frequent relation alone is right for {percent(metrics['majority_accuracy'])}, and the geometric rules "
        f"of the README, applied to the annotated boxes, for {percent(metrics['rules_accuracy'])}."
    )


def recall_rows(metrics: Metrics) -> list[list[str | int]]:
    """Relation, training pairs, class weight, measured pairs and recall, as texts."""
    return [
        [name, of["training_pairs"], f"{of['weight']:.2f}", of["pairs"], percent(of["recall"])]
        for name, of in metrics["relations"].items()
    ]


def comparison_rows(recipes: Sequence[RelationRecipe], runs: Sequence[Metrics]) -> list[list[str | int]]:
    """One row a recipe: name, seeds, mean ± standard deviation of the metrics, mean number of epochs, description."""
    rows: list[list[str | int]] = []
    for recipe in recipes:
        of_recipe = [run for run in runs if run["recipe"] == recipe.name]
        shares = [spread([run[name] for run in of_recipe]) for name in ("accuracy", "macro_recall", "rare_recall")]
        epochs = f"{np.mean([run['epochs'] for run in of_recipe]):.0f}"
        description = f"{recipe.description} ({of_recipe[0]['architecture']})"
        rows.append([recipe.name, len(of_recipe), *shares, epochs, description])
    return rows


def spread(values: Sequence[float | None]) -> str:
    """Mean and standard deviation of shares in percent, such as `81.2 ± 0.4 %`."""
    known = [100 * value for value in values if value is not None]
    if not known:
        return "–"  # noqa: RUF001 - a dash
    deviation = f" ± {np.std(known, ddof=1):.1f}" if len(known) > 1 else ""
    return f"{np.mean(known):.1f}{deviation} %"


def percent(share: float | None) -> str:
    """A share in percent, or a dash."""
    return "–" if share is None else f"{100 * share:.1f} %"  # noqa: RUF001 - a dash
