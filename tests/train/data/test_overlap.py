from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from triovision.errors import RecipeError
from triovision.inference import ModelCard, read_card
from triovision.inference.card import Provenance
from triovision.train.data.manifest import Manifest
from triovision.train.data.overlap import held_out_by_all, learnt_rows
from triovision.train.evaluation.benchmark import learnt_of

MakeCard = Callable[..., ModelCard]
NEW, KNOWN = "split_new_places", "split_known_places"


@pytest.fixture
def make_card(tmp_path: Path, write_tiny_model: Callable[..., Path]) -> MakeCard:
    written = read_card(write_tiny_model(tmp_path))

    def make(model_id: str, *held_out: str, manifest_sha256: str = "m", told: bool = True) -> ModelCard:
        recipe = {"name": "x", "data": {"min_photos": 2, "validation_splits": held_out}} if told else {}
        made = Provenance(recipe=recipe, manifest_sha256=manifest_sha256, photos=1, command="", data="")
        return written.model_copy(update={"id": model_id, "provenance": made})

    return make


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    rows = [("a", "train", "train"), ("b", "val", "train"), ("c", "train", "val"), ("d", "val", "val")]
    table = pd.DataFrame(rows, columns=["file", NEW, KNOWN]).assign(country="FR", place=list("abcd"))
    return Manifest(table, tmp_path, "m")


def test_the_card_tells_what_a_model_learnt_from(make_card: MakeCard, manifest: Manifest) -> None:
    both, known = make_card("x.both", NEW, KNOWN), make_card("x.known", KNOWN)
    assert learnt_rows(both, manifest).tolist() == [True, False, False, False]
    assert learnt_rows(known, manifest).tolist() == [True, True, False, False]
    assert learnt_rows(make_card("x.nothing"), manifest).all()
    assert learnt_rows(make_card("x.other", KNOWN, manifest_sha256="other"), manifest) is None
    assert learnt_rows(make_card("x.foreign", told=False), manifest) is None


def test_photos_that_any_of_several_learnt_from_are_counted(make_card: MakeCard, manifest: Manifest) -> None:
    both, known, foreign = make_card("x.both", NEW, KNOWN), make_card("x.known", KNOWN), make_card("x.f", told=False)
    new_places = manifest.where(manifest.table[NEW] == "val")
    assert learnt_of([both], manifest, new_places) == 0
    assert learnt_of([known, both], manifest, new_places) == 1
    assert learnt_of([known, foreign], manifest, new_places) is None


def test_only_splits_that_all_members_held_out_are_used(make_card: MakeCard, manifest: Manifest) -> None:
    both, known, foreign = make_card("x.both", NEW, KNOWN), make_card("x.known", KNOWN), make_card("x.f", told=False)
    assert held_out_by_all([both, both], manifest) == (NEW, KNOWN)
    assert held_out_by_all([both, known], manifest) == (KNOWN,)
    assert held_out_by_all([foreign, known], manifest) == (KNOWN,)


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ([{"held_out": ()}], r"no split was held out by all members.*x\.0 held out nothing"),
        ([{"held_out": (NEW,)}], rf"x\.known held out {KNOWN}; x\.0 held out {NEW}"),
        ([{"held_out": (KNOWN,), "manifest_sha256": "other"}], r"x\.0: was trained on another manifest"),
    ],
)
def test_leaked_photos_are_refused(
    make_card: MakeCard, manifest: Manifest, others: list[dict[str, object]], words: str
) -> None:
    cards = [make_card(f"x.{i}", *about.pop("held_out"), **about) for i, about in enumerate(others)]
    with pytest.raises(RecipeError, match=words):
        held_out_by_all([make_card("x.known", KNOWN), *cards], manifest)


def test_members_none_of_which_tells_are_refused(make_card: MakeCard, manifest: Manifest) -> None:
    with pytest.raises(RecipeError, match=r"x\.a, x\.b: do not say"):
        held_out_by_all([make_card("x.a", told=False), make_card("x.b", told=False)], manifest)
