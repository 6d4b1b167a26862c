from __future__ import annotations

import pytest
import torch

from triovision.train.data.transforms import (
    CompressJpeg,
    LoseResolution,
    batch_mixing,
    rare_transform,
    training_transform,
)
from triovision.train.recipes.sections import Augmentation


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


def test_augmentation_keeps_the_layout() -> None:
    torch.manual_seed(1)
    transform = training_transform(Augmentation(train_size=48))
    for _ in range(20):
        changed = transform(torch.randint(0, 256, (3, 60, 90), dtype=torch.uint8))
        assert changed.shape == (3, 48, 48)
        assert changed.dtype == torch.uint8


POLICIES = ["source_blind", "standard", "rotation", "flip_rotation", "crop_rotate_jitter", "randaugment", "autoaugment"]


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_gives_pictures_of_the_asked_size(policy: str) -> None:
    transform = training_transform(Augmentation.model_validate({"policy": policy, "train_size": 48}))
    picture = torch.randint(0, 256, (3, 60, 90), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    changed = [transform(picture) for _ in range(10)]
    assert {tuple(picture.shape) for picture in changed} == {(3, 48, 48)}
    assert {picture.dtype for picture in changed} == {torch.uint8}
    # Chance has two outcomes in the standard policy, the picture and its mirror image, and many in the others.
    outcomes = {picture.numpy().tobytes() for picture in changed}
    assert len(outcomes) == 2 if policy == "standard" else len(outcomes) > 5


@pytest.mark.parametrize(("policy", "mirrored"), [("none", None), ("vertical_flip", 1)])
def test_a_single_augmentation_adds_nothing_else(policy: str, mirrored: int | None) -> None:
    image = torch.randint(0, 256, (3, 40, 60), dtype=torch.uint8)
    transform = training_transform(Augmentation.model_validate({"policy": policy, "train_size": 40}))
    centre = image[:, :, 10:50]
    expected = [centre] if mirrored is None else [centre, centre.flip(mirrored)]
    found = [transform(image) for _ in range(20)]
    assert all(any(torch.equal(one, two) for two in expected) for one in found)
    assert len({one.numpy().tobytes() for one in found}) == len(expected)


def test_the_standard_policy_shows_the_centre_or_its_mirror_image() -> None:
    picture = torch.arange(3 * 40 * 60).reshape(3, 40, 60).remainder(256).to(torch.uint8)
    transform = training_transform(Augmentation(policy="standard", train_size=40))
    centre = picture[:, :, 10:50]
    torch.manual_seed(0)
    for _ in range(6):
        shown = transform(picture)
        assert torch.equal(shown, centre) or torch.equal(shown, centre.flip(-1))


def test_rotation_turns_no_further_than_it_may() -> None:
    # A white disc stays a disc, a white half turns: with no rotation, crop or colour only its mirror image is left.
    half = torch.zeros(3, 48, 48, dtype=torch.uint8)
    half[:, :24] = 255
    still = Augmentation(train_size=48, min_area=1, max_aspect=1, rotation=0, colour=0, hue=0)
    torch.manual_seed(0)
    assert all(torch.equal(rare_transform(still)(half), half) for _ in range(5))
    turned = [rare_transform(still.model_copy(update={"rotation": 15}))(half) for _ in range(5)]
    assert any(not torch.equal(picture, half) for picture in turned)
    # At 15 degrees the edge rises by 24 tan(15°) = 6.4 pixels: well below it all stays black.
    assert all(picture[:, 32:].max() == 0 for picture in turned)


def test_nothing_is_mixed_unless_the_recipe_says_so() -> None:
    assert batch_mixing(Augmentation()) is None


@pytest.mark.parametrize("mixed", [{"mixup_alpha": 1.0}, {"cutmix_alpha": 1.0}, {"mixup_alpha": 1, "cutmix_alpha": 1}])
def test_targets_are_mixed_as_the_pictures_are(mixed: dict[str, float]) -> None:
    images_nchw = torch.stack([torch.full((3, 16, 16), float(i)) for i in (0, 1)])
    wanted = torch.tensor([[1.0, 0, 0], [0, 0.5, 0.5]])
    mix = batch_mixing(Augmentation.model_validate(mixed))
    assert mix is not None
    torch.manual_seed(1)
    for _ in range(8):
        blended, blended_wanted = mix(images_nchw, wanted)
        torch.testing.assert_close(blended_wanted.sum(dim=1), torch.ones(2))
        # The mean of the first picture is the share of the second one in it, and so is its share in the target.
        share = blended[0].mean()
        torch.testing.assert_close(blended_wanted[0], (1 - share) * wanted[0] + share * wanted[1])


def test_a_clean_picture_is_the_middle_or_its_mirror_image() -> None:
    picture = torch.randint(0, 256, (3, 32, 48), dtype=torch.uint8)
    transform = training_transform(Augmentation(train_size=32, clean_p=1))
    middle = picture[:, :, 8:40]
    found = [transform(picture) for _ in range(20)]
    assert all(torch.equal(f, middle) or torch.equal(f, middle.flip(2)) for f in found)
    assert len({f.numpy().tobytes() for f in found}) == 2
