"""Output of a frozen backbone, cached for every photo, so that an epoch costs only the trained part."""

from __future__ import annotations

import copy
import hashlib
import logging
from collections.abc import Iterator, Sequence
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

#: What a timm family calls its stem and its stages; a name with a dot-star stands for the children of a module.
_FAMILIES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("conv_stem", "bn1"), ("blocks.*",)),  # EfficientNet, MobileNetV2, MobileNetV3
    (("conv1", "bn1", "act1", "maxpool"), ("layer1", "layer2", "layer3", "layer4")),  # ResNet
    (("stem",), ("stages.*",)),  # ConvNeXt
    (("patch_embed",), ("layers.*",)),  # Swin
)
_BATCH = 32


def leading_modules(network: nn.Module, n_blocks: int) -> list[nn.Module]:
    """The stem and the first stages of a timm network, in the order in which they are passed.

    Args:
        network: A network of a family that has stages.
        n_blocks: Number of stages; what comes behind the last stage always stays in the rest.

    Raises:
        RecipeError: If the family has no stages, or fewer.
    """
    for stem, stages in _FAMILIES:
        parents = [name.removesuffix(".*") for name in (*stem, *stages)]
        if all(hasattr(network, name) for name in parents):
            found = [module for name in stages for module in _named(network, name)]
            if 1 <= n_blocks <= len(found):
                return [network.get_submodule(name) for name in stem] + found[:n_blocks]
            reason = f"is {n_blocks}, and {type(network).__name__} has {len(found)} stages"
            raise RecipeError("`freeze_blocks`", reason, f"Give 1 to {len(found)}")
    remedy = "Train it without --augmented-copies"
    raise RecipeError(type(network).__name__, "is of no family whose frozen part can be cut off", remedy)


def _named(network: nn.Module, name: str) -> list[nn.Module]:
    module = network.get_submodule(name.removesuffix(".*"))
    return list(module.children()) if name.endswith(".*") else [module]


def cut_prefix(network: nn.Module, n_blocks: int) -> nn.Module:
    """Cut a network in two: afterwards `network(prefix(batch_nchw))` is what `network(batch_nchw)` was.

    The network is changed in place: its first modules let everything pass. It keeps their weights under their names,
    so that its state is still that of the whole network.

    Returns:
        The first part: a copy, in evaluation mode, without gradients.

    Raises:
        RecipeError: If the network cannot be cut there.
    """
    modules = leading_modules(network, n_blocks)
    prefix = nn.Sequential(*(copy.deepcopy(module) for module in modules)).eval().requires_grad_(False)
    for module in modules:
        module.forward = _unchanged  # on the instance: nn.Module calls it in place of its class's
    return prefix


def _unchanged(batch: Tensor) -> Tensor:
    return batch


@dataclass(frozen=True)
class FrozenFeatures(Dataset[Sample | None]):
    """Outputs of the frozen part with their targets, for a number of fixed copies of each photo.

    Attributes:
        store: float16 arrays by `row * copies + view`.
        targets: Target of each row.
        copies: Views of each photo; the seed of a draw chooses one.
    """

    store: ArrayStore
    targets: NDArray[np.int64]
    copies: int

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.targets)

    def __getitem__(self, draw: SampleKey | int) -> Sample | None:
        """Output of the frozen part, float16 of shape `(c, h, w)`, and target; None for an unreadable photo."""
        row, seed = draw if isinstance(draw, tuple) else (draw, 0)
        found = self.store.get(row * self.copies + seed % self.copies)
        return None if found is None else (torch.from_numpy(found.copy()), int(self.targets[row]))


def collate_features(samples: Sequence[Sample | None]) -> tuple[Tensor, Tensor]:
    """Stack what could be read into channels-last float32 features and targets."""
    read = [sample for sample in samples if sample is not None]
    if not read:
        raise RecipeError("A whole batch", "could not be read", "See unreadable.csv; check the photos' folder")
    batch = torch.stack([features for features, _ in read]).float().contiguous(memory_format=torch.channels_last)
    return batch, torch.tensor([target for _, target in read])


def frozen_features(
    folder: Path, prefix: nn.Module, photos: TrainingPhotos | ValidationPhotos, about: dict[str, str], workers: int,
    copies: int = 1,
) -> FrozenFeatures:  # fmt: skip
    """Pass every photo through the frozen part once, unless that was done; a killed build goes on.

    Args:
        folder: Folder of all caches.
        prefix: The frozen part, in evaluation mode.
        photos: Photos, changed at random (training) or not (validation).
        about: What the pictures depend on: manifest, recipe, split.
        workers: Processes that prepare pictures.
        copies: Randomly changed copies of each training photo; 1 for validation.

    Raises:
        RecipeError: If the disk is (or would be) full, or an output is too large for float16.
    """
    about = about | {"prefix_sha256": weights_sha256(prefix), "copies": str(copies)}
    store = ArrayStore(cache_folder(folder, about), np.float16)
    keys = np.arange(len(photos) * copies)
    if not store.has(keys).all():
        with store.writing() as appender:
            missing = keys[~store.has(keys)]
            batches = _pictures(photos, missing, copies, workers)
            bar = tqdm(batches, "frozen part", -(-len(missing) // _BATCH), unit="batch", disable=None)
            for number, (batch_keys, batch) in enumerate(bar):
                with torch.inference_mode():
                    features = prefix(batch.to(next(prefix.parameters()).device)).to(torch.float16).cpu()
                if not features.isfinite().all():
                    raise RecipeError(
                        "The frozen part", "gives values beyond 65504", "Train without --augmented-copies"
                    )
                if number == 0:
                    check_space(store.folder, len(missing) * features[0].nbytes)
                appender.append(list(zip(batch_keys, features.numpy(), strict=True)))
    return FrozenFeatures(store, photos.targets, copies)


def _pictures(
    photos: TrainingPhotos | ValidationPhotos, keys: NDArray[np.int64], copies: int, workers: int
) -> Iterator[tuple[list[int], Tensor]]:
    """Batches of keys and normalised pictures; photos that cannot be read are left out."""
    draws: list[Any] = [divmod(int(key), copies) for key in keys]
    if isinstance(photos, ValidationPhotos):
        draws = [row for row, _ in draws]
    loader = DataLoader(
        cast(Dataset[Sample | None], photos), sampler=draws, batch_size=_BATCH, num_workers=workers, collate_fn=list
    )
    for start, samples in zip(range(0, len(keys), _BATCH), loader, strict=True):
        read = [(int(key), sample[0]) for key, sample in zip(keys[start:], samples, strict=False) if sample is not None]
        if read:
            batch = photos.preprocessing.normalise(torch.stack([picture for _, picture in read]))
            yield [key for key, _ in read], batch


def weights_sha256(module: nn.Module) -> str:
    """Hash of a module's structure and state."""
    digest = hashlib.sha256(repr(module).encode())
    for name, tensor in module.state_dict().items():
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


log = logging.getLogger(__name__)
_BATCH = 64


@dataclass(frozen=True)
class KeptFeatures(Dataset[Sample | None]):
    """Output of the frozen part for some photos, with the number of each.

    Attributes:
        store: float16 arrays by the number of the photo among those with a position.
        rows: Numbers of these photos.
    """

    store: ArrayStore
    rows: NDArray[np.intp]

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.rows)

    def __getitem__(self, draw: SampleKey | int) -> Sample | None:
        """Output of the frozen part, float16 of shape `(c, h, w)`, and number of the photo."""
        row = int(self.rows[draw[0] if isinstance(draw, tuple) else draw])
        found = self.store.get(row)
        return None if found is None else (torch.from_numpy(found.copy()), row)


def kept_features(
    frozen: nn.Module, photos: LocatedPhotos, recipe: PositionRecipe, cache: Path, workers: int, bad: UnreadablePhotos
) -> ArrayStore:
    """Pass every photo with a position through the frozen part, unless that was done; a killed build goes on.

    The cache depends on the photos, the weights and the preprocessing alone, so that runs, folds and trials share it.

    Args:
        frozen: See `cut_frozen_part`.
        photos: Photos with a position.
        recipe: Says what the network sees.
        cache: Folder of all caches.
        workers: Processes that decode photos.
        bad: Where photos that cannot be read are listed.

    Returns:
        Arrays by the number of the photo; those that cannot be read have none.

    Raises:
        RecipeError: If the disk is full or too many photos cannot be read.
    """
    manifest = photos.manifest
    files = hashlib.sha256("\0".join(manifest.table["file"]).encode()).hexdigest()
    about = {
        "photos": f"{manifest.root.resolve()} {files}",
        "preprocessing": recipe.preprocessing.model_dump_json(),
    }
    pictures = ValidationPhotos(manifest, (), recipe.preprocessing, bad=bad)
    store = frozen_features(cache, frozen.to(choose_device(None)), pictures, about, workers).store
    bad.check()
    return store


def image_features(network: nn.Module, store: ArrayStore, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """What the backbone gives for photos, shape `(n, n_image_features)`.

    Args:
        network: A network without its frozen part, in evaluation mode.
        store: Output of that part.
        rows: Numbers of the photos; all of them have an array.
    """
    device = choose_device(None)
    resnet = network.get_submodule("resnet").to(device)
    loader = DataLoader(KeptFeatures(store, rows), _BATCH, collate_fn=collate_features)
    with torch.inference_mode():
        found: list[Tensor] = [resnet(batch.to(device)).cpu() for batch, _ in loader]
    features: NDArray[np.float32] = torch.cat(found).numpy()
    return features
