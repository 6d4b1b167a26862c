"""Augmentation policies of training images, built from the transforms of torchvision."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from triovision.train.recipes.sections import Augmentation


class LoseResolution(v2.Transform):  # type: ignore[misc] # torchvision ships no types
    """Reduce an image by a random factor and enlarge it again, so that its resolution does not reveal the source.

    Args:
        min_resolution: Smallest factor.
    """

    def __init__(self, min_resolution: float) -> None:
        super().__init__()
        self.min_resolution = min_resolution

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the factor."""
        height, width = flat_inputs[0].shape[-2:]
        factor = torch.empty(()).uniform_(self.min_resolution, 1).item()
        return {"small": [max(8, round(height * factor)), max(8, round(width * factor))], "full": [height, width]}

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        """Reduce and enlarge one image of shape `(3, h, w)`."""
        small = F.resize(inpt, params["small"], antialias=True)
        enlarged: Tensor = F.resize(small, params["full"], antialias=True)
        return enlarged


class CompressJpeg(v2.Transform):  # type: ignore[misc] # torchvision ships no types
    """JPEG round trip at a random quality, with Pillow because torchvision is removing its codecs.

    Args:
        quality: Lowest and highest quality of Pillow.
    """

    def __init__(self, quality: tuple[int, int]) -> None:
        super().__init__()
        self.quality = quality

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:  # noqa: ARG002 - signature of torchvision
        """Draw the quality."""
        low, high = self.quality
        return {"quality": int(torch.randint(low, high + 1, ()))}

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        """Compress and decompress one `uint8` image of shape `(3, h, w)`."""
        file = io.BytesIO()
        Image.fromarray(inpt.permute(1, 2, 0).numpy()).save(file, "JPEG", **params)
        with Image.open(file, formats=["JPEG"]) as image:
            return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def training_transform(augmentation: Augmentation) -> v2.Transform:
    """Build the transform of the policy: `uint8` images `(3, h, w)` of any size to `(3, train_size, train_size)`."""
    match augmentation.policy:
        case "source_blind":
            return _source_blind(augmentation)
        case "none" | "standard" | "vertical_flip" | "rotation" | "flip_rotation":
            return _centred(augmentation, augmentation.policy)
        case "crop_rotate_jitter":
            return rare_transform(augmentation)
        case "randaugment":
            return v2.Compose([*_geometry(augmentation), v2.RandAugment()])
        case "autoaugment":
            return v2.Compose([*_geometry(augmentation), v2.AutoAugment()])


def rare_transform(augmentation: Augmentation) -> v2.Transform:
    """Build the transform for rare countries: random crop, rotation, horizontal flip and colour jitter."""
    a = augmentation
    return v2.Compose([*_geometry(a), v2.ColorJitter(a.colour, a.colour, a.colour, a.hue)])


def batch_mixing(augmentation: Augmentation) -> v2.Transform | None:
    """Build mixup, CutMix or a random choice of both, for batches `(images_nchw, targets)`; None without mixing."""
    mixes = [
        mix(alpha=alpha)
        for mix, alpha in ((v2.MixUp, augmentation.mixup_alpha), (v2.CutMix, augmentation.cutmix_alpha))
        if alpha
    ]
    return v2.RandomChoice(mixes) if mixes else None


def _geometry(a: Augmentation) -> list[v2.Transform]:
    return [
        v2.RandomResizedCrop(a.train_size, (a.min_area, 1), (1 / a.max_aspect, a.max_aspect), antialias=True),
        _rotation(a),
        v2.RandomHorizontalFlip(),
    ]


def _rotation(a: Augmentation) -> v2.RandomRotation:
    return v2.RandomRotation(a.rotation, v2.InterpolationMode.BILINEAR)


def _centred(a: Augmentation, policy: str) -> v2.Compose:
    """The centre square as in the preprocessing, then what the policy adds."""
    added = {
        "standard": [v2.RandomHorizontalFlip()],
        "vertical_flip": [v2.RandomVerticalFlip()],
        "rotation": [_rotation(a)],
        "flip_rotation": [v2.RandomHorizontalFlip(), _rotation(a)],
    }
    return v2.Compose([v2.Resize(a.train_size), v2.CenterCrop(a.train_size), *added.get(policy, [])])


def _source_blind(a: Augmentation) -> v2.RandomChoice:
    augmented = v2.Compose(
        [
            v2.RandomResizedCrop(a.train_size, (a.min_area, 1), (1 / a.max_aspect, a.max_aspect), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([LoseResolution(a.min_resolution)], a.resolution_p),
            v2.RandomApply([v2.GaussianBlur(5, (0.1, 1.5))], a.blur_p),
            v2.RandomApply([CompressJpeg(a.jpeg_quality)], a.jpeg_p),
            v2.ColorJitter(a.colour, a.colour, a.colour, a.hue),
            v2.RandomGrayscale(a.grey_p),
            v2.RandomErasing(a.erase_p, scale=(0.02, 0.25)),
        ]
    )
    return v2.RandomChoice([_centred(a, "standard"), augmented], p=[a.clean_p, 1 - a.clean_p])
