from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from examples.relations.annotations import Annotations, Pair, read_annotations
from examples.relations.geometry import RELATIONS
from examples.relations.recipe import RECIPES, RelationRecipe
from examples.relations.scenes import PUBLISHED, PUBLISHED_TOTAL
from examples.relations.study import Study
from examples.relations.training import RelationModule, class_weights, divide, read_head
from triovision.errors import ManifestError, RecipeError


class KilledError(Exception):
    """Stands for the end of the process."""


def annotations(*images_and_parts: tuple[str, str]) -> Annotations:
    box = (0.0, 0.0, 1.0, 1.0)
    pairs = (Pair(Path(image), 9, 9, box, box, "on", part) for image, part in images_and_parts)  # type: ignore[arg-type]
    return Annotations(tuple(pairs), (), {}, 0, "0" * 64)


def test_the_class_weights_are_the_published_ones() -> None:
    # 38 · 81.21 is n / k; with ten relations n is 30,860 or 30,861. How the other seven share the rest has no effect.
    rest = PUBLISHED_TOTAL - sum(PUBLISHED.values())
    counts = np.array([PUBLISHED.get(name, rest // 7) for name in RELATIONS])
    counts[RELATIONS.index("near")] += PUBLISHED_TOTAL - counts.sum()
    assert counts.sum() == 30_860
    weights = dict(zip(RELATIONS, class_weights(counts, RECIPES.read("study")).tolist(), strict=True))
    assert [round(weights[name], 2) for name in ("on", "inside", "outside")] == [0.24, 22.53, 81.21]


def test_a_relation_without_training_pairs_has_no_weight() -> None:
    counts = np.array([6, 2, 0, 0, 0, 0, 0, 0, 0, 0])
    assert class_weights(counts, RECIPES.read("study"))[:3].tolist() == pytest.approx([8 / 12, 2, 0])
    assert class_weights(counts, RECIPES.read("unweighted"))[:3].tolist() == [1, 1, 0]


def test_pictures_keep_their_parts_and_are_never_divided() -> None:
    marked = annotations(("a", "train"), ("b", "val"), ("c", "test"), ("a", "train"), ("d", ""))
    assert {name: rows.tolist() for name, rows in divide(marked, 0.5).items()} == {
        "train": [0, 3, 4], "val": [1], "test": [2],
    }  # fmt: skip
    unmarked = annotations(*((f"{i // 3}", "") for i in range(60)))
    parts = divide(unmarked, 0.2)
    assert parts.keys() == {"train", "val"}
    assert (len(parts["train"]), len(parts["val"])) == (48, 12)
    assert not set((parts["train"] // 3).tolist()) & set((parts["val"] // 3).tolist())
    with pytest.raises(ManifestError, match="a: has pairs in train and in test"):
        divide(annotations(("a", "train"), ("a", "test")), 0.2)


def test_what_a_run_leaves(finished: Path, study: Study, recipe: RelationRecipe) -> None:
    config = json.loads((finished / "run.json").read_text())
    assert config["manifest_sha256"] == study.annotations.sha256
    assert not (finished / "checkpoints").exists()
    found, head, sha256 = read_head(finished)
    assert (found, sha256) == (recipe, config["backbone_sha256"])
    assert not head.training
    assert not any("backbone" in name for name in load_file(finished / "finished.safetensors"))


def test_only_the_training_part_is_oversampled(
    study: Study, recipe: RelationRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, int] = {"training": 0, "validation": 0}
    for part in seen:
        step = getattr(RelationModule, f"{part}_step")

        def counted(self: RelationModule, batch: tuple[torch.Tensor, ...], number: int, part=part, step=step) -> object:
            seen[part] += len(batch[2])
            return step(self, batch, number)

        monkeypatch.setattr(RelationModule, f"{part}_step", counted)
    one_epoch = recipe.optimisation.model_copy(update={"epochs": 1, "batch_size": 8})
    metrics = study.run(recipe.model_copy(update={"optimisation": one_epoch}), tmp_path / "run")
    training_pairs = sum(of["training_pairs"] for of in metrics["relations"].values())
    validation_pairs = sum(pair.part == "val" for pair in study.annotations.pairs)
    assert seen == {"training": 3 * training_pairs // 8 * 8, "validation": validation_pairs}  # all are below 100


def test_a_killed_run_ends_bit_for_bit_the_same(
    finished: Path, study: Study, recipe: RelationRecipe, weights: Path, tmp_path: Path
) -> None:
    step = RelationModule.training_step
    for kill in ((0, 3), (1, 1)):

        def step_or_die(
            self: RelationModule, batch: tuple[torch.Tensor, ...], number: int, at: tuple[int, int] = kill
        ) -> torch.Tensor:
            if (self.current_epoch, number) == at:
                raise KilledError
            return step(self, batch, number)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RelationModule, "training_step", step_or_die)
            with pytest.raises(KilledError):
                study.run(recipe, tmp_path / "run", weights)
    study.run(recipe, tmp_path / "run", weights)
    expected, found = (load_file(path / "finished.safetensors") for path in (finished, tmp_path / "run"))
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_folder_of_another_run_is_refused(finished: Path, study: Study, recipe: RelationRecipe) -> None:
    with pytest.raises(RecipeError, match="holds a run of another recipe or manifest"):
        study.run(recipe.model_copy(update={"seed": 1}), finished)


def test_the_folder_of_another_run_is_refused_before_its_features_are_computed(
    finished: Path, study: Study, recipe_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("examples.relations.study.prepare", None)
    other = RECIPES.read(str(recipe_file), ["preprocessing.input_size=48"])
    with pytest.raises(RecipeError, match="holds a run of another recipe or manifest"):
        study.run(other, finished)


def test_a_damaged_picture_is_left_out_until_it_is_restored(
    scenes: Path, recipe: RelationRecipe, tmp_path: Path
) -> None:
    shutil.copytree(scenes, tmp_path / "data")
    found = read_annotations(tmp_path / "data")
    picture = found.pairs[0].image
    whole = picture.read_bytes()
    picture.write_bytes(whole[: len(whole) // 4])

    def training_pairs(folder: str, max_unreadable: str) -> int:
        metrics = Study(found, tmp_path / "cache", max_unreadable=max_unreadable).run(recipe, tmp_path / folder)
        return sum(of["training_pairs"] for of in metrics["relations"].values())

    with pytest.raises(RecipeError, match="lists 1 unreadable photos, 0 are allowed"):
        training_pairs("strict", "1%")
    without = training_pairs("tolerant", "1")
    picture.write_bytes(whole)
    assert training_pairs("strict", "1%") == without + 1


def test_one_relation_alone_cannot_be_trained(study: Study, recipe: RelationRecipe, tmp_path: Path) -> None:
    pairs = tuple(pair for pair in study.annotations.pairs if pair.relation == "on")
    alone = Study(replace(study.annotations, pairs=pairs), study.cache)
    with pytest.raises(ManifestError, match="number of relations to train: 1"):
        alone.run(recipe, tmp_path / "run")
