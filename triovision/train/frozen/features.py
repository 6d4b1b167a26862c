"""Features of frozen backbones for the photos of a manifest, computed once and kept."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from triovision.errors import PhotoError
from triovision.inference.batch import read_photo_file
from triovision.inference.device import choose_device, choose_precision, forward
from triovision.inference.preprocessing import Preprocessing
from triovision.networks import PooledBackbone
from triovision.train.data.array_store import ArrayStore
from triovision.train.data.manifest import Manifest
from triovision.train.frozen.backbones import state_sha256

log = logging.getLogger(__name__)

_BATCH = 32
_CHUNK = 512


def frozen_features(
    network: nn.Module,
    preprocessing: Preprocessing,
    manifest: Manifest,
    cache: Path,
    on_photo: Callable[[], object],
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Compute the inputs of the last layer for every photo, in the number format that predictions use.

    Finished photos are kept on disk; the same call after an interruption computes the others.

    Args:
        network: A network with frozen backbones.
        preprocessing: Its preprocessing.
        manifest: Photos; unreadable ones are logged.
        cache: Folder of kept features, of any number of networks and manifests.
        on_photo: Called after each photo.

    Returns:
        Features `(n, n_features)`, zero for unreadable photos, and the mask of the readable ones.

    Raises:
        RecipeError: If the folder cannot be written to.
    """
    store = feature_store(network, preprocessing, cache)
    device, paths = choose_device(None), manifest.paths
    keys = np.array([_key(path) for path in paths], np.int64)
    pooled, precision = PooledBackbone(network).to(device), choose_precision(device)
    with store.writing() as appender, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        missing = np.flatnonzero(~store.has(keys))
        for _ in range(len(manifest) - len(missing)):
            on_photo()
        for start in range(0, len(missing), _CHUNK):
            rows = missing[start : start + _CHUNK].tolist()
            by_size: dict[torch.Size, list[tuple[int, Tensor]]] = defaultdict(list)
            images = pool.map(lambda row: _image(paths[row], preprocessing), rows)
            for row, image in zip(rows, images, strict=True):
                if image is not None:
                    by_size[image.shape].append((row, image))
                on_photo()
            for group in by_size.values():
                for first in range(0, len(group), _BATCH):
                    batch = group[first : first + _BATCH]
                    batch_nchw = preprocessing.normalise(torch.stack([image for _, image in batch])).to(device)
                    outputs = forward(pooled, batch_nchw, precision).cpu().numpy().astype(np.float16)
                    rows_done = [row for row, _ in batch]
                    appender.append(list(zip(keys[rows_done].tolist(), outputs[:, None, None], strict=True)))
    readable = store.has(keys)
    features = np.zeros((len(manifest), int(cast(Any, network).get_classifier().in_features)), np.float32)
    for row in np.flatnonzero(readable).tolist():
        features[row] = cast(NDArray[np.float16], store.get(int(keys[row])))[0, 0]
    return features, readable


def feature_store(network: nn.Module, preprocessing: Preprocessing, cache: Path) -> ArrayStore:
    """Return the kept features of a network, by a hash of the photo's path."""
    key = hashlib.sha256(f"{state_sha256(network)} {preprocessing.model_dump_json()}".encode())
    return ArrayStore(cache / key.hexdigest()[:20], np.float16)


def _key(path: Path) -> int:
    digest = hashlib.blake2b(str(path.absolute()).encode(errors="surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def _image(path: Path, preprocessing: Preprocessing) -> Tensor | None:
    try:
        return preprocessing.image(read_photo_file(path).image_hwc)
    except PhotoError as exc:
        log.warning("skipped %s", exc)
        return None
