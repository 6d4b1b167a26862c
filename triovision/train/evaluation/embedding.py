"""Frozen features of a sample of photos, and their layout on a plane."""

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
from triovision.results import Photo
from triovision.train.models.build import build_country_network
from triovision.train.models.init_weights import init_backbone
from triovision.train.models.linear_probe import PooledBackbone
from triovision.train.recipes.country_recipe import Recipe

_BATCH = 32
_COMPONENTS = 50  # principal components that t-SNE and UMAP start from, as van der Maaten and Hinton (2008) advise
_FEWEST = 5


def model_network(model_id: str) -> tuple[nn.Module, Preprocessing]:
    """Network of one of the app's models, and what it sees.

    Raises:
        ModelError: If there is no such model.
    """
    engine = cast(CountryEngine, load_model(model_id))
    preprocessing = engine.card.network_input
    return engine.network, preprocessing


def starting_network(recipe: Recipe, weights: Path) -> tuple[nn.Module, Preprocessing]:
    """Network of a recipe with starting weights, and what it sees.

    Raises:
        RecipeError: If the weights cannot be read or do not fit.
    """
    network = build_country_network(recipe, 0)
    init_backbone(network, recipe, weights)
    network.eval().requires_grad_(False).to(choose_device(None)).to(memory_format=torch.channels_last)
    return network, recipe.preprocessing


def pooled_features(
    network: nn.Module, preprocessing: Preprocessing, paths: Sequence[Path], on_photo: Callable[[int], object]
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """What the network's last layer reads, for every photo that can be read.

    Args:
        network: A timm network in evaluation mode.
        preprocessing: What it sees.
        paths: Files of the photos.
        on_photo: Called with the number of photos done, for a progress bar.

    Returns:
        Features `(n_read, n_features)`, and the numbers of the photos that were read.

    Raises:
        ManifestError: If fewer than five photos can be read.
    """
    device, pooled = next(network.parameters()).device, PooledBackbone(network)
    rows: list[NDArray[np.float32]] = []
    read: list[int] = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool, torch.inference_mode():
        for start in range(0, len(paths), _BATCH):
            found = list(pool.map(_photo, paths[start : start + _BATCH]))
            images = [photo.image_hwc for photo in found if photo is not None]
            if images:
                batch_nchw = preprocessing.batch(images).to(device)
                rows.append(pooled(batch_nchw).float().cpu().numpy())
            read += [start + number for number, photo in enumerate(found) if photo is not None]
            on_photo(len(found))
    if len(read) < _FEWEST:
        reason = f"{len(read)} photos of the sample can be read, too few to lay out"
        raise ManifestError("The features", reason, "Check the folder of the photos, or give --features none")
    return np.concatenate(rows), np.array(read, dtype=np.intp)


def tsne_layout(features: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Positions `(n, 2)` by t-SNE: "Visualizing data using t-SNE" (van der Maaten and Hinton, 2008)."""
    perplexity = min(30.0, (len(features) - 1) / 3)
    layout = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(_principal(features, seed))
    return np.asarray(layout, dtype=np.float32)


def umap_layout(features: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Positions `(n, 2)` by UMAP (McInnes, Healy and Melville, 2018).

    Raises:
        ModuleNotFoundError: If the optional package `umap-learn` is not installed.
    """
    # Optional, and it compiles for seconds when it is imported.
    from umap import UMAP  # noqa: PLC0415

    # One job, because several would not give the same layout twice.
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
