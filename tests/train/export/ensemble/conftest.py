"""Two made models and the photos that they held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from triovision.inference.card import Provenance
from triovision.train.data.manifest import Manifest, read_manifest

NEW, KNOWN = "split_new_places", "split_known_places"
A, B = "test_efficientnet.a", "test_efficientnet.b"

#: Of each kind some are in either half of the places.
NEW_TOWNS = (0, 1, 4)

TOWNS = {
    "FR": [(48.85, 2.35), (43.30, 5.37), (45.76, 4.84), (47.22, -1.55), (43.60, 1.44), (50.63, 3.06)],
    "CN": [(39.90, 116.40), (31.23, 121.47), (23.13, 113.26), (30.57, 104.07), (34.34, 108.94), (22.54, 114.06)],
    "IT": [(41.90, 12.50), (45.46, 9.19), (40.85, 14.27), (45.07, 7.69), (43.77, 11.25), (38.12, 13.36)],
}


@dataclass(frozen=True)
class Study:
    """A manifest, and the folder of the models that were trained on it."""

    folder: Path
    manifest: Manifest
    models: Path


@pytest.fixture
def study(tmp_path: Path, write_tiny_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Study:
    """Two photos of each of 18 towns: three towns a country are new, of the others one photo is held out.

    One photo cannot be read, one has no position, and one shows a country that no model knows. The second model knows
    no town of Italy, and learnt from the new places.
    """
    random = np.random.default_rng(0)
    rows = [f"file,country,lat,lon,place,{NEW},{KNOWN}"]
    for country, towns in TOWNS.items():
        for i, (lat, lon) in enumerate(towns):
            for j in range(2):
                file = f"{country}{i}{j}.png"
                Image.fromarray(random.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(tmp_path / file)
                position = "," if file == "CN11.png" else f"{lat},{lon}"
                marks = ("val", "train") if i in NEW_TOWNS else ("train", "val" if j else "train")
                rows.append(f"{file},{country},{position},{country}_{i},{','.join(marks)}")
    (tmp_path / "FR00.png").write_text("no photo")
    Image.fromarray(random.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(tmp_path / "AD.png")
    rows.append("AD.png,AD,42.5,1.5,AD_0,val,train")
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "words.toml").write_text('summary = "Two"\ndata = "noise"\nlimits = "all"\nlicence = "Apache-2.0"\n')
    manifest, models = read_manifest(tmp_path / "manifest.csv", columns=["place", NEW, KNOWN]), tmp_path / "models"
    monkeypatch.setenv("TRIOVISION_MODELS", str(models))
    for seed, (name, labels, held_out) in enumerate(
        [(A, ("CN", "FR", "IT"), (NEW, KNOWN)), (B, ("CN", "FR", "US"), (KNOWN,))]
    ):
        made = Provenance(
            recipe={"data": {"validation_splits": held_out}},
            manifest_sha256=manifest.sha256,
            photos=9,
            command="",
            data="noise",
        )
        write_tiny_model(models, name, seed=seed, labels=labels, provenance=made)
    return Study(tmp_path, manifest, models)
