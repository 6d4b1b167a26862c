from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from examples.relations.annotations import read_annotations
from examples.relations.geometry import RELATIONS, relations_of
from examples.relations.scenes import counts_for, draw_boxes, write_scenes
from triovision.errors import ManifestError

FOLDS = {"0": (200, 0, 0), "3": (0, 200, 0), "4": (0, 0, 200), "test": (200, 200, 200)}
CHANNEL = {"train": 0, "val": 1, "test": 2}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three photos of each fold, each fold with a colour of its own."""
    rows = ["file,country,split_new_sources"]
    for fold, colour in FOLDS.items():
        for i in range(3):
            Image.new("RGB", (90, 120), colour).save(tmp_path / f"{fold}{i}.png")
            rows.append(f"{fold}{i}.png,FR,{fold}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_the_published_proportions() -> None:
    counts = counts_for(30_860, 0)
    assert (counts["on"], counts["inside"], counts["outside"]) == (13_103, 137, 38)
    assert abs(sum(counts.values()) - 30_860) <= 7
    small = counts_for(5000, 60)
    assert (small["on"], small["inside"], small["outside"]) == (2123, 60, 60)


def test_boxes_have_the_drawn_relations() -> None:
    counts = counts_for(300, 5)
    subject, object_, labels = draw_boxes(counts, seed=1)
    assert Counter(RELATIONS[label] for label in labels) == counts
    np.testing.assert_array_equal(relations_of(subject, object_), labels)
    assert (subject[:, :2] >= 0).all()
    assert (subject[:, 2:] <= [256, 192]).all()
    assert (labels[:30] != labels[0]).any()  # shuffled
    again = draw_boxes(counts, seed=1)
    np.testing.assert_array_equal(again[0], subject)
    assert not np.array_equal(draw_boxes(counts, seed=2)[0], subject)


def test_scenes_can_be_read_and_have_each_relation_in_each_part(scenes: Path) -> None:
    found = read_annotations(scenes)
    assert not found.problems
    np.testing.assert_array_equal(relations_of(*found.boxes), found.labels)
    by_part = Counter((pair.part, pair.relation) for pair in found.pairs)
    assert set(by_part) == {(part, name) for part in CHANNEL for name in RELATIONS}
    assert by_part["train", "on"] == round(
        0.6 * (by_part["train", "on"] + by_part["val", "on"] + by_part["test", "on"])
    )


def test_no_photo_is_in_two_parts(photos: Path, tmp_path: Path) -> None:
    write_scenes(tmp_path / "out", counts_for(20, 2), photos, seed=0)
    for pair in read_annotations(tmp_path / "out").pairs:
        pixels = np.asarray(Image.open(pair.image)).astype(int)
        channel = CHANNEL[pair.part]
        assert (pixels[..., channel] > 150).all()
        assert (np.delete(pixels, channel, axis=2) < 60).all()


def test_the_smaller_object_lies_over_the_larger_one(tmp_path: Path) -> None:
    write_scenes(tmp_path, {"inside": 5}, None, seed=0)
    write_scenes(tmp_path / "again", {"inside": 5}, None, seed=0)
    for pair in read_annotations(tmp_path).pairs:
        pixels = np.asarray(Image.open(pair.image)).astype(int)
        x0, y0, x1, y1 = (int(side) for side in pair.subject)
        inner = pixels[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1]
        assert inner.std() > 5
        assert pair.image.read_bytes() == (tmp_path / "again" / "scenes" / pair.image.name).read_bytes()


def test_a_stopped_generator_goes_on(tmp_path: Path) -> None:
    write_scenes(tmp_path, {"on": 6, "near": 6}, None, seed=0)
    first, second = tmp_path / "scenes" / "00000.jpg", tmp_path / "scenes" / "00001.jpg"
    whole = second.read_bytes()
    second.unlink()
    first.write_bytes(b"kept")
    write_scenes(tmp_path, {"on": 6, "near": 6}, None, seed=0)
    assert (first.read_bytes(), second.read_bytes()) == (b"kept", whole)


def test_scenes_of_other_settings_are_never_mixed(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_scenes(out, {"on": 3}, None, seed=0)
    whole = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for counts, folder, seed in (({"on": 4}, None, 0), ({"on": 3}, None, 1), ({"on": 3}, photos, 0)):
        with pytest.raises(ManifestError, match="holds other scenes or annotations"):
            write_scenes(out, counts, folder, seed)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == whole


def test_annotations_of_ones_own_are_kept(tmp_path: Path) -> None:
    (tmp_path / "relations.json").write_text("[]")
    with pytest.raises(ManifestError, match="holds other scenes or annotations"):
        write_scenes(tmp_path, {"on": 3}, None, seed=0)
    assert (tmp_path / "relations.json").read_text() == "[]"


def test_a_manifest_without_photos_of_a_part_is_refused(photos: Path, tmp_path: Path) -> None:
    manifest = photos / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",3\n", ",4\n"))
    with pytest.raises(ManifestError, match="has 0 photos in the folds 3 of `split_new_sources`, for val"):
        write_scenes(tmp_path / "out", {"on": 5}, photos, seed=0)


def test_photos_that_cannot_be_read_are_no_endless_loop(photos: Path, tmp_path: Path) -> None:
    for photo in photos.glob("*.png"):
        photo.write_text("no picture")
    with pytest.raises(ManifestError, match="cannot be read"):
        write_scenes(tmp_path / "out", {"on": 5}, photos, seed=0)
