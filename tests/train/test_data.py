from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from triovision.errors import PhotoError
from triovision.inference.preprocessing import Preprocessing
from triovision.train.augmentation import CompressJpeg, LoseResolution, training_transform
from triovision.train.data import (
    NO_LABEL,
    TrainingPhotos,
    ValidationPhotos,
    WeightedDraws,
    choose_labels,
    collate,
    draw_weights,
    targets,
)
from triovision.train.manifest import Manifest
from triovision.train.recipe import Augmentation, Data, Recipe
from triovision.train.run import split

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


def test_balanced_draws_give_each_country_and_each_place_its_part() -> None:
    manifest = table(*rows("FR", "louvre", 6), *rows("FR", "pont", 2), *rows("US", "bridge", 2))
    by_country = draw_weights(manifest, ("FR", "US"), Data(country_power=0, place_power=0))
    np.testing.assert_allclose(by_country, [0.25 / 6] * 6 + [0.25 / 2] * 2 + [0.5 / 2] * 2)
    natural = draw_weights(manifest, ("FR", "US"), Data(country_power=1, place_power=1))
    np.testing.assert_allclose(natural, 0.1)


def test_countries_without_a_label_are_drawn_as_one() -> None:
    manifest = table(*rows("FR", "louvre", 4), *rows("AD", "a", 1), *rows("MC", "b", 1))
    weights = draw_weights(manifest, ("FR",), Data(country_power=0))
    np.testing.assert_allclose(weights, [0.125] * 4 + [0.25] * 2)


def test_draws_depend_on_seed_and_epoch_alone() -> None:
    draws = WeightedDraws(np.array([0.5, 0.25, 0.25]), seed=7)
    first = list(draws)
    draws.set_epoch(1)
    second = list(draws)
    draws.set_epoch(0)
    assert list(draws) == first
    assert first != second
    assert len(first) == len(draws) == 3


def test_a_held_out_place_is_never_a_known_place() -> None:
    manifest = table(
        ("a.jpg", "FR", "x", "train", "train"),
        ("b.jpg", "FR", "x", "train", "val"),
        ("c.jpg", "FR", "y", "val", "train"),
        ("d.jpg", "FR", "y", "val", "val"),
    )
    splits = split(manifest, Data(min_photos=2))
    assert [len(splits.validation[name]) for name in ("new_places", "known_places")] == [2, 1]
    seen = set(splits.training.table["place"])
    assert seen.isdisjoint(splits.validation["new_places"].table["place"])
    assert set(splits.validation["known_places"].table["place"]) <= seen | {"x"}


def test_half_of_the_unlearnt_countries_are_kept_from_training() -> None:
    rare = ["AD", "AG", "AI", "AL", "AM", "AO", "AR", "AW", "AZ", "BB", "BD", "BI"]
    manifest = table(*rows("FR", "x", 5), *(row for code in rare for row in rows(code, code, 1)))
    splits = split(manifest, Data(min_photos=5))
    kept = set(splits.elsewhere.table["country"])
    assert splits.labels == ("FR",)
    assert kept
    assert kept < set(rare)
    assert kept.isdisjoint(splits.training.table["country"])
    assert len(splits.training) + len(splits.elsewhere) == len(manifest)


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


def test_lost_resolution_cannot_be_read_back() -> None:
    torch.manual_seed(0)
    stripes = torch.zeros(3, 64, 64, dtype=torch.uint8)
    stripes[:, :, ::2] = 255
    lost = LoseResolution(0.25)(stripes)
    assert lost.shape == stripes.shape
    assert lost.float().std() < 0.5 * stripes.float().std()


def test_a_compressed_picture_stays_what_it_was_but_for_its_noise() -> None:
    smooth = torch.arange(0, 256, 4, dtype=torch.uint8).expand(3, 64, 64).contiguous()
    noise = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    compress = CompressJpeg((25, 25))
    assert (compress(smooth).float() - smooth.float()).abs().mean() < 3
    assert (compress(noise).float() - noise.float()).abs().mean() > 20


def test_validation_pictures_are_those_of_inference(photo_folder: Path) -> None:
    manifest = table(("0.jpg", "FR", "x", "train", "train"), root=photo_folder)
    sample = ValidationPhotos(manifest, ("FR",), PREPROCESSING)[0]
    with Image.open(photo_folder / "0.jpg") as image:
        expected = PREPROCESSING.image(np.array(image))
    assert sample is not None
    assert torch.equal(sample[0], expected)


def test_a_clean_picture_is_the_middle_or_its_mirror_image() -> None:
    picture = torch.randint(0, 256, (3, 32, 48), dtype=torch.uint8)
    transform = training_transform(Augmentation(train_size=32, clean_p=1))
    middle = picture[:, :, 8:40]
    found = [transform(picture) for _ in range(20)]
    assert all(torch.equal(f, middle) or torch.equal(f, middle.flip(2)) for f in found)
    assert len({f.numpy().tobytes() for f in found}) == 2


def test_augmentation_keeps_the_layout() -> None:
    torch.manual_seed(1)
    transform = training_transform(Augmentation(train_size=48))
    for _ in range(20):
        changed = transform(torch.randint(0, 256, (3, 60, 90), dtype=torch.uint8))
        assert changed.shape == (3, 48, 48)
        assert changed.dtype == torch.uint8
