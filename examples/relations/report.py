"""Report pages of a run and of a comparison of runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import plotly.graph_objects as go

from examples.relations.annotations import Annotations
from examples.relations.geometry import RELATIONS
from examples.relations.metrics import Metrics, comparison_rows, recall_rows, summary
from examples.relations.recipe import RelationRecipe
from triovision.reporting.sections import Plot, Section, Table, write_sections_page
from triovision.train.evaluation.learning_curves import read_curves
from triovision.viz.classification_figures import bars, confusion_heatmap
from triovision.viz.comparison_figures import seed_bars
from triovision.viz.palette import Palette
from triovision.viz.run_figures import accuracy_curves, loss_curves

PAGE: Final = "report.html"
RECALL_COLUMNS: Final = ("relation", "training pairs", "class weight", "measured pairs", "recall")
COMPARISON_COLUMNS: Final = ("recipe", "seeds", "accuracy", "macro recall", "rare recall", "epochs", "what it is")
OTHER_DATA: Final = (
    "The study's published accuracy of 61.67 %, and the 73 to 79 % that it aimed at, are of another data set: no "
    "figure here can be compared with them."
)
_SHOWN_PROBLEMS: Final = 50


def write_run_page(folder: Path, metrics: Metrics, annotations: Annotations, recipe: RelationRecipe) -> Path:
    """Write `report.html` of a run from its metrics and its logs.

    Args:
        folder: Folder of the run.
        metrics: Its metrics.
        annotations: Its pairs, for what could not be used.
        recipe: Its recipe.

    Returns:
        Path of the page.
    """
    epochs = read_curves(folder)
    counts = [[name, f"{number:,}"] for name, number in metrics["parameters"].items()]
    sections = [
        *_answers(metrics),
        Section(
            "Learning curves",
            [
                f"The weights are those of epoch {metrics['best_epoch']} of {metrics['epochs']}, with the smallest "
                "validation loss."
            ],
            plots=[
                Plot(partial(loss_curves, epochs), "Loss; that of training is weighted and has dropout."),
                Plot(partial(accuracy_curves, epochs), "Accuracy; that of training is of the oversampled pairs."),
            ],
        ),
        _annotations(annotations),
        Section(
            "Network",
            [f"Recipe {recipe.name}: {recipe.description}. The backbone is {recipe.architecture}, frozen."],
            tables=[Table(("layers", "trained parameters"), counts)],
        ),
    ]
    title = f"Relations: {recipe.name}, seed {recipe.seed}"
    return write_sections_page(folder / PAGE, title, f"{summary(metrics)} {OTHER_DATA}", sections)


def write_comparison_page(folder: Path, recipes: Sequence[RelationRecipe], runs: Sequence[Metrics]) -> Path:
    """Write `report.html` of several recipes over their seeds.

    Args:
        folder: Folder of the page.
        recipes: Recipes in the order of the table, the study first.
        runs: Metrics of all runs.

    Returns:
        Path of the page.
    """
    text = [
        "One row a recipe: mean ± standard deviation over its seeds. Rare recall is the mean recall of the relations "
        "with fewer than 100 training pairs.",
        "A difference smaller than the spread over the seeds, or than the interval of the accuracy, tells nothing.",
    ]
    plots = [
        Plot(
            partial(_seed_bars, recipes, runs, metric, title),
            f"Mean {title} of each recipe; a tick is a seed, the line the standard deviation.",
        )
        for metric, title in (("accuracy", "accuracy"), ("macro_recall", "macro recall"))
    ]
    study = next(run for run in runs if run["recipe"] == recipes[0].name)
    sections = [
        Section("Recipes", text, tables=[Table(COMPARISON_COLUMNS, comparison_rows(recipes, runs))], plots=plots),
        Section(f"The run {study['recipe']}, seed {study['seed']}", [summary(study)]),
        *_answers(study),
    ]
    found = f"{len(runs)} runs of {len(recipes)} recipes, measured on {study['pairs']:,} pairs ({study['part']})."
    return write_sections_page(folder / PAGE, "Relations: what each change is worth", f"{found} {OTHER_DATA}", sections)


def _answers(metrics: Metrics) -> list[Section]:
    """Recall by relation and confusion of a run."""
    recall = {name: of["recall"] for name, of in metrics["relations"].items() if of["recall"] is not None}
    table = Table(RECALL_COLUMNS, recall_rows(metrics), "With few measured pairs, a recall says little.")
    confusion = partial(confusion_heatmap, np.array(metrics["confusion"]), RELATIONS)
    return [
        Section("Recall by relation", tables=[table], plots=[Plot(partial(_bars, recall), "Recall by relation.")]),
        Section(
            "Confusion",
            plots=[Plot(confusion, "Number of pairs by truth and prediction; the colour is its share of the row.")],
        ),
    ]


def _annotations(annotations: Annotations) -> Section:
    text = [f"{len(annotations.pairs):,} pairs are usable."]
    if annotations.false:
        text.append(f"{annotations.false:,} annotations say which relation does not hold; they are left out.")
    if annotations.left_out:
        listed = ", ".join(f"{name} ({n})" for name, n in annotations.left_out.items())
        text.append(f"Predicates that are none of the ten relations, left out: {listed}.")
    problems = annotations.problems
    caption = f"Entries that cannot be used: {len(problems):,}, of which at most {_SHOWN_PROBLEMS} are shown."
    tables = [Table(("entry", "reason"), problems[:_SHOWN_PROBLEMS], caption)] if problems else []
    return Section("Annotations", text, tables=tables)


def _bars(recall: dict[str, float], palette: Palette) -> go.Figure:
    return bars(recall, palette, "recall")


def _seed_bars(
    recipes: Sequence[RelationRecipe], runs: Sequence[Metrics], metric: str, title: str, palette: Palette
) -> go.Figure:
    values = {recipe.name: [run[metric] for run in runs if run["recipe"] == recipe.name] for recipe in recipes}
    return seed_bars(values, palette, title)
