"""Ranking of the explanation methods on real photos that the explained network was not trained on.

For the most probable country of each photo:

- average drop ("Grad-CAM++", Chattopadhay et al., 2018): relative loss of the country's probability when the network
  sees the photo times its map. Lower is better, but a map that shows everything has a drop of zero, so that the mean
  area of the map is printed beside it. Of signed maps both use the positive part. A map of single pixels is nearly
  black under a product, so that its drop is close to one whatever it shows.
- area under the deletion and the insertion curve ("RISE", Petsiuk et al., 2018), which need the order of the pixels
  only: low and high is better. The table is sorted by their difference.

The time is that of the processor, so that other work on the machine does not count: median over the photos.

Bare references that know nothing of the network: a Gaussian at the centre, a random map of the grid of class activation
maps, and a random map of single pixels.

Photos, none with a label that was used:

- `efficientnet_lites.places14k`, the default model: its backbones are ImageNet's, its last layer was fitted on every
  photo but those of `split_new_sources == "test"`, which are taken here. Nothing is chosen by them.
- `tf_efficientnet_lite0.places10k` was trained on all photos but `split_known_places == "val"`, as its card says.

Score-CAM runs the network once a channel, 1,280 and 3,840 times here. It is measured on the first photos only, and a
second table has all methods on these.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import bootstrap
from torch.nn import functional as F

from triovision.explain import explain_country, methods_for
from triovision.explain.faithfulness import deletion_and_insertion
from triovision.explain.scores import Target
from triovision.explain.turns import ExplanationLimits
from triovision.inference import CountryEngine, load_model
from triovision.inference.batch import read_photo_file
from triovision.results import Photo
from triovision.train.data.manifest import read_manifest

UNSEEN = {
    "efficientnet_lites.places14k": ("split_new_sources", "test"),
    "tf_efficientnet_lite0.places10k": ("split_known_places", "val"),
}
"""Column of the manifest and its value for photos that a model was not trained on."""

CENTRE = "(centre)"

Map = NDArray[np.float32]
Row = dict[str, float | str]


def unseen_photos(folder: Path, model_id: str, count: int) -> list[Path]:
    """Return a random sample of the photos that a model was not trained on; a smaller one is the start of a larger."""
    column, value = UNSEEN[model_id]
    manifest = read_manifest(folder / "manifest.csv", columns=[column])
    paths = manifest.where(manifest.table[column] == value).paths
    return [paths[i] for i in np.random.default_rng(0).permutation(len(paths))[:count]]


def references(grid: tuple[int, int], size: tuple[int, int], seed: int) -> dict[str, Map]:
    """Return maps that know nothing of the network, on the grid of a layer and on that of the input."""
    random = np.random.default_rng(seed)
    y, x = np.meshgrid(*(np.linspace(-1, 1, side) for side in size), indexing="ij")
    return {
        CENTRE: np.exp(-(x**2 + y**2) / (2 * 0.5**2)).astype(np.float32),
        "(random grid)": random.random(grid, np.float32),
        "(random pixels)": random.random(size, np.float32),
    }


def measure(engine: CountryEngine, photo: Photo, methods: Sequence[str], seed: int) -> Iterator[Row]:
    """Measure each method and reference on one photo."""
    batch_nchw = engine.preprocess([photo])
    size = (int(batch_nchw.shape[2]), int(batch_nchw.shape[3]))
    with torch.inference_mode():
        label = int(engine.network(batch_nchw)[0].argmax())
    country = engine.labels[label]
    maps: dict[str, tuple[Map, float]] = {}
    for method in methods:
        start_s = time.process_time()
        explanation = explain_country(engine, photo, country, method, limits=ExplanationLimits(total_s=3600))
        maps[method] = explanation.heatmap_hw, (time.process_time() - start_s) * 1000
    grid = maps["LayerCAM"][0].shape
    maps |= {name: (one, float("nan")) for name, one in references((grid[0], grid[1]), size, seed).items()}
    for method, (heatmap_hw, processor_ms) in maps.items():
        mask = F.interpolate(torch.from_numpy(heatmap_hw).clamp(min=0)[None, None], size, mode="bilinear")
        with torch.inference_mode():
            whole, left = engine.network(torch.cat([batch_nchw, batch_nchw * mask])).softmax(1)[:, label].tolist()
            deletion, insertion = deletion_and_insertion(engine.network, Target(label), batch_nchw, heatmap_hw)
        fraction = np.linspace(0, 1, len(deletion))
        yield {
            "method": method,
            "drop": max(0.0, whole - left) / whole,
            "area": float(mask.mean()),
            "deletion": float(np.trapezoid(deletion, fraction)),
            "insertion": float(np.trapezoid(insertion, fraction)),
            "ms": processor_ms,
        }


def print_table(rows: Sequence[Row], against: str = CENTRE) -> None:
    """Print the means with 95 % intervals from resampling photos, best difference of insertion and deletion first.

    "above …" is what a method has more than `against` on the same photo: photos differ far more than methods, so that
    two intervals of methods may overlap and one method still be better on nearly every photo.
    """
    by_method: dict[str, list[Row]] = {}
    for row in rows:
        by_method.setdefault(str(row["method"]), []).append(row)

    def column(method: str, name: str) -> NDArray[np.float64]:
        return np.array([float(row[name]) for row in by_method[method]])

    def faithful(method: str) -> NDArray[np.float64]:
        return column(method, "insertion") - column(method, "deletion")

    titles = ("insertion - deletion", f"above {against}", "insertion", "deletion", "drop")
    print(f"{'method':22}" + "".join(f"{title:>24}" for title in titles) + f"{'area':>8}{'ms':>8}")
    for method in sorted(by_method, key=lambda name: faithful(name).mean(), reverse=True):
        above = "" if method == against else _interval(faithful(method) - faithful(against))
        cells = [_interval(faithful(method)), above]
        cells += [_interval(column(method, name)) for name in ("insertion", "deletion", "drop")]
        print(f"{method:22}" + "".join(f"{cell:>24}" for cell in cells), end="")
        print(f"{column(method, 'area').mean():8.2f}{median(column(method, 'ms')):8.0f}")


def _interval(values: NDArray[np.float64]) -> str:
    found = bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(0)).confidence_interval
    return f"{values.mean():.3f} ({found.low:.3f}, {found.high:.3f})"


def main() -> None:
    """Measure photo by photo, each time printing how far it is, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="efficientnet_lites.places14k", choices=UNSEEN)
    parser.add_argument("--photos", type=int, default=24)
    parser.add_argument("--score-cam", type=int, default=0, help="photos on which Score-CAM is measured too")
    parser.add_argument("--rows", type=Path, help="file of the rows, JSON lines; photos that it holds are not repeated")
    parser.add_argument("--against", default=CENTRE, help="method or reference that all are compared with")
    asked = parser.parse_args()
    folder = os.environ.get("TRIOVISION_DATA")
    if folder is None:
        raise SystemExit("Set TRIOVISION_DATA to a folder with manifest.csv and its photos.")
    engine = load_model(asked.model, device="cpu")
    assert isinstance(engine, CountryEngine)
    methods = methods_for(engine)
    comparable = [CENTRE, *(method for method in methods if method != "Score-CAM")]
    if asked.against not in comparable:  # not known before the model is
        parser.error(f"--against is one of {', '.join(comparable)}")
    paths = unseen_photos(Path(folder), asked.model, asked.photos)
    rows: list[Row] = []
    if asked.rows is not None and asked.rows.exists():
        wanted = {path.name for path in paths}
        rows = [row for line in asked.rows.read_text().splitlines() if (row := json.loads(line))["photo"] in wanted]
    done = {row["photo"] for row in rows}
    for i, path in enumerate(paths):
        if path.name not in done:
            chosen = [method for method in methods if method != "Score-CAM" or i < asked.score_cam]
            found: list[Row] = [
                {"photo": path.name, **row} for row in measure(engine, read_photo_file(path), chosen, i)
            ]
            rows += found
            if asked.rows is not None:
                with asked.rows.open("a") as file:
                    file.writelines(json.dumps(row) + "\n" for row in found)
        print(f"{i + 1} of {asked.photos} photos", end="\r", flush=True)
    print(f"{len(paths)} photos, {engine.card.id}")
    print_table([row for row in rows if row["method"] != "Score-CAM"], asked.against)
    if asked.score_cam > 1:
        first = {path.name for path in paths[: asked.score_cam]}
        print(f"\nThe first {len(first)} photos, with Score-CAM")
        print_table([row for row in rows if row["photo"] in first], asked.against)


if __name__ == "__main__":
    main()
