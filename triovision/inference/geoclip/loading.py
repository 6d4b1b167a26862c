"""Loading of the worldwide engine's parts from checked files; only this module imports transformers and geoclip."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from triovision.errors import Message, ModelError
from triovision.files import cache_folder
from triovision.inference.card import ModelCard
from triovision.inference.geoclip import release
from triovision.inference.geoclip.gallery import Gallery, country_indices, load_or_compute, read_gallery
from triovision.inference.geoclip.network import GeoClipNetwork
from triovision.inference.geoclip.release import OnProgress
from triovision.inference.integrity import check_files

_CLIP_FEATURES: Final = 768
_FEATURES: Final = 512
_BATCH: Final = 2000


def load_network(
    folder: Path, card: ModelCard, gallery: Gallery, country_index: NDArray[np.int16], on_progress: OnProgress
) -> GeoClipNetwork:
    """Join CLIP's image tower, the projection and the embeddings of the gallery in one network.

    Raises:
        ModelError: If a file is missing or does not fit.
    """
    package = release.package_folder()
    projection = nn.Sequential(
        nn.Linear(_CLIP_FEATURES, _CLIP_FEATURES), nn.ReLU(), nn.Linear(_CLIP_FEATURES, _FEATURES)
    )
    _fill(projection, package / release.PROJECTION_WEIGHTS)
    scale = float(_weights(package / release.SCALE).exp())
    network = GeoClipNetwork(
        _vision(folder),
        projection,
        torch.from_numpy(position_embeddings(card, gallery, on_progress)),
        torch.from_numpy(country_index.astype(np.int64)),
        len(card.labels),
        scale,
    )
    return network.eval().requires_grad_(False)


def load_gallery(folder: Path, card: ModelCard) -> tuple[Gallery, NDArray[np.int16]]:
    """Check all files of the model, then load the package's positions and the index of each one's label.

    The indices are computed once and cached.

    Args:
        folder: The model's folder.
        card: Its card.

    Raises:
        ModelError: If a file of the model is missing or has another hash than the card names.
    """
    check_files(release.model_files(folder, card))
    gallery = read_gallery(release.package_folder() / release.GALLERY)
    name = f"countries-{_key(gallery.sha256, *card.labels)}.npy"
    index = load_or_compute(
        cache_folder() / name, (len(gallery),), np.int16, lambda: country_indices(gallery, card.labels)
    )
    return gallery, index


def load_image_processor(folder: Path) -> Any:  # noqa: ANN401 - transformers' own
    """Load the hub's preprocessing from `preprocessor_config.json`.

    Raises:
        ModelError: If the file is unusable.
    """
    try:
        return import_module("transformers").CLIPImageProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError) as exc:
        raise ModelError(
            str(folder), Message("has no usable preprocessing ({why})", why=exc), release.REINSTALL
        ) from exc


def position_embeddings(card: ModelCard, gallery: Gallery, on_progress: OnProgress) -> NDArray[np.float32]:
    """Return the embeddings of the gallery, each of length one: computed once, then read from the user's cache.

    The name of the cached file is a hash of the encoder's weights and of the positions, so neither can change unseen.

    Args:
        card: Card that names the encoder's weights.
        gallery: The positions.
        on_progress: Called with the numbers of embedded and of all positions.

    Returns:
        `float32` of shape `(n, 512)`.
    """
    weights = release.release_of(card).package_files[release.LOCATION_WEIGHTS]
    path = cache_folder() / f"positions-{_key(weights, gallery.sha256)}.npy"
    return load_or_compute(path, (len(gallery), _FEATURES), np.float32, lambda: _embed(gallery, on_progress))


def _embed(gallery: Gallery, on_progress: OnProgress) -> NDArray[np.float32]:
    encoder = _location_encoder()
    positions = torch.from_numpy(np.stack([gallery.lat_deg, gallery.lon_deg], axis=1)).float()
    rows: list[Tensor] = []
    with torch.inference_mode():
        for batch in torch.split(positions, _BATCH):
            rows.append(F.normalize(encoder(batch), dim=1))
            on_progress(sum(map(len, rows)), len(positions))
    return torch.cat(rows).numpy()


def _location_encoder() -> nn.Module:
    package = release.package_folder()
    with warnings.catch_warnings():
        # The package compiles a function with torch.jit.script, which this torch calls deprecated.
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.jit")
        module = import_module("geoclip.model.location_encoder")
    encoder: nn.Module = module.LocationEncoder(from_pretrained=False)
    _fill(encoder, package / release.LOCATION_WEIGHTS)
    return encoder.eval()


def _vision(folder: Path) -> nn.Module:
    """Load CLIP's image tower without the text tower."""
    transformers = import_module("transformers")
    try:
        config = transformers.CLIPConfig.from_pretrained(folder, local_files_only=True)
        # The whole CLIP reads its own `projection_dim`, the image tower alone that of its section.
        config.vision_config.projection_dim = config.projection_dim
        with _quiet(transformers.logging):
            vision, report = transformers.CLIPVisionModelWithProjection.from_pretrained(
                folder,
                config=config.vision_config,
                dtype=torch.float32,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
            )
    except (OSError, ValueError, TypeError, RuntimeError) as exc:
        raise ModelError(str(folder), Message("has no usable CLIP ({why})", why=exc), release.REINSTALL) from exc
    if absent := [*report["missing_keys"], *report["mismatched_keys"]]:  # transformers would go on with random weights
        raise ModelError(str(folder), Message("lacks fitting weights for {names}", names=absent[:3]), release.REINSTALL)
    return cast(nn.Module, vision)


@contextmanager
def _quiet(logging: Any) -> Iterator[None]:  # noqa: ANN401 - transformers' own
    """Silence the progress bar and the list of the text tower's weights."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _fill(module: nn.Module, path: Path) -> None:
    try:
        module.load_state_dict(_weights(path))
    except (TypeError, RuntimeError) as exc:
        raise ModelError(str(path), Message("does not fit the network ({why})", why=exc), release.EXTRA) from exc


def _weights(path: Path) -> Any:  # noqa: ANN401 - a state or a tensor
    """Read the tensors of a `.pth` file without executing its code."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as exc:
        raise ModelError(str(path), Message("cannot be read ({why})", why=exc), release.EXTRA) from exc


def _key(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
