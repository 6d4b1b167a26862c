"""Report page of a GAN: samples by epoch, figures, learning curves, and the photos that its pictures resemble most."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from PIL import Image

from examples.animals.gan.evaluation import Scores
from examples.animals.gan.networks import SIDE
from examples.animals.gan.recipe import GanRecipe
from examples.animals.gan.run import HELD_OUT, MADE, GanMetrics, Outcome
from examples.animals.gan.training import GRIDS, picture_grid
from triovision.reporting.sections import Picture, Plot, Section, Table, write_sections_page
from triovision.viz.classification_figures import bars
from triovision.viz.palette import Palette
from triovision.viz.run_style import curves

REPORT = "report.html"
#: Pictures in a row, and rows of the picture of the epochs.
_IN_A_ROW, _EPOCHS = 8, 8
#: Header of the scores.
COLUMNS = ("set", "pictures", "FID", "1000 KID", "taken for the class", "similarity to the nearest photo")


def write_gan_report(folder: Path, recipe: GanRecipe, outcome: Outcome) -> Path:
    """Write `report.html` into the folder of a run.

    Args:
        folder: Folder of the run.
        recipe: Its recipe.
        outcome: What the evaluation found.

    Returns:
        Path of the page.
    """
    named = ", ".join(recipe.data.values)
    made, real = outcome.metrics.scores[MADE], outcome.metrics.scores[HELD_OUT]
    summary = (
        f"{recipe.description}. It learned from {outcome.metrics.training_photos} photos of {named}. "
        f"{made.taken_for_class:.0%} of the made pictures are taken for the class, "
        f"{real.taken_for_class:.0%} of held-out photos. 1000 KID is {1000 * made.kid:.1f}, and "
        f"{1000 * real.kid:.1f} between photos of the class."
    )
    sections = [_samples(folder, outcome), _figures(recipe, outcome.metrics), _training(outcome.metrics)]
    sections += [_copies(outcome), Section("Recipe", tables=[_recipe(recipe)])]
    return write_sections_page(folder / REPORT, f"DCGAN: {recipe.name}", summary, sections)


def score_rows(named: dict[str, Scores] | dict[int, Scores]) -> list[list[str | int]]:
    """Rows of the table of scores, as text."""
    return [
        [
            str(name),
            scores.pictures,
            f"{scores.fid:.1f}",
            f"{1000 * scores.kid:.1f} ± {1000 * scores.kid_std:.1f}",
            f"{scores.taken_for_class:.1%}",
            f"{scores.nearest:.3f}",
        ]
        for name, scores in named.items()
    ]


def _samples(folder: Path, outcome: Outcome) -> Section:
    grids = sorted((folder / GRIDS).glob("epoch-*.png"))
    photos = outcome.training[:: max(1, len(outcome.training) // 64)][:64]
    pictures = [
        Picture(Image.open(grids[-1]), "Made pictures after the last epoch, always of the same 64 latent vectors."),
        Picture(picture_grid(photos), "Training photos of the class, as the network sees them."),
        _growth(grids),
    ]
    return Section("Pictures", pictures=pictures)


def _growth(grids: Sequence[Path]) -> Picture:
    """The first row of the grids of some epochs, one below the other."""
    chosen = [grids[i] for i in sorted(set(np.geomspace(1, len(grids), _EPOCHS).round().astype(int) - 1))]
    strip = Image.new("RGB", (_IN_A_ROW * SIDE, len(chosen) * SIDE))
    for row, path in enumerate(chosen):
        strip.paste(Image.open(path).crop((0, 0, strip.width, SIDE)), (0, row * SIDE))
    epochs = ", ".join(path.stem.removeprefix("epoch-").lstrip("0") for path in chosen)
    return Picture(strip, f"The same eight latent vectors after the epochs {epochs}, from the top.")


def _figures(recipe: GanRecipe, metrics: GanMetrics) -> Section:
    text = [
        f"FID and KID compare pooled features of {recipe.evaluation.backbone} (ImageNet), not those of Inception: they "
        "cannot be compared with published figures, only with each other. Every set is compared with the training "
        "photos of the class. Held-out photos of the class show the best that can be expected, noise the worst. FID "
        "grows where there are few pictures; KID does not, and its spread is over random subsets.",
        "The classifier is a logistic regression on the same features, of training photos of the class against the "
        f"rest. On held-out photos its balanced accuracy is {metrics.judge['balanced_accuracy']:.1%}, the area under "
        f"its ROC curve {metrics.judge['auroc']:.3f}.",
    ]

    def shares(palette: Palette) -> go.Figure:
        named = {name: scores.taken_for_class for name, scores in metrics.scores.items()}
        return bars(named, palette, "taken for the class")

    tables = [Table(COLUMNS, score_rows(metrics.scores))]
    if metrics.by_epoch:
        tables.append(Table(("epoch", *COLUMNS[1:]), score_rows(metrics.by_epoch), "Made pictures by epoch."))
    return Section("Figures", text, tables, [Plot(shares, "Fraction of each set that is taken for the class.")])


def _training(metrics: GanMetrics) -> Section:
    def plot(names: Sequence[str], title: str, caption: str) -> Plot:
        lines = {
            name: (
                [epoch.epoch for epoch in metrics.curves if name in epoch.values],
                [epoch.values[name] for epoch in metrics.curves if name in epoch.values],
            )
            for name in names
        }
        return Plot(lambda palette: curves(lines, palette, title), caption)

    caption = (
        "Losses of both networks. They play against each other: neither has to fall while the pictures get better."
    )
    plots = [
        plot(("discriminator/loss", "generator/loss"), "loss", caption),
        plot(
            ("real", "made"),
            "probability of being real",
            "What the discriminator thinks of training photos and of made pictures. At 50 % it cannot tell them apart; "
            "near 100 % and 0 % it knows its few photos by heart.",
        ),
    ]
    return Section("Training", plots=plots)


def _copies(outcome: Outcome) -> Section:
    both = torch.cat([outcome.made[:_IN_A_ROW], outcome.nearest[:_IN_A_ROW]])
    caption = "Made pictures, not selected; below each the training photo with the most similar features."
    text = ["A generator that copies its training photos has a perfect FID. Compare the two rows."]
    return Section("Are they copies?", text, pictures=[Picture(picture_grid(both, _IN_A_ROW), caption)])


def _recipe(recipe: GanRecipe) -> Table:
    (fields,) = pd.json_normalize(recipe.model_dump(mode="json", exclude={"name", "description"})).to_dict("records")
    rows = [(str(field), value if isinstance(value, str) else json.dumps(value)) for field, value in fields.items()]
    return Table(("field", "value"), rows)
