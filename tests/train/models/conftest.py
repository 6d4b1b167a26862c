"""Small variants of the architectures of the recipes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from triovision.train.recipes.country_recipe import Recipe, read_recipe

#: Arguments that make an architecture small where timm allows it.
SMALL = {
    "resnet50": ["architecture_args.layers=[1, 1, 1, 1]"],
    "resnet50_v1": ["architecture_args.layers=[1, 1, 1, 1]"],
    "convnext_tiny": ["architecture_args.depths=[1, 1, 1, 1]", "architecture_args.dims=[8, 8, 16, 16]"],
    "swin_tiny_patch4_window7_224": [
        "architecture_args.img_size=64", "architecture_args.window_size=2", "architecture_args.embed_dim=16",
        "architecture_args.depths=[1, 1, 1, 1]", "architecture_args.num_heads=[1, 1, 1, 1]",
    ],
    "vit_base_patch16_224": [
        "architecture_args.img_size=64", "architecture_args.embed_dim=32", "architecture_args.depth=2",
        "architecture_args.num_heads=2",
    ],
}  # fmt: skip
TWO_STEPS = [
    "preprocessing.input_size=64", "augmentation.train_size=64", "optimisation.epochs=1", "optimisation.min_epochs=1",
    "optimisation.batch_size=4", "optimisation.precision=32-true", "starting_weights=none", "data.min_photos=4",
    "data.sampler=natural",
]  # fmt: skip


@pytest.fixture(scope="session")
def small() -> Callable[..., Recipe]:
    """Reads a recipe with a small network that trains for two steps."""

    def read(name: str, more: Sequence[str] = ()) -> Recipe:
        return read_recipe(name, [*TWO_STEPS, *SMALL.get(read_recipe(name).architecture, []), *more])

    return read
