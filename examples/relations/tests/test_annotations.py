from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from examples.relations.annotations import Annotations, read_annotations
from triovision.errors import ManifestError

PREDICATES = ["on", "wear", "outside of", "in the front of"]


def picture(path: Path, orientation: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (100, 60)).save(path, exif=exif)


def plain(folder: Path, *entries: object) -> Annotations:
    (folder / "relations.json").write_text(json.dumps(entries))
    return read_annotations(folder)


def entry(**changes: object) -> dict[str, object]:
    return {"image": "a.jpg", "subject": [1, 2, 30, 40], "object": [0, 0, 100, 60], "relation": "inside"} | changes


def test_the_plain_layout(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    found = plain(tmp_path, entry(), entry(relation=" Next_To", split="valid"))
    assert [pair.relation for pair in found.pairs] == ["inside", "next to"]
    assert [pair.part for pair in found.pairs] == ["", "val"]
    first = found.pairs[0]
    assert (first.image, first.width, first.height) == (tmp_path / "a.jpg", 100, 60)
    np.testing.assert_array_equal(found.boxes[0], [[1, 2, 30, 40]] * 2)
    np.testing.assert_array_equal(found.boxes[1], [[0, 0, 100, 60]] * 2)
    assert found.labels.tolist() == [8, 7]
    assert (found.problems, found.left_out, found.false) == ((), {}, 0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"relation": ""}, "the relation is empty"),
        ({"relation": None}, "the relation is empty"),
        ({"subject": [1, 2, 101, 40]}, "the box of the subject is outside of the picture"),
        ({"object": [-1, 2, 30, 40]}, "the box of the object is outside of the picture"),
        ({"object": [30, 2, 30, 40]}, "the box of the object is empty"),
        ({"subject": [1, 2, 30, 10**400]}, "the box of the subject is outside of the picture"),
        ({"subject": [1, 2, 30]}, "the box of the subject is not four numbers"),
        ({"subject": [1, 2, "30", 40]}, "the box of the subject is not four numbers"),
        ({"subject": [1, 2, float("nan"), 40]}, "the box of the subject is empty"),
        ({"image": "b.jpg"}, "its picture b.jpg is missing"),
        ({"image": "../a.jpg"}, "its picture .* is outside of the folder"),
        ({"image": ""}, "no picture is named"),
        ({"image": "text.jpg"}, r"its picture text.jpg cannot be read \(UnidentifiedImageError\)"),
        ({"split": "holdout"}, "the split is none of"),
    ],
)
def test_what_cannot_be_used_is_listed_and_the_rest_goes_on(
    tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "text.jpg").write_text("no picture")
    found = plain(tmp_path, entry(), entry(**changes), "no entry", entry())
    assert len(found.pairs) == 2
    (where, first), (also, _) = found.problems
    assert (where, also) == ("relations.json, entry 2", "relations.json, entry 3")
    assert re.match(reason, first)


def test_an_unknown_relation_is_counted(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    found = plain(tmp_path, entry(), *[entry(relation="behind")] * 2, entry(relation="wear"))
    assert found.left_out == {"behind": 2, "wear": 1}
    assert len(found.pairs) == 1


def test_a_turned_picture_has_the_size_that_is_seen(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg", orientation=6)
    found = plain(tmp_path, entry(object=[0, 0, 60, 100]), entry())
    assert [(pair.width, pair.height) for pair in found.pairs] == [(60, 100)]
    assert len(found.problems) == 1


def test_spatialsense(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "flickr" / "5704_8b8c.jpg")
    picture(tmp_path / "images" / "nyu" / "7.jpg")
    cat, ground = {"name": "cat", "bbox": [2, 40, 1, 30]}, {"name": "ground", "bbox": [10, 60, 0, 100]}

    def relation(predicate: str, **more: object) -> dict[str, object]:
        return {"predicate": predicate, "subject": cat, "object": ground, "label": True} | more

    first = [relation("on"), relation("to the left of"), relation("on", label=False), relation("behind")]
    second = [relation("in"), relation("on", subject={"name": "cat", "bbox": [2, 61, 1, 30]})]
    images = [
        {"url": "https://farm4.example.com/3543/5704_8b8c.jpg", "split": "train", "annotations": first},
        {"url": "nyu/7.jpg", "split": "test", "annotations": second},
    ]
    (tmp_path / "annotations.json").write_text(json.dumps(images))
    found = read_annotations(tmp_path)
    assert [(pair.relation, pair.part) for pair in found.pairs] == [
        ("on", "train"), ("left of", "train"), ("inside", "test"),
    ]  # fmt: skip
    assert found.pairs[0].subject == (1, 2, 30, 40)
    assert found.pairs[0].object == (0, 10, 100, 60)
    assert found.pairs[2].image.name == "7.jpg"
    assert (found.false, found.left_out) == (1, {"behind": 1})
    assert found.problems == (
        ("annotations.json, image 2, annotation 2", "the box of the subject is outside of the picture"),
    )


def test_vrd(tmp_path: Path) -> None:
    picture(tmp_path / "sg_train_images" / "1.jpg")
    picture(tmp_path / "sg_test_images" / "2.jpg")

    def pair(predicate: object) -> dict[str, object]:
        sides = {
            "subject": {"category": 13, "bbox": [2, 40, 1, 30]},
            "object": {"category": 0, "bbox": [10, 60, 0, 100]},
        }
        return {"predicate": predicate} | sides

    (tmp_path / "predicates.json").write_text(json.dumps(PREDICATES))
    (tmp_path / "annotations_train.json").write_text(json.dumps({"1.jpg": [pair(0), pair(1), pair(2), pair(70)]}))
    (tmp_path / "annotations_test.json").write_text(json.dumps({"2.jpg": [pair(0)], "3.jpg": [pair(0)]}))
    found = read_annotations(tmp_path)
    assert [(pair.relation, pair.part) for pair in found.pairs] == [
        ("on", "train"),
        ("outside", "train"),
        ("on", "test"),
    ]
    assert found.pairs[0].subject == (1, 2, 30, 40)
    assert found.left_out == {"wear": 1, "number 70": 1}
    assert found.problems == (("annotations_test.json, 3.jpg, pair 1", "its picture 3.jpg is missing"),)


def test_the_hash_covers_all_files(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    sides = {"subject": {"bbox": [2, 40, 1, 30]}, "object": {"bbox": [10, 60, 0, 100]}}
    (tmp_path / "annotations_train.json").write_text(json.dumps({"a.jpg": [{"predicate": 0} | sides]}))
    (tmp_path / "predicates.json").write_text(json.dumps(["on"]))
    first = read_annotations(tmp_path).sha256
    (tmp_path / "predicates.json").write_text(json.dumps(["under"]))
    assert read_annotations(tmp_path).sha256 != first


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("other.json", "[]", "holds no annotations of relations. Give a folder with one of relations.json"),
        ("relations.json", "[", "not readable JSON"),
        ("relations.json", "{}", "has dict where a list is expected"),
        ("relations.json", "[]", "no usable pair of 0"),
        ("relations.json", json.dumps([entry()] * 2), r"no usable pair of 2: its picture a.jpg is missing \(2 times\)"),
        ("annotations_train.json", "{}", "predicates.json: is missing"),
        ("annotations.json", '[{"annotations": 3}]', "has int where a list is expected"),
    ],
)
def test_nothing_usable_is_an_error(tmp_path: Path, file: str, text: str, words: str) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(ManifestError, match=words):
        read_annotations(tmp_path)
