"""Crops of annotated boxes, and the features that the frozen backbone gives them, computed once and cached."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from examples.relations.annotations import Box, Pair
from examples.relations.recipe import RelationRecipe
from triovision.errors import PhotoError, RecipeError
from triovision.inference.device import choose_device
from triovision.inference.preprocessing import Preprocessing
from triovision.networks import build_classifier
from triovision.photo import read_photo
from triovision.results import Photo
from triovision.train.data.array_store import ArrayStore
from triovision.train.data.feature_cache import FEATURE_BATCH, store_features, weights_sha256
from triovision.train.data.image_cache import cache_folder
from triovision.train.data.unreadable import UnreadablePhotos
from triovision.train.models.init_weights import init_backbone

log = logging.getLogger(__name__)


def build_backbone(recipe: RelationRecipe, weights: Path | None) -> nn.Module:
    """Build the frozen backbone, from normalised images to features `(n, n_features)`.

    Args:
        recipe: Recipe with the architecture.
        weights: safetensors file of its weights; None for timm's, which it fetches.

    Raises:
        RecipeError: If timm cannot build it, or the weights are missing or do not fit.
    """
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # a backbone without weights is the same in every run
            network = build_classifier(recipe.architecture, 0, **recipe.architecture_args)
    except (TypeError, ValueError) as exc:
        reason = f"`architecture` {recipe.architecture} cannot be built ({exc})"
        raise RecipeError(recipe.name, reason, "Name a network of timm, or resnet50_v1") from exc
    init_backbone(network, recipe, weights)
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def crop(photo: Photo, box: Box, preprocessing: Preprocessing) -> Tensor:
    """Cut a box out of a photo and stretch it to the square input of the network, `uint8` of shape `(3, h, w)`.

    Args:
        photo: Photo, perhaps decoded at a smaller size than the original.
        box: Left, top, right and bottom in pixels of the original.
        preprocessing: Size and filter.
    """
    height, width = photo.image_hwc.shape[:2]
    x_scale, y_scale = width / photo.original_width_px, height / photo.original_height_px
    left, right = (round(x * x_scale) for x in box[::2])
    top, bottom = (round(y * y_scale) for y in box[1::2])
    left, top = min(left, width - 1), min(top, height - 1)  # a thin box keeps a pixel
    part_hwc = photo.image_hwc[top : max(bottom, top + 1), left : max(right, left + 1)]
    part_nchw = torch.from_numpy(part_hwc.copy())[None].permute(0, 3, 1, 2)
    size = [preprocessing.input_size] * 2
    return F.interpolate(part_nchw, size, mode=preprocessing.interpolation, antialias=True)[0]


def pair_features(
    pairs: tuple[Pair, ...], backbone: nn.Module, recipe: RelationRecipe, cache: Path, unreadable: UnreadablePhotos
) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
    """Features of the two crops of each pair; those that the cache has are not computed again.

    Args:
        pairs: Annotated pairs.
        backbone: Frozen backbone.
        recipe: Recipe with the preprocessing of the crops.
        cache: Folder of all caches, shared by runs.
        unreadable: List of the pictures that cannot be read.

    Returns:
        Features `(n, 2, n_features)`, and the mask `(n,)` of the pairs whose picture can be read; the features of the
        others are zero.

    Raises:
        RecipeError: If the disk is full or too many pictures cannot be read.
    """
    crops = list(dict.fromkeys((pair.image, box) for pair in pairs for box in (pair.subject, pair.object)))
    frozen = nn.Sequential(backbone, nn.Unflatten(1, (-1, 1, 1))).eval().to(choose_device(None))
    listed = json.dumps([(str(image.resolve()), box) for image, box in crops])
    key = {
        "crops": hashlib.sha256(listed.encode()).hexdigest(),
        "preprocessing": recipe.preprocessing.model_dump_json(),
        "frozen_sha256": weights_sha256(backbone),
    }
    store = ArrayStore(cache_folder(cache, key), np.float16)
    preprocessing = recipe.preprocessing
    store_features(store, frozen, len(crops), lambda missing: _batches(crops, missing, preprocessing, unreadable))
    unreadable.check()
    key_of = {crop: number for number, crop in enumerate(crops)}
    keys = np.array([[key_of[pair.image, box] for box in (pair.subject, pair.object)] for pair in pairs])
    readable: NDArray[np.bool_] = np.all(store.has(keys.ravel()).reshape(keys.shape), axis=1)
    features = np.zeros((*keys.shape, cast(int, backbone.num_features)), np.float16)
    for row in np.flatnonzero(readable):
        features[row] = [cast(NDArray[np.float16], store.get(int(number))).ravel() for number in keys[row]]
    return features, readable


def _batches(
    crops: list[tuple[Path, Box]],
    missing: NDArray[np.int64],
    preprocessing: Preprocessing,
    unreadable: UnreadablePhotos,
) -> Iterator[tuple[list[int], Tensor]]:
    """Batches of keys and normalised crops; those of unreadable pictures are left out."""
    last: tuple[Path, Photo | None] | None = None  # the crops of a picture follow each other
    for start in range(0, len(missing), FEATURE_BATCH):
        keys, images = [], []
        for key in missing[start : start + FEATURE_BATCH].tolist():
            path, box = crops[key]
            if last is None or last[0] != path:
                last = path, _read(path, unreadable)
            if last[1] is not None:
                keys.append(key)
                images.append(crop(last[1], box, preprocessing))
        if keys:
            yield keys, preprocessing.normalise(torch.stack(images))


def _read(path: Path, unreadable: UnreadablePhotos) -> Photo | None:
    try:
        return read_photo(path.read_bytes(), path.name)
    except (OSError, PhotoError) as exc:
        log.warning("skipped %s: %s", path.name, exc)
        unreadable.add(str(path), str(exc))
        return None
