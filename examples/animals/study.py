"""The study: variants cross-validated, a search around the baseline, and the held-out photos measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel
from sklearn.metrics import confusion_matrix, roc_auc_score

from examples.animals import network  # noqa: F401 - registers the baseline with timm
from examples.animals.photos import REST, part
from triovision.files import atomic_write
from triovision.inference.calibration import probabilities
from triovision.metrics.country import RunMetrics
from triovision.train.data.loaders import LoadOptions
from triovision.train.data.manifest import Manifest
from triovision.train.engine.run_folder import read_country_run, write_run_config
from triovision.train.evaluation.embedding import initial_network
from triovision.train.evaluation.intervals import group_interval, groups_of
from triovision.train.models.forward import network_outputs
from triovision.train.recipes.country_recipe import RECIPES, Recipe, read_recipe
from triovision.train.tuning.cross_validation import FoldedManifest, cross_validate, fold_manifest, spread_table
from triovision.train.tuning.search import search
from triovision.train.tuning.search_space import read_space
from triovision.train.tuning.study import BEST, StudyPlan, open_study, write_results

#: Recipes of this example, from the baseline on; `searched` is what the search finds.
VARIANTS: Final = ("baseline", "filters_128", "dropout", "l2", "augmented", "searched", "transfer")
_RECIPES: Final = Path(__file__).with_name("recipes")
#: Folder of the trials of the search.
SEARCH: Final = "search"
_TEST: Final = "test.json"


class TestMetrics(BaseModel):
    """Metrics on the held-out photos, by the mean probability of the networks of all folds.

    Attributes:
        photos: Number of photos.
        accuracy: Fraction of right answers.
        low: Lower end of its 95 % interval, from resampling sources, else photos; None with too few.
        high: Upper end.
        roc_auc: Probability that a photo of the class has a larger score than one of the rest.
        confusion: Photos by truth (rows) and answer, class first.
        by_network: Accuracy of the network of each fold.
    """

    photos: int
    accuracy: float
    low: float | None
    high: float | None
    roc_auc: float
    confusion: list[list[int]]
    by_network: list[float]


@dataclass(frozen=True, slots=True)
class Variant:
    """A recipe with what it reached.

    Attributes:
        name: Name of the recipe.
        description: Its description.
        folds: Metrics of the run of each fold.
        test: Metrics on the held-out photos.
    """

    name: str
    description: str
    folds: dict[str, RunMetrics]
    test: TestMetrics

    def spread(self, metric: str) -> tuple[float, float]:
        """Mean and standard deviation of a metric over the folds."""
        row = spread_table(self.folds).set_index("metric").loc[metric]
        return float(row["mean"]), float(row["sd"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Photos and settings of a study.

    Attributes:
        photos: See `write_binary`.
        out: Folder of all runs.
        weights: Weights of the backbone of `transfer`; None for timm's.
        folds: Folds of the cross-validation.
        random: Random trials of the search.
        overrides: Replaced fields of every recipe.
        options: How photos are read.
        log: Receives a message for each step.
    """

    photos: Manifest
    out: Path
    weights: Path | None
    folds: int
    random: int
    overrides: tuple[str, ...]
    options: LoadOptions
    log: Callable[[str], object]

    def run(self, names: Sequence[str] = VARIANTS) -> list[Variant]:
        """Cross-validate variants and measure them on the held-out photos; what an earlier call finished is read.

        Raises:
            RecipeError: If a variant cannot be trained; see `train_country`.
        """
        folded = fold_manifest(part(self.photos, test=False), self.out, "place", self.folds, seed=0)
        variants = []
        for number, name in enumerate(names, start=1):
            self.log(f"variant {number} of {len(names)}: {name}")
            variants.append(self._variant(name, folded))
        return variants

    def _variant(self, name: str, folded: FoldedManifest) -> Variant:
        recipe = read_recipe(str(self._search(folded))) if name == "searched" else read_variant(name, self.overrides)
        weights = _weights_for(recipe, self.weights)
        folds = cross_validate(recipe, folded, self.out / name, weights, self.options, self.log)
        return Variant(name, recipe.description, folds, self._test(self.out / name, list(folds)))

    def _search(self, folded: FoldedManifest) -> Path:
        """Search at random, then on the grid around the best trial, measured on the first fold; returns its recipe."""
        base, first = str(_RECIPES / "baseline.toml"), folded.columns[0]
        named = ('name="searched"', 'description="The best of the search"')
        plan = StudyPlan(
            book=RECIPES,
            recipe_name=base,
            overrides=(*self.overrides, *named, f'data.validation_splits=["{first}"]'),
            space=read_space(_RECIPES / "space.toml", base),
            manifest=folded.manifest,
            folder=self.out / SEARCH,
            metric=f"{first.removeprefix('split_')}/top1",
            direction="maximize",
            epochs=None,
            weights=None,
            options=self.options,
        )
        write_run_config(plan.folder, {"random_trials": self.random})
        with open_study(plan) as study:
            search(plan, study, self.random, True, 1, self.log)
            self.log(write_results(plan, study))
        return plan.folder / BEST

    def _test(self, folder: Path, runs: Sequence[str]) -> TestMetrics:
        stored = folder / _TEST
        if not stored.exists():
            held_out = part(self.photos, test=True)
            scores = np.array([self._scores(folder / name, held_out) for name in runs])
            metrics = score_metrics(scores, (held_out.labels != REST).to_numpy(), groups_of(held_out.table))
            atomic_write(stored, metrics.model_dump_json(indent=1) + "\n")
        return TestMetrics.model_validate_json(stored.read_bytes())

    def _scores(self, folder: Path, photos: Manifest) -> NDArray[np.float64]:
        """Probability of the class by the network of one fold, `(n,)`."""
        run = read_country_run(folder)
        logits = network_outputs(run.network, photos, run.recipe, self.options.workers)
        return probabilities(logits, 1.0)[:, [label != REST for label in run.labels].index(True)]


def read_variant(name: str, overrides: Sequence[str]) -> Recipe:
    """Read a recipe of this example with replaced fields.

    Raises:
        RecipeError: If a field is unknown or out of its range.
    """
    return read_recipe(str(_RECIPES / f"{name}.toml"), overrides)


def check_variants(names: Sequence[str], overrides: Sequence[str], weights: Path | None) -> None:
    """Build the network of each variant: what cannot be trained is found before hours of others are.

    Raises:
        RecipeError: If a field or an architecture is unknown, or weights are missing or do not fit.
    """
    for name in names:
        recipe = read_variant("baseline" if name == "searched" else name, overrides)
        initial_network(recipe, _weights_for(recipe, weights))


def _weights_for(recipe: Recipe, weights: Path | None) -> Path | None:
    return None if recipe.starting_weights == "none" else weights


def score_metrics(scores: NDArray[np.float64], positive: NDArray[np.bool_], groups: NDArray[np.intp]) -> TestMetrics:
    """Compare scores with the truth; the threshold is one half.

    Args:
        scores: Probability of the class by each network, `(n_networks, n)`.
        positive: Whether each photo shows the class, `(n,)`.
        groups: Source of each photo, `(n,)`, for the interval.
    """
    mean = scores.mean(axis=0)
    right = (mean > 0.5) == positive
    interval = group_interval(right, groups)
    return TestMetrics(
        photos=len(positive),
        accuracy=float(right.mean()),
        low=None if interval is None else interval.low,
        high=None if interval is None else interval.high,
        roc_auc=float(roc_auc_score(positive, mean)),
        confusion=confusion_matrix(positive, mean > 0.5, labels=[True, False]).tolist(),
        by_network=((scores > 0.5) == positive).mean(axis=1).tolist(),
    )
