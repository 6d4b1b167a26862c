"""Cache of the features of frozen layers, so that an epoch computes only the trained layers."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from triovision.errors import RecipeError
from triovision.inference.device import choose_device
from triovision.train.data.array_store import ArrayStore
from triovision.train.data.dataset import Sample, TrainingPhotos, ValidationPhotos
from triovision.train.data.image_cache import cache_folder, check_space
from triovision.train.data.positions import LocatedPhotos
from triovision.train.data.samplers import SampleKey
from triovision.train.data.unreadable import UnreadablePhotos
from triovision.train.recipes.position_recipe import PositionRecipe

#: Names of the stem and the stages in timm families; `.*` stands for the children of a module.
_FAMILIES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("conv_stem", "bn1"), ("blocks.*",)),  # EfficientNet, MobileNetV2, MobileNetV3
    (("conv1", "bn1", "act1", "maxpool"), ("layer1", "layer2", "layer3", "layer4")),  # ResNet
    (("stem",), ("stages.*",)),  # ConvNeXt
    (("patch_embed",), ("layers.*",)),  # Swin
)
#: Images in a batch of the frozen layers.
FEATURE_BATCH = 64


def leading_modules(network: nn.Module, n_blocks: int) -> list[nn.Module]:
    """The stem and the first stages of a timm network, in forward order.

    Args:
        network: Network of a family with stages.
        n_blocks: Number of stages.

    Raises:
        RecipeError: If the family has no stages, or fewer.
    """
    for stem, stages in _FAMILIES:
        parents = [name.removesuffix(".*") for name in (*stem, *stages)]
        if all(hasattr(network, name) for name in parents):
            blocks = [module for name in stages for module in _named(network, name)]
            if 1 <= n_blocks <= len(blocks):
                return [network.get_submodule(name) for name in stem] + blocks[:n_blocks]
            reason = f"is {n_blocks}, but {type(network).__name__} has {len(blocks)} stages"
            raise RecipeError("`freeze_blocks`", reason, f"Give 1 to {len(blocks)}")
    remedy = "Train it without --augmented-copies"
    raise RecipeError(type(network).__name__, "is of a family whose frozen layers cannot be split off", remedy)


def _named(network: nn.Module, name: str) -> list[nn.Module]:
    module = network.get_submodule(name.removesuffix(".*"))
    return list(module.children()) if name.endswith(".*") else [module]


def split_frozen_layers(network: nn.Module, n_blocks: int) -> nn.Module:
    """Split the frozen layers off: afterwards `network(frozen(batch_nchw))` is what `network(batch_nchw)` was.

    The network is changed in place: its first modules become identities but keep their weights, so that its state
    dict is still that of the whole network.

    Returns:
        The frozen layers: a copy in evaluation mode, without gradients.

    Raises:
        RecipeError: If the network cannot be split there.
    """
    modules = leading_modules(network, n_blocks)
    frozen = nn.Sequential(*(copy.deepcopy(module) for module in modules)).eval().requires_grad_(False)
    for module in modules:
        module.forward = _identity  # of the instance, which nn.Module calls instead of that of the class
    return frozen


def _identity(batch: Tensor) -> Tensor:
    return batch


@dataclass(frozen=True)
class CountryFeatures(Dataset[Sample | None]):
    """Cached features of photos with their targets, for a fixed number of augmented copies of each.

    Attributes:
        store: float16 arrays by `row * copies + copy`.
        targets: Target of each row.
        copies: Copies of each photo; the seed of a sample key chooses one.
    """

    store: ArrayStore
    targets: NDArray[np.int64]
    copies: int

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.targets)

    def __getitem__(self, key: SampleKey | int) -> Sample | None:
        """Features, float16 of shape `(c, h, w)`, and target; None for an unreadable photo."""
        row, seed = key if isinstance(key, tuple) else (key, 0)
        features = self.store.get(row * self.copies + seed % self.copies)
        return None if features is None else (torch.from_numpy(features.copy()), int(self.targets[row]))


def collate_features(samples: Sequence[Sample | None]) -> tuple[Tensor, Tensor]:
    """Stack the readable samples into channels-last float32 features and targets."""
    read = [sample for sample in samples if sample is not None]
    if not read:
        raise RecipeError("A batch", "has no readable photo", "Check the folder of the photos; see unreadable.csv")
    batch = torch.stack([features for features, _ in read]).float().contiguous(memory_format=torch.channels_last)
    return batch, torch.tensor([target for _, target in read])


def cache_features(
    folder: Path, frozen: nn.Module, photos: TrainingPhotos | ValidationPhotos, key: dict[str, str], workers: int,
    copies: int = 1,
) -> CountryFeatures:  # fmt: skip
    """Compute the features of all photos that are not in the cache; a killed build is resumed.

    Args:
        folder: Folder of all caches.
        frozen: Frozen layers, in evaluation mode.
        photos: Training photos, which are augmented, or validation photos.
        key: What the images depend on: manifest, recipe, split; part of the name of the cache.
        workers: Processes that prepare images.
        copies: Augmented copies of each training photo; 1 for validation.

    Raises:
        RecipeError: If the disk is (or would be) full, or a feature is too large for float16.
    """
    key = key | {"frozen_sha256": weights_sha256(frozen), "copies": str(copies)}
    store = ArrayStore(cache_folder(folder, key), np.float16)
    store_features(store, frozen, len(photos) * copies, lambda missing: _batches(photos, missing, copies, workers))
    return CountryFeatures(store, photos.targets, copies)


def store_features(
    store: ArrayStore,
    frozen: nn.Module,
    n_keys: int,
    batches: Callable[[NDArray[np.int64]], Iterable[tuple[Sequence[int], Tensor]]],
) -> None:
    """Compute the features that a store lacks, as float16; a killed build is resumed.

    Args:
        store: Store of float16 arrays by the keys 0 to `n_keys - 1`.
        frozen: Frozen layers, in evaluation mode; their output has the shape `(n, c, h, w)`.
        n_keys: Number of keys.
        batches: Yields keys and normalised images for the missing keys, `FEATURE_BATCH` at a time; a key may be left
            out.

    Raises:
        RecipeError: If the disk is (or would be) full, or a feature is too large for float16.
    """
    keys = np.arange(n_keys)
    if store.has(keys).all():
        return
    with store.writing() as appender:
        missing = keys[~store.has(keys)]
        n_batches = -(-len(missing) // FEATURE_BATCH)
        bar = tqdm(batches(missing), "features of frozen layers", n_batches, unit="batch", disable=None)
        for number, (batch_keys, batch) in enumerate(bar):
            with torch.inference_mode():
                features = frozen(batch.to(next(frozen.parameters()).device)).to(torch.float16).cpu()
            if not features.isfinite().all():
                raise RecipeError("The frozen layers", "have outputs above 65504", "Train without a cache of features")
            if number == 0:
                check_space(store.folder, len(missing) * features[0].nbytes)
            appender.append(list(zip(batch_keys, features.numpy(), strict=True)))


def _batches(
    photos: TrainingPhotos | ValidationPhotos, keys: NDArray[np.int64], copies: int, workers: int
) -> Iterator[tuple[list[int], Tensor]]:
    """Batches of keys and normalised images; unreadable photos are left out."""
    sample_keys: list[Any] = [divmod(int(key), copies) for key in keys]
    if isinstance(photos, ValidationPhotos):
        sample_keys = [row for row, _ in sample_keys]
    loader = DataLoader(
        cast(Dataset[Sample | None], photos),
        sampler=sample_keys,
        batch_size=FEATURE_BATCH,
        num_workers=workers,
        collate_fn=list,
    )
    for start, samples in zip(range(0, len(keys), FEATURE_BATCH), loader, strict=True):
        read = [(int(key), sample[0]) for key, sample in zip(keys[start:], samples, strict=False) if sample is not None]
        if read:
            batch = photos.preprocessing.normalise(torch.stack([image for _, image in read]))
            yield [key for key, _ in read], batch


def weights_sha256(module: nn.Module) -> str:
    """SHA-256 of the structure and the state of a module."""
    digest = hashlib.sha256(repr(module).encode())
    for name, tensor in module.state_dict().items():
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class PositionFeatures(Dataset[Sample | None]):
    """Cached features of photos with a position, with the index of each.

    Attributes:
        store: float16 arrays by the index of the photo among those with a position.
        rows: Indices of these photos.
    """

    store: ArrayStore
    rows: NDArray[np.intp]

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.rows)

    def __getitem__(self, key: SampleKey | int) -> Sample | None:
        """Features, float16 of shape `(c, h, w)`, and index of the photo; None for an unreadable photo."""
        row = int(self.rows[key[0] if isinstance(key, tuple) else key])
        features = self.store.get(row)
        return None if features is None else (torch.from_numpy(features.copy()), row)


def cache_position_features(
    frozen: nn.Module,
    photos: LocatedPhotos,
    recipe: PositionRecipe,
    cache: Path,
    workers: int,
    unreadable: UnreadablePhotos,
) -> ArrayStore:
    """Compute the features of all photos with a position that are not in the cache; a killed build is resumed.

    The cache depends only on the photos, the weights and the preprocessing, so that runs, folds and trials share it.

    Args:
        frozen: Frozen layers, in evaluation mode.
        photos: Photos with a position.
        recipe: Recipe with the preprocessing.
        cache: Folder of all caches.
        workers: Processes that decode photos.
        unreadable: List of unreadable photos.

    Returns:
        Arrays by the index of the photo; unreadable photos have none.

    Raises:
        RecipeError: If the disk is full or too many photos cannot be read.
    """
    manifest = photos.manifest
    files = hashlib.sha256("\0".join(manifest.table["file"]).encode()).hexdigest()
    key = {
        "photos": f"{manifest.root.resolve()} {files}",
        "preprocessing": recipe.preprocessing.model_dump_json(),
    }
    images = ValidationPhotos(manifest, (), recipe.preprocessing, unreadable=unreadable)
    store = cache_features(cache, frozen.to(choose_device(None)), images, key, workers).store
    unreadable.check()
    return store


def image_features(network: nn.Module, store: ArrayStore, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """Image features of photos, the output of the backbone, shape `(n, n_image_features)`.

    Args:
        network: Network without its frozen layers, in evaluation mode.
        store: Features of the frozen layers.
        rows: Indices of the photos; all of them have an array.
    """
    device = choose_device(None)
    resnet = network.get_submodule("resnet").to(device)
    loader = DataLoader(PositionFeatures(store, rows), FEATURE_BATCH, collate_fn=collate_features)
    with torch.inference_mode():
        outputs: list[Tensor] = [resnet(batch.to(device)).cpu() for batch, _ in loader]
    features: NDArray[np.float32] = torch.cat(outputs).numpy()
    return features
