"""Report page of the study: variants, the best one, t-SNE of the photos, activations of each layer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from examples.animals.photos import REST, SPLIT, TEST, part
from examples.animals.study import SEARCH, Study, Variant, read_variant
from triovision.explain import layer_activations, strongest_channels
from triovision.files import atomic_write
from triovision.inference.batch import read_photo_file
from triovision.inference.calibration import probabilities
from triovision.reporting.sections import Cell, Picture, Plot, Section, Table, write_sections_page
from triovision.train.data.manifest import Manifest
from triovision.train.engine.run_folder import CountryRun, read_country_run
from triovision.train.evaluation.embedding import initial_network, sample_features, tsne_layout
from triovision.train.tuning.study import TRIALS
from triovision.viz.activation_mosaic import activation_mosaic
from triovision.viz.classification_figures import confusion_heatmap
from triovision.viz.palette import LIGHT, Palette
from triovision.viz.run_figures import accuracy_curves, loss_curves
from triovision.viz.run_style import apply_style, colours, safe_name

REPORT, SUMMARY = "report.html", "metrics.json"
_CHANNELS: Final = 36
_TSNE_PHOTOS: Final = 1000
_TRIALS: Final = 10


def write_report(study: Study, variants: Sequence[Variant]) -> Path:
    """Write `metrics.json` and `report.html` into the folder of the study.

    Args:
        study: The study.
        variants: Its variants, at least one.

    Returns:
        Path of the page.
    """
    best = max(variants, key=lambda one: one.spread("top1")[0])
    summary = {one.name: _metrics(one) for one in variants}
    atomic_write(study.out / SUMMARY, json.dumps(summary, indent=1) + "\n")
    name = next(label for label in sorted(set(study.photos.labels)) if label != REST)
    found = f"{best.name} has the best cross-validation; {accuracy_text(best)}."
    sections = [
        _photos_section(study.photos),
        _variants_section(variants),
        *([_search_section(study.out / SEARCH)] if "searched" in summary else []),
        _best_section(best, name),
        _tsne_section(study, features="transfer" in summary),
        *(_activations_section(study, one.name) for one in variants if one.name in ("baseline", "transfer")),
    ]
    return write_sections_page(study.out / REPORT, f"Is it a {name}?", found, sections)


def accuracy_text(variant: Variant) -> str:
    """Accuracy in cross-validation and on the held-out photos, as text."""
    mean, sd = variant.spread("top1")
    test = variant.test
    interval = "" if test.low is None or test.high is None else f" ({test.low:.1%} to {test.high:.1%})"
    return (
        f"cross-validation {mean:.1%} ± {sd:.1%}, held-out {test.accuracy:.1%}{interval}, "
        f"ROC AUC {test.roc_auc:.3f}, {test.photos} photos"
    )


def _metrics(variant: Variant) -> dict[str, object]:
    mean, sd = variant.spread("top1")
    return {"cross_validation_mean": mean, "cross_validation_sd": sd, "held_out": variant.test.model_dump()}


def _photos_section(photos: Manifest) -> Section:
    counts = pd.crosstab(photos.labels, photos.table[SPLIT])
    rows: list[list[Cell]] = [
        [str(label), int(row.get("train", 0)), int(row.get(TEST, 0))] for label, row in counts.iterrows()
    ]
    text = ["No epoch, setting or variant was chosen on the held-out photos."]
    if "source" in photos.table:
        held_out, others = (set(part(photos, test=test).table["source"]) for test in (True, False))
        shared = "some of them" if held_out & others else "none of which is"
        text.append(f"They are of {len(held_out)} sources, {shared} in the other part.")
        text.append("Intervals resample sources; with fewer than ten they are too narrow.")
    return Section("Photos", text, [Table(("class", "cross-validation", "held-out"), rows)])


def _variants_section(variants: Sequence[Variant]) -> Section:
    rows: list[list[Cell]] = []
    for one in variants:
        mean, sd = one.spread("top1")
        (hit, missed), (false, rejected) = one.test.confusion
        low_high = "–" if one.test.low is None else f"{one.test.low:.1%} to {one.test.high:.1%}"  # noqa: RUF001
        row = (one.name, f"{mean:.1%} ± {sd:.1%}", f"{one.test.accuracy:.1%}", low_high)
        recalls = f"{hit / (hit + missed):.1%}", f"{rejected / (false + rejected):.1%}"
        parameters = next(iter(one.folds.values())).cost.parameters
        rows.append([*row, f"{one.test.roc_auc:.3f}", *recalls, f"{parameters:,}"])
    columns = ("variant", "cross-validation", "held-out", "95 % interval", "ROC AUC")
    table = Table(
        (*columns, "recall of the class", "recall of the rest", "parameters"),
        rows,
        "Cross-validation: mean and standard deviation of the accuracy over the folds, in each of which the epoch was "
        "chosen on the fold itself; the search chose on the first one. Held-out: the mean probability of the networks "
        "of all folds, with the interval from resampling sources, or photos where no source is known.",
    )
    changes = Table(("variant", "what it is"), [(one.name, one.description) for one in variants])
    return Section("Variants", tables=[changes, table])


def _search_section(folder: Path) -> Section:
    """The best trials, random or of the grid."""
    all_trials = pd.read_csv(folder / TRIALS)
    trials = all_trials[all_trials["state"] == "COMPLETE"].sort_values("value", ascending=False, kind="stable")
    settings = [column for column in trials if column.startswith("params_")]
    grid = trials.get("user_attrs_phase", pd.Series(index=trials.index, dtype=str)) == "grid"
    rows: list[list[Cell]] = [
        [
            int(trial["number"]),
            "grid" if of_grid else "random",
            *(f"{value:.2g}" if isinstance(value, float) else value for value in trial[settings]),
            f"{trial['value']:.1%}",
        ]
        for (_, trial), of_grid in zip(trials.iterrows(), grid, strict=True)
    ]
    columns = ("trial", "phase", *(name.rpartition(".")[2] for name in settings), "accuracy")
    caption = (
        f"The best {min(len(rows), _TRIALS)} of {len(all_trials)} trials, by the accuracy on the first fold; "
        f"{len(all_trials) - len(rows)} were stopped early."
    )
    text = "The settings were drawn at random; then the neighbours of the best trial's numbers were tried, the grid."
    return Section("The search", [text], [Table(columns, rows[:_TRIALS], caption)])


def _best_section(best: Variant, name: str) -> Section:
    first = next(iter(best.folds.values()))
    plots = [
        Plot(lambda palette: loss_curves(first.epochs, palette), "Loss by epoch in the first fold."),
        Plot(lambda palette: accuracy_curves(first.epochs, palette), "Accuracy by epoch in the first fold."),
        Plot(
            lambda palette: confusion_heatmap(np.array(best.test.confusion), (name, REST), palette),
            "Held-out photos: the truth in rows, the answer in columns.",
        ),
    ]
    return Section(f"The best variant: {best.name}", [best.description, first.overfitting.verdict], plots=plots)


def _tsne_section(study: Study, *, features: bool) -> Section:
    """Layout of the pixels, and with `features` that of the features of the backbone of `transfer`."""
    rows = np.random.default_rng(0).permutation(len(study.photos))[:_TSNE_PHOTOS]
    sample = study.photos.where(study.photos.table.index.isin(rows))
    names = {"baseline": "The pixels"} | ({"transfer": "The features of {} before training"} if features else {})
    plots = []
    for variant, caption in names.items():
        recipe = read_variant(variant, study.overrides)
        if variant == "baseline":
            pixels = recipe.preprocessing.batch([read_photo_file(path).image_hwc for path in sample.paths])
            points, read = pixels.flatten(1).numpy(), np.arange(len(sample))
        else:
            points, read = sample_features(*initial_network(recipe, study.weights), sample.paths, lambda _: None)
        draw = partial(_scatter, tsne_layout(points, seed=0), sample.labels.to_numpy()[read])
        plots.append(Plot(draw, f"{caption.format(recipe.architecture)}: a point is a photo, its colour the class."))
    text = (
        f"t-SNE lays {len(sample)} photos out in a plane so that photos with similar numbers are neighbours. Read who "
        "is near whom: the axes have no unit, and the distance between two groups has no meaning. Where the colours "
        "mix, these numbers alone do not tell the classes apart."
    )
    return Section("t-SNE of the photos", [text], plots=plots)


def _scatter(layout: NDArray[np.float32], labels: NDArray[np.str_], palette: Palette) -> go.Figure:
    figure = go.Figure()
    for label, color in zip(sorted(set(labels)), colours(palette), strict=False):
        x, y = layout[labels == label].T
        figure.add_scatter(x=x, y=y, mode="markers", name=safe_name(label), marker={"color": color, "size": 6})
    apply_style(figure, palette, 520)
    figure.update_xaxes(showticklabels=False)
    figure.update_yaxes(showticklabels=False, scaleanchor="x")
    return figure


def _activations_section(study: Study, variant: str) -> Section:
    """Outputs of convolutions for the held-out photo that is taken for the class with the highest probability."""
    run = read_country_run(study.out / variant / "fold-1")
    held_out = part(study.photos, test=True)
    candidates = [path for path, label in zip(held_out.paths, held_out.labels, strict=True) if label != REST][:32]
    images = [read_photo_file(path).image_hwc for path in candidates]
    batch = run.recipe.preprocessing.batch(images)
    label = [name != REST for name in run.labels].index(True)
    logits = layer_activations(run.network, batch, [""])[""]
    scores = probabilities(logits.float().numpy(), 1.0)[:, label]
    chosen = int(scores.argmax())
    pictures = [Picture(Image.fromarray(images[chosen]), f"The photo: {scores[chosen]:.1%} {run.labels[label]}.")]
    outputs = layer_activations(run.network, batch[chosen : chosen + 1], convolutions(run))
    for name, maps in outputs.items():
        shown = strongest_channels(name, maps[0], _CHANNELS)
        caption = f"{name}: the {len(shown.channels)} strongest of {shown.total_channels} channels."
        pictures.append(Picture(activation_mosaic(shown.maps_khw, LIGHT), caption))
    text = (
        "The held-out photo of the class that this network is surest of, and what the convolutions make of it. A "
        "picture of a grid is the output of one channel, from its least value (black) to its greatest (light yellow); "
        "the channels with the largest outputs come first. A channel is bright where it found its pattern."
    )
    return Section(f"Inside {variant}", [text], pictures=pictures)


def convolutions(run: CountryRun) -> list[str]:
    """Dotted names of the convolutions that are shown: all of a small network, else the last one of each stage."""
    names = [name for name, module in run.network.named_modules() if isinstance(module, nn.Conv2d)]
    stages = getattr(run.network, "feature_info", None)
    if stages is None:
        return names
    return [[name for name in names if name.startswith(f"{stage['module']}.")][-1] for stage in stages]
