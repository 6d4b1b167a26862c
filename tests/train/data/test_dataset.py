from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from triovision.errors import PhotoError
from triovision.inference.preprocessing import Preprocessing
from triovision.train.data.dataset import (
    NO_LABEL,
    TrainingPhotos,
    ValidationPhotos,
    choose_labels,
    collate,
    rare_rows,
    targets,
)
from triovision.train.data.manifest import Manifest
from triovision.train.data.splits import split
from triovision.train.recipes.country_recipe import Recipe
from triovision.train.recipes.sections import Augmentation, CountryDataSection

PREPROCESSING = Preprocessing(input_size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
RECIPE = Recipe(
    name="tiny",
    description="",
    architecture="test_efficientnet",
    preprocessing=PREPROCESSING,
    augmentation=Augmentation(train_size=32),
)


def table(*rows: tuple[str, ...], root: Path = Path()) -> Manifest:
    columns = ["file", "country", "place", "split_new_places", "split_known_places"]
    return Manifest(pd.DataFrame(rows, columns=columns), root, "0" * 64)


def rows(country: str, place: str, n: int) -> list[tuple[str, ...]]:
    return [(f"{country}{place}{i}.jpg", country, place, "train", "train") for i in range(n)]


def test_a_label_needs_photos() -> None:
    manifest = table(*rows("FR", "louvre", 3), *rows("US", "bridge", 2))
    assert choose_labels(manifest, 2) == ("FR", "US")
    assert choose_labels(manifest, 3) == ("FR",)
    assert targets(manifest, ("FR",)).tolist() == [0, 0, 0, NO_LABEL, NO_LABEL]


def test_a_held_out_place_is_never_a_known_place() -> None:
    manifest = table(
        ("a.jpg", "FR", "x", "train", "train"),
        ("b.jpg", "FR", "x", "train", "val"),
        ("c.jpg", "FR", "y", "val", "train"),
        ("d.jpg", "FR", "y", "val", "val"),
    )
    splits = split(manifest, CountryDataSection(min_photos=2))
    assert [len(splits.validation[name]) for name in ("new_places", "known_places")] == [2, 1]
    seen = set(splits.training.table["place"])
    assert seen.isdisjoint(splits.validation["new_places"].table["place"])
    assert set(splits.validation["known_places"].table["place"]) <= seen | {"x"}


def test_half_of_the_unlearnt_countries_are_kept_from_training() -> None:
    rare = ["AD", "AG", "AI", "AL", "AM", "AO", "AR", "AW", "AZ", "BB", "BD", "BI"]
    manifest = table(*rows("FR", "x", 5), *(row for code in rare for row in rows(code, code, 1)))
    splits = split(manifest, CountryDataSection(min_photos=5))
    kept = set(splits.held_out_countries.table["country"])
    assert splits.labels == ("FR",)
    assert kept
    assert kept < set(rare)
    assert kept.isdisjoint(splits.training.table["country"])
    assert len(splits.training) + len(splits.held_out_countries) == len(manifest)


def test_a_training_picture_depends_on_its_seed_alone(photo_folder: Path) -> None:
    manifest = table(("0.jpg", "FR", "x", "train", "train"), root=photo_folder)
    photos = TrainingPhotos(manifest, ("FR",), RECIPE)
    before = torch.get_rng_state()
    first, again, other = photos[0, 5], photos[0, 5], photos[0, 6]
    assert first is not None
    assert again is not None
    assert other is not None
    assert first[0].shape == (3, 32, 32)
    assert first[1] == 0
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], other[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_an_unreadable_photo_is_left_out_of_its_batch(photo_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    manifest = table(*[(name, "FR", "x", "train", "train") for name in ("0.jpg", "note.jpg")], root=photo_folder)
    photos = ValidationPhotos(manifest, ("FR",), PREPROCESSING)
    batch_nchw, target = collate(PREPROCESSING)([photos[0], photos[1]])
    assert batch_nchw.shape == (1, 3, 32, 32)
    assert target.tolist() == [0]
    assert "note.jpg" in caplog.text
    with pytest.raises(PhotoError):
        collate(PREPROCESSING)([None])


def test_validation_pictures_are_those_of_inference(photo_folder: Path) -> None:
    manifest = table(("0.jpg", "FR", "x", "train", "train"), root=photo_folder)
    sample = ValidationPhotos(manifest, ("FR",), PREPROCESSING)[0]
    with Image.open(photo_folder / "0.jpg") as image:
        expected = PREPROCESSING.image(np.array(image))
    assert sample is not None
    assert torch.equal(sample[0], expected)


def test_photos_of_rare_countries_have_their_own_changes(photo_folder: Path) -> None:
    manifest = table(
        *[("0.jpg", code, "x", "train", "train") for code in ("FR", "FR", "FR", "JP", "JP")], root=photo_folder
    )
    assert rare_rows(manifest, 3).tolist() == [False] * 3 + [True] * 2
    assert not rare_rows(manifest, 0).any()
    augmentation = Augmentation(policy="standard", rare_below=3, train_size=32)
    photos = TrainingPhotos(manifest, ("FR", "JP"), RECIPE.model_copy(update={"augmentation": augmentation}))
    outcomes = {
        row: {sample[0].numpy().tobytes() for seed in range(8) if (sample := photos[row, seed])} for row in (0, 4)
    }
    assert len(outcomes[0]) == 2  # the picture and its mirror image
    assert len(outcomes[4]) == 8


def test_a_photo_that_is_marked_neither_is_neither_learnt_nor_measured() -> None:
    marks = [
        ("a.jpg", "FR", "x", "train", "train"),
        ("b.jpg", "FR", "x", "test", "train"),
        ("c.jpg", "FR", "x", "val", "train"),
    ]
    splits = split(table(*marks, ("d.jpg", "FR", "x", "train", "train")), CountryDataSection(min_photos=2))
    assert splits.training.table["file"].tolist() == ["a.jpg", "d.jpg"]
    assert splits.validation["new_places"].table["file"].tolist() == ["c.jpg"]
