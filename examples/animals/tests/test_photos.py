from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from examples.animals.photos import part, write_binary
from triovision.errors import ManifestError


def noise(seed: int) -> Image.Image:
    """Coarse noise; no two seeds give near-duplicates."""
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((48, 48), Image.Resampling.BICUBIC)


def table_of(tmp_path: Path, rows: list[tuple[str, str, str]]) -> Path:
    """Manifest of photos of noise: place, source and `split_new_sources` of each."""
    files = [f"{number}.png" for number in range(len(rows))]
    for number, file in enumerate(files):
        noise(number).save(tmp_path / file)
    table = pd.DataFrame(rows, columns=["place", "source", "split_new_sources"]).assign(file=files)
    table.to_csv(tmp_path / "photos.csv", index=False)
    return tmp_path / "photos.csv"


def folders(tmp_path: Path, **photos: int) -> Path:
    for name, number in photos.items():
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(number):
            noise(sum(map(ord, name)) * 100 + i).save(tmp_path / "data" / name / f"{i}.png")
    return tmp_path / "data"


def test_folders_become_the_class_and_as_many_others(tmp_path: Path) -> None:
    data = folders(tmp_path, fox=20, wolf=15, owl=30)
    photos = write_binary(data, "class", ["fox"], "fox", tmp_path / "m.csv")
    assert photos.labels.value_counts().to_dict() == {"fox": 20, "rest": 20}
    assert set(photos.labels[photos.table["file"].str.startswith("fox/")]) == {"fox"}
    held_out = part(photos, test=True)
    assert held_out.labels.value_counts().to_dict() == {"fox": 4, "rest": 4}
    assert len(part(photos, test=False)) == 32


def test_an_existing_manifest_is_read_and_not_drawn_again(tmp_path: Path) -> None:
    data = folders(tmp_path, fox=20, owl=30)
    first = write_binary(data, "class", ["fox"], "fox", tmp_path / "m.csv", seed=0)
    again = write_binary(data, "class", ["fox"], "fox", tmp_path / "m.csv", seed=1)
    assert first.sha256 == again.sha256


def test_the_rest_comes_from_the_sources_of_the_class_as_far_as_they_go(tmp_path: Path) -> None:
    rows = [("tower", "a", "0")] * 20 + [("lake", "a", "0")] * 40 + [("lake", "b", "0")] * 200
    photos = write_binary(table_of(tmp_path, rows), "place", ["tower"], "tower", tmp_path / "m.csv")
    assert photos.table.loc[photos.labels == "rest", "source"].tolist() == ["a"] * 20


def test_held_out_photos_are_of_sources_of_their_own(tmp_path: Path) -> None:
    rows = [(place, f"source{n}", "0") for n in range(10) for place in ("tower", "lake") for _ in range(6)]
    rows += [("tower", "never", "test")] * 5
    photos = write_binary(table_of(tmp_path, rows), "place", ["tower"], "tower", tmp_path / "m.csv")
    held_out, others = part(photos, test=True), part(photos, test=False)
    assert not set(held_out.table["source"]) & set(others.table["source"])
    assert 0 < len(held_out) < len(others)
    assert set(held_out.labels) == {"tower", "rest"}
    assert "never" not in set(photos.table["source"])  # marked `test` in the data


def test_unreadable_photos_are_left_out_and_listed(tmp_path: Path) -> None:
    data = folders(tmp_path, fox=20, owl=30)
    (data / "fox" / "0.png").write_bytes(b"no photo")
    photos = write_binary(data, "class", ["fox"], "fox", tmp_path / "m.csv")
    assert (photos.labels == "fox").sum() == 19
    listed = pd.read_csv(tmp_path / "left_out.csv")
    assert listed["file"].tolist() == ["fox/0.png"]
    assert listed["reason"].str.len().gt(0).all()


def test_a_photo_of_both_classes_is_left_out_and_listed(tmp_path: Path) -> None:
    data = folders(tmp_path, fox=20, owl=20)
    (data / "owl" / "0.png").write_bytes((data / "fox" / "3.png").read_bytes())
    photos = write_binary(data, "class", ["fox"], "fox", tmp_path / "m.csv")
    assert photos.labels.value_counts().to_dict() == {"fox": 19, "rest": 19}
    listed = pd.read_csv(tmp_path / "left_out.csv").set_index("file")["reason"].to_dict()
    assert listed == dict.fromkeys(["fox/3.png", "owl/0.png"], "is a photo of the class and of the rest")


def test_copies_stay_on_one_side(tmp_path: Path) -> None:
    data = folders(tmp_path, fox=20, owl=40)
    for i in range(20):
        (data / "fox" / f"copy{i}.png").write_bytes((data / "fox" / f"{i}.png").read_bytes())
    table = write_binary(data, "class", ["fox"], "fox", tmp_path / "m.csv").table
    foxes = table[table["class"] == "fox"]
    original = foxes["file"].str.replace("copy", "")
    assert foxes.groupby(original)["split"].nunique().eq(1).all()
    assert foxes.groupby(original)["place"].nunique().eq(1).all()  # which cross-validation keeps together
    assert set(foxes["split"]) == {"train", "test"}


@pytest.mark.parametrize(
    ("photos", "positive", "error"),
    [
        ({"fox": 20}, "fox", "holds readable photos of one class only. Add a folder of other photos"),
        ({"fox": 20, "owl": 20}, "wolf", "has no photo of wolf, but of fox, owl"),
        ({"rest": 20, "owl": 20}, "rest", "rest: is the name of all other photos. Give the class another one"),
        ({"fox": 20, "owl": 3}, "fox", "has 3 readable photos of rest, and 10 are needed"),
    ],
)
def test_what_cannot_be_learnt_from_is_named(tmp_path: Path, photos: dict[str, int], positive: str, error: str) -> None:
    with pytest.raises(ManifestError, match=error):
        write_binary(folders(tmp_path, **photos), "class", [positive], positive, tmp_path / "m.csv")
