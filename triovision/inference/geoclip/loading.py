"""The worldwide engine's parts, read from checked files. Only here are transformers and the package imported."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from triovision.errors import ModelError
from triovision.inference.cache import cache_folder
from triovision.inference.card import ModelCard
from triovision.inference.geoclip import release
from triovision.inference.geoclip.gallery import Gallery, country_indices, kept, read_gallery
from triovision.inference.geoclip.network import GeoClipNetwork
from triovision.inference.integrity import REINSTALL, check

_CLIP_FEATURES: Final = 768
_FEATURES: Final = 512
_BATCH: Final = 2000

Progress = Callable[[int, int], object]


def load_network(
    folder: Path, card: ModelCard, gallery: Gallery, country_index: NDArray[np.int16], on_progress: Progress
) -> GeoClipNetwork:
    """CLIP's image tower, the projection and the embeddings of the gallery as one network.

    Raises:
        ModelError: If a file does not fit, or is not there.
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
        scale / card.calibration.temperature,
    )
    return network.eval().requires_grad_(False)


def load_gallery(folder: Path, card: ModelCard) -> tuple[Gallery, NDArray[np.int16]]:
    """The package's positions, and the number of each one's label, looked up once and kept.

    Args:
        folder: The model's folder; all files of the model are checked first.
        card: Its card.

    Raises:
        ModelError: If a file of the model is missing or is not the one that the card names.
    """
    check(folder, card)
    gallery = read_gallery(release.package_folder() / release.GALLERY)
    name = f"countries-{_key(gallery.sha256, *card.labels)}.npy"
    index = kept(cache_folder() / name, (len(gallery),), np.int16, lambda: country_indices(gallery, card.labels))
    return gallery, index


def load_image_processor(folder: Path) -> Any:  # noqa: ANN401 - transformers' own
    """The hub's preprocessing, from `preprocessor_config.json`.

    Raises:
        ModelError: If it cannot be used.
    """
    try:
        return import_module("transformers").CLIPImageProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError) as exc:
        raise ModelError(str(folder), f"holds no usable preprocessing ({exc})", REINSTALL) from exc


def position_embeddings(card: ModelCard, gallery: Gallery, on_progress: Progress) -> NDArray[np.float32]:
    """Embeddings of the gallery, each of length one: worked out once, then read from the user's cache.

    They are kept under a hash of the encoder's weights and of the positions, so neither can change unseen.

    Args:
        card: Card that names the encoder's weights.
        gallery: The positions.
        on_progress: Told how many positions are done, of how many.

    Returns:
        `float32` of shape `(n, 512)`.
    """
    weights = release.release_of(card).package_files[release.LOCATION_WEIGHTS]
    path = cache_folder() / f"positions-{_key(weights, gallery.sha256)}.npy"
    return kept(path, (len(gallery), _FEATURES), np.float32, lambda: _embed(gallery, on_progress))


def _embed(gallery: Gallery, on_progress: Progress) -> NDArray[np.float32]:
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
    """CLIP's image tower; the text tower's weights are left where they are."""
    transformers = import_module("transformers")
    try:
        config = transformers.CLIPConfig.from_pretrained(folder, local_files_only=True)
        # The whole CLIP goes by its own figure, its image tower alone by one of its section.
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
        raise ModelError(str(folder), f"holds no usable CLIP ({exc})", REINSTALL) from exc
    if absent := [*report["missing_keys"], *report["mismatched_keys"]]:  # transformers goes on with random numbers
        raise ModelError(str(folder), f"lacks fitting weights for {absent[:3]}", REINSTALL)
    return cast(nn.Module, vision)


@contextmanager
def _quiet(logging: Any) -> Iterator[None]:  # noqa: ANN401 - transformers' own
    """No bar and no list of the text tower's weights, which nobody asked for."""
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
        raise ModelError(str(path), f"does not fit the network ({exc})", release.EXTRA) from exc


def _weights(path: Path) -> Any:  # noqa: ANN401 - a state or a tensor
    """What a `.pth` file holds; tensors only, nothing in it is executed."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as exc:
        raise ModelError(str(path), f"cannot be read ({exc})", release.EXTRA) from exc


def _key(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
