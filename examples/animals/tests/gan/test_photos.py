from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from examples.animals.gan.photos import decode, divide
from examples.animals.gan.recipe import RECIPES, GanRecipe
from examples.animals.photos import read_photos
from triovision.errors import ManifestError, RecipeError
from triovision.train.data.unreadable import UnreadablePhotos


def changed(recipe: GanRecipe, section: str, **fields: object) -> GanRecipe:
    values = recipe.model_dump(mode="json")
    return GanRecipe.model_validate(values | {section: values[section] | fields})


def test_a_folder_is_divided_into_class_and_rest(folder: Path, recipe: GanRecipe) -> None:
    parts = divide(read_photos(folder, "class"), recipe)
    assert {name: len(part) for name, part in parts.items()} == {
        "training": 12,
        "held_out": 4,
        "rest": 9,
        "held_out_rest": 3,
    }
    files = [file for part in parts.values() for file in part.table["file"]]
    assert len(set(files)) == 28
    assert {file.split("/")[0] for name in ("training", "held_out") for file in parts[name].table["file"]} == {"fox"}
    again = divide(read_photos(folder, "class"), recipe)
    assert all(parts[name].table.equals(again[name].table) for name in parts)


def test_a_single_value_needs_no_brackets() -> None:
    assert RECIPES.read("dcgan", ["data.values=wolf"]).data.values == ("wolf",)


def test_the_rest_has_a_limit(folder: Path, recipe: GanRecipe) -> None:
    parts = divide(read_photos(folder, "class"), changed(recipe, "evaluation", rest_photos=10))
    assert len(parts["rest"]) + len(parts["held_out_rest"]) == 10
    assert len(parts["training"]) == 12


def test_test_photos_of_a_manifest_are_left_out(tmp_path: Path, recipe: GanRecipe) -> None:
    rows = [f"{i}.png,{'a' if i < 10 else 'b'},{'test' if i % 5 == 0 else '0'}" for i in range(20)]
    (tmp_path / "m.csv").write_text("\n".join(["file,place,split_new_sources", *rows]) + "\n")
    photos = read_photos(tmp_path / "m.csv", "place")
    assert len(photos) == 16
    mine = changed(recipe, "data", column="place", values=["a"])
    assert sum(len(part) for part in divide(photos, mine).values()) == 16


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"values": ["fox", "wolf"]}, "has no photo of wolf, but of fox, other. Correct `data.values`"),
        ({"values": ["fox", "other"]}, "The rest: has 0 photos"),
        ({"held_out": 0.1}, "The rest: has 12 photos by the column class, too few to hold two out"),
    ],
)
def test_a_class_that_is_not_there(folder: Path, recipe: GanRecipe, fields: dict[str, object], message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        divide(read_photos(folder, "class"), changed(recipe, "data", **fields))


def test_a_folder_without_classes(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(ManifestError, match="has no photo in a subfolder"):
        read_photos(tmp_path, "class")


def test_a_column_that_is_not_there(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="is a folder, which has no column colour"):
        read_photos(folder, "colour")
    (tmp_path / "m.csv").write_text("file,place\na.png,x\n")
    with pytest.raises(ManifestError, match=r"lacks the column\(s\) colour"):
        read_photos(tmp_path / "m.csv", "colour")


def test_unreadable_photos_are_listed_and_left_out(tmp_path: Path, recipe: GanRecipe) -> None:
    for name in ("fox", "other"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(8):
            Image.new("RGB", (80, 70), (i, 0, 0)).save(tmp_path / "photos" / name / f"{i}.png")
    photos = read_photos(tmp_path / "photos", "class")
    training = divide(photos, recipe)["training"]
    broken = training.table["file"][0]
    (tmp_path / "photos" / broken).write_bytes(b"no photo")
    unreadable = UnreadablePhotos(tmp_path / "unreadable.csv", 1)
    small = decode(photos, training, tmp_path / "cache", 0, unreadable)
    assert unreadable.listed() == {broken}
    assert len(small) == 5
    assert small.pictures().shape == (5, 3, 64, 64)
    strict = UnreadablePhotos(tmp_path / "strict.csv", 0)
    with pytest.raises(RecipeError, match="lists 1 unreadable photos, 0 are allowed"):
        decode(photos, training, tmp_path / "other_cache", 0, strict)


def test_every_other_seed_mirrors(folder: Path, recipe: GanRecipe, tmp_path: Path) -> None:
    photos = read_photos(folder, "class")
    small = decode(photos, divide(photos, recipe)["training"], tmp_path, 0, UnreadablePhotos(tmp_path / "u.csv", 0))
    plain, mirrored = small[3, 2], small[3, 7]
    assert plain is not None
    assert mirrored is not None
    assert torch.equal(plain[0].flip(2), mirrored[0])
    assert not torch.equal(plain[0], mirrored[0])


def test_the_recipes_are_valid() -> None:
    assert RECIPES.names() == ["dcgan", "towers"]
    for name in RECIPES.names():
        assert RECIPES.read(name).name == name
