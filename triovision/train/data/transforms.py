"""Random changes to training pictures, in torchvision's own transforms where it has them."""

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
    """Shrink a picture by a random factor and magnify it again.

    The sources of a data set differ in resolution; a network that can read the resolution learns the source.

    Args:
        min_resolution: Smallest share of the sides that is kept before magnifying.
    """

    def __init__(self, min_resolution: float) -> None:
        super().__init__()
        self.min_resolution = min_resolution

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """SampleKey the share that is kept."""
        height, width = flat_inputs[0].shape[-2:]
        share = torch.empty(()).uniform_(self.min_resolution, 1).item()
        return {"small": [max(8, round(height * share)), max(8, round(width * share))], "full": [height, width]}

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        """Shrink and magnify one picture of shape `(3, h, w)`."""
        small = F.resize(inpt, params["small"], antialias=True)
        magnified: Tensor = F.resize(small, params["full"], antialias=True)
        return magnified


class CompressJpeg(v2.Transform):  # type: ignore[misc] # torchvision ships no types
    """A JPEG round trip at a random quality, through Pillow: torchvision is giving its own codecs up.

    Args:
        quality: Lowest and highest quality, on Pillow's scale.
    """

    def __init__(self, quality: tuple[int, int]) -> None:
        super().__init__()
        self.quality = quality

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:  # noqa: ARG002 - torchvision's signature
        """SampleKey the quality."""
        low, high = self.quality
        return {"quality": int(torch.randint(low, high + 1, ()))}

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        """Compress and decompress one `uint8` picture of shape `(3, h, w)`."""
        file = io.BytesIO()
        Image.fromarray(inpt.permute(1, 2, 0).numpy()).save(file, "JPEG", **params)
        with Image.open(file, formats=["JPEG"]) as image:
            return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def training_transform(augmentation: Augmentation) -> v2.Transform:
    """From a `uint8` picture `(3, h, w)` of any size to a changed one `(3, train_size, train_size)`."""
    match augmentation.policy:
        case "source_blind":
            return _source_blind(augmentation)
        case "standard":
            return _standard(augmentation)
        case "crop_rotate_jitter":
            return rare_transform(augmentation)
        case "randaugment":
            return v2.Compose([*_geometry(augmentation), v2.RandAugment()])
        case "autoaugment":
            return v2.Compose([*_geometry(augmentation), v2.AutoAugment()])


def rare_transform(augmentation: Augmentation) -> v2.Transform:
    """The policy for rare countries: random crop, rotation, mirror image, colour jitter; sizes as above."""
    a = augmentation
    return v2.Compose([*_geometry(a), v2.ColorJitter(a.colour, a.colour, a.colour, a.hue)])


def mixing(augmentation: Augmentation) -> v2.Transform | None:
    """Mixup, CutMix or either at random, of a batch `(images_nchw, wanted)`; None when the recipe mixes nothing."""
    mixes = [
        mix(alpha=alpha)
        for mix, alpha in ((v2.MixUp, augmentation.mixup_alpha), (v2.CutMix, augmentation.cutmix_alpha))
        if alpha
    ]
    return v2.RandomChoice(mixes) if mixes else None


def _geometry(a: Augmentation) -> list[v2.Transform]:
    return [
        v2.RandomResizedCrop(a.train_size, (a.min_area, 1), (1 / a.max_aspect, a.max_aspect), antialias=True),
        v2.RandomRotation(a.rotation, v2.InterpolationMode.BILINEAR),
        v2.RandomHorizontalFlip(),
    ]


def _standard(a: Augmentation) -> v2.Compose:
    return v2.Compose([v2.Resize(a.train_size), v2.CenterCrop(a.train_size), v2.RandomHorizontalFlip()])


def _source_blind(a: Augmentation) -> v2.RandomChoice:
    changed = v2.Compose(
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
    return v2.RandomChoice([_standard(a), changed], p=[a.clean_p, 1 - a.clean_p])
