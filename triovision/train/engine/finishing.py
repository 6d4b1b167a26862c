"""From the best checkpoint of a run to its finished weights."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from triovision.train.data.run_splits import Splits
from triovision.train.engine.run_folder import FINISHED, START, write_weights
from triovision.train.models.build import recipe_network
from triovision.train.models.linear_probe import fit_last_layer
from triovision.train.recipes.country_recipe import Recipe


def finish(best: Path, folder: Path, recipe: Recipe, splits: Splits, workers: int) -> None:
    """Write the best weights, averaged with the starting ones and with a new last layer if the recipe says so.

    Args:
        best: Lightning's checkpoint of the best epoch.
        folder: Folder of the run.
        recipe: Says what is done.
        splits: Photos of the run.
        workers: Processes that decode photos.
    """
    state = torch.load(best, weights_only=True, map_location="cpu")["state_dict"]
    trained = {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}
    if share := recipe.optimisation.start_share:
        start = load_file(folder / START)
        # Counters are the trained one's.
        trained |= {k: torch.lerp(v, start[k], share) for k, v in trained.items() if v.is_floating_point()}
    network = recipe_network(recipe, len(splits.labels)).to(memory_format=torch.channels_last)
    network.load_state_dict(trained)
    if recipe.last_layer.at_end:
        fit_last_layer(network, splits.training, splits.labels, recipe, workers)
    write_weights(network, folder / FINISHED)
