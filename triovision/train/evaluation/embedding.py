"""Frozen features of a sample of photos, and their two-dimensional layout."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import nn

from triovision.errors import ManifestError, PhotoError
from triovision.inference import load_model
from triovision.inference.batch import read_photo_file
from triovision.inference.country_classifier import CountryEngine
from triovision.inference.device import choose_device
from triovision.inference.preprocessing import Preprocessing
from triovision.networks import PooledBackbone
from triovision.results import Photo
from triovision.train.models.build import build_country_network
from triovision.train.models.init_weights import init_backbone
from triovision.train.recipes.country_recipe import Recipe

_BATCH_SIZE = 32
_COMPONENTS = 50  # principal components before t-SNE and UMAP, as van der Maaten and Hinton (2008) advise
_MIN_PHOTOS = 5


def model_network(model_id: str) -> tuple[nn.Module, Preprocessing]:
    """Network and preprocessing of an installed model.

    Raises:
        ModelError: If there is no such model.
    """
    engine = cast(CountryEngine, load_model(model_id))
    preprocessing = engine.card.network_input
    return engine.network, preprocessing


def initial_network(recipe: Recipe, weights: Path | None) -> tuple[nn.Module, Preprocessing]:
    """Network of a recipe with initial weights, those of `init_backbone`, and its preprocessing.

    Raises:
        RecipeError: If the weights cannot be read or do not fit.
    """
    network = build_country_network(recipe, 0)
    init_backbone(network, recipe, weights)
    network.eval().requires_grad_(False).to(choose_device(None)).to(memory_format=torch.channels_last)
    return network, recipe.preprocessing


def sample_features(
    network: nn.Module, preprocessing: Preprocessing, paths: Sequence[Path], on_photo: Callable[[int], object]
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Compute the pooled features, the input of the last layer, of all readable photos.

    Args:
        network: A timm network in evaluation mode.
        preprocessing: Its preprocessing.
        paths: Files of the photos.
        on_photo: Called with the number of photos done, for a progress bar.

    Returns:
        Features `(n_read, n_features)`, and the indices of the readable photos.

    Raises:
        ManifestError: If fewer than five photos can be read.
    """
    device, pooled = next(network.parameters()).device, PooledBackbone(network)
    rows: list[NDArray[np.float32]] = []
    read: list[int] = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool, torch.inference_mode():
        for start in range(0, len(paths), _BATCH_SIZE):
            photos = list(pool.map(_photo, paths[start : start + _BATCH_SIZE]))
            images = [photo.image_hwc for photo in photos if photo is not None]
            if images:
                batch_nchw = preprocessing.batch(images).to(device)
                rows.append(pooled(batch_nchw).float().cpu().numpy())
            read += [start + number for number, photo in enumerate(photos) if photo is not None]
            on_photo(len(photos))
    if len(read) < _MIN_PHOTOS:
        reason = f"{len(read)} photos of the sample can be read, too few for a layout"
        raise ManifestError("The features", reason, "Check the folder of the photos, or give --features none")
    return np.concatenate(rows), np.array(read, dtype=np.intp)


def tsne_layout(features: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Layout `(n, 2)` by t-SNE: "Visualizing data using t-SNE" (van der Maaten and Hinton, 2008)."""
    perplexity = min(30.0, (len(features) - 1) / 3)
    layout = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(_principal(features, seed))
    return np.asarray(layout, dtype=np.float32)


def umap_layout(features: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Layout `(n, 2)` by UMAP (McInnes, Healy and Melville, 2018).

    Raises:
        ModuleNotFoundError: If the optional package `umap-learn` is not installed.
    """
    # Optional, and its import takes seconds.
    from umap import UMAP  # noqa: PLC0415

    # Several jobs would make the layout random.
    method = UMAP(n_neighbors=min(15, len(features) - 1), random_state=seed, n_jobs=1)
    return np.asarray(method.fit_transform(_principal(features, seed)), dtype=np.float32)


def _principal(features: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    components = min(_COMPONENTS, *features.shape)
    return np.asarray(PCA(components, random_state=seed).fit_transform(features), dtype=np.float32)


def _photo(path: Path) -> Photo | None:
    try:
        return read_photo_file(path)
    except PhotoError:
        return None
