from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from examples.relations.annotations import Pair
from examples.relations.features import build_backbone, crop, pair_features
from examples.relations.recipe import RelationRecipe
from triovision.errors import RecipeError
from triovision.inference.preprocessing import Preprocessing
from triovision.results import Photo
from triovision.train.data.unreadable import UnreadablePhotos

SQUARE = Preprocessing(input_size=32, interpolation="bilinear", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def halves(width: int = 80, height: int = 40) -> np.ndarray:
    """The left half is 10, the right half 200."""
    pixels = np.full((height, width, 3), 10, np.uint8)
    pixels[:, width // 2 :] = 200
    return pixels


def photo_of(width: int, height: int) -> Photo:
    """The halves, decoded from a picture of a width and height."""
    return Photo(name="a", image_hwc=halves(), original_width_px=width, original_height_px=height, format="PNG")


def pair(image: Path, subject: tuple[float, ...], object_: tuple[float, ...]) -> Pair:
    return Pair(image, 80, 40, subject, object_, "on", "")


def test_a_crop_is_the_box_stretched_to_a_square() -> None:
    photo = photo_of(80, 40)
    assert crop(photo, (0, 0, 40, 40), SQUARE).shape == (3, 32, 32)
    assert (crop(photo, (0, 0, 40, 40), SQUARE) == 10).all()
    assert (crop(photo, (40, 10, 80, 20), SQUARE) == 200).all()
    both = crop(photo, (20, 0, 60, 40), SQUARE)
    assert (both[:, :, :15] == 10).all()
    assert (both[:, :, 17:] == 200).all()


def test_boxes_are_pixels_of_the_original_although_it_was_decoded_smaller() -> None:
    photo = photo_of(800, 400)
    assert (crop(photo, (400, 0, 800, 400), SQUARE) == 200).all()
    assert (crop(photo, (399, 399, 401, 400), SQUARE) == 200).all()  # less than a pixel is left


def test_features_are_those_of_each_crop_and_are_computed_once(recipe: RelationRecipe, tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    Image.fromarray(halves()).save(image)
    backbone = build_backbone(recipe, None)
    pairs = (pair(image, (0, 0, 40, 40), (20, 0, 60, 40)), pair(image, (20, 0, 60, 40), (0, 0, 40, 40)))
    unreadable = UnreadablePhotos(tmp_path / "unreadable.csv", 0)
    features, readable = pair_features(pairs, backbone, recipe, tmp_path / "cache", unreadable)
    assert readable.all()
    photo = photo_of(80, 40)
    crops = torch.stack([crop(photo, box, recipe.preprocessing) for box in (pairs[0].subject, pairs[0].object)])
    with torch.inference_mode():
        expected = backbone(recipe.preprocessing.normalise(crops)).numpy()
    np.testing.assert_allclose(features[0], expected, atol=2e-3)
    np.testing.assert_array_equal(features[1], features[0, ::-1])
    image.unlink()
    again, readable = pair_features(pairs, backbone, recipe, tmp_path / "cache", unreadable)
    np.testing.assert_array_equal(again, features)


def test_a_picture_that_cannot_be_decoded_is_listed_and_the_rest_goes_on(
    recipe: RelationRecipe, tmp_path: Path
) -> None:
    Image.fromarray(halves()).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])  # its header is whole
    pairs = tuple(pair(tmp_path / name, (0, 0, 40, 40), (20, 0, 60, 40)) for name in ("b.png", "a.png"))
    backbone = build_backbone(recipe, None)
    unreadable = UnreadablePhotos(tmp_path / "unreadable.csv", 1)
    features, readable = pair_features(pairs, backbone, recipe, tmp_path / "cache", unreadable)
    assert readable.tolist() == [False, True]
    assert features[1].any()
    assert unreadable.listed() == {str(tmp_path / "b.png")}
    with pytest.raises(RecipeError, match="1 unreadable photos, 0 are allowed"):
        pair_features(pairs, backbone, recipe, tmp_path / "cache", UnreadablePhotos(unreadable.path, 0))


def test_a_backbone_without_weights_or_name_is_refused(recipe: RelationRecipe, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"`architecture` resnet49 cannot be built"):
        build_backbone(recipe.model_copy(update={"architecture": "resnet49"}), None)
    with pytest.raises(RecipeError, match="needs a file of initial weights"):
        build_backbone(recipe.model_copy(update={"starting_weights": "file"}), None)
    (tmp_path / "a.safetensors").write_text("no weights")
    with pytest.raises(RecipeError, match="not a readable safetensors file"):
        build_backbone(recipe, tmp_path / "a.safetensors")
