"""Photos that parts share."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from triovision.cli import main
from triovision.cli.train import datasets
from triovision.errors import ManifestError, RecipeError
from triovision.inference import ModelCard, read_card
from triovision.inference.card import Provenance
from triovision.train.data.build.duplicates import MAX_DISTANCE, perceptual_hash
from triovision.train.data.manifest import Manifest, read_manifest
from triovision.train.data.overlap import divided_groups, hash_photos, held_out_by_all, leaking_pairs, training_rows
from triovision.train.evaluation.benchmark import count_training_photos

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
    assert training_rows(both, manifest).tolist() == [True, False, False, False]
    assert training_rows(known, manifest).tolist() == [True, True, False, False]
    assert training_rows(make_card("x.nothing"), manifest).all()
    assert training_rows(make_card("x.other", KNOWN, manifest_sha256="other"), manifest) is None
    assert training_rows(make_card("x.foreign", told=False), manifest) is None


def test_photos_that_any_of_several_learnt_from_are_counted(make_card: MakeCard, manifest: Manifest) -> None:
    both, known, foreign = make_card("x.both", NEW, KNOWN), make_card("x.known", KNOWN), make_card("x.f", told=False)
    new_places = manifest.where(manifest.table[NEW] == "val")
    assert count_training_photos([both], manifest, new_places) == 0
    assert count_training_photos([known, both], manifest, new_places) == 1
    assert count_training_photos([known, foreign], manifest, new_places) is None


def test_only_splits_that_all_members_held_out_are_used(make_card: MakeCard, manifest: Manifest) -> None:
    both, known, foreign = make_card("x.both", NEW, KNOWN), make_card("x.known", KNOWN), make_card("x.f", told=False)
    assert held_out_by_all([both, both], manifest) == (NEW, KNOWN)
    assert held_out_by_all([both, known], manifest) == (KNOWN,)
    assert held_out_by_all([foreign, known], manifest) == (KNOWN,)


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ([{"held_out": ()}], r"has no split that all members held out.*x\.0: none"),
        ([{"held_out": (NEW,)}], rf"x\.known: {KNOWN}; x\.0: {NEW}"),
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
    with pytest.raises(RecipeError, match=r"x\.a, x\.b: do not name"):
        held_out_by_all([make_card("x.a", told=False), make_card("x.b", told=False)], manifest)


TABLE = pd.DataFrame(
    {
        "file": ["a", "b", "c", "d", "e"],
        "country": ["FR", "FR", "US", "US", "US"],
        "place": ["p", "p", "q", "", ""],
    }
)


def test_pairs_within_a_part_or_without_one_do_not_leak() -> None:
    part = np.array(["train", "val", "train", "", "val"])
    leaks = leaking_pairs(TABLE, part, np.array([[1, 2], [0, 2], [0, 1], [3, 4], [1, 4]]))
    assert leaks.to_numpy().tolist() == [
        ["a", "train", "FR", "b", "val", "FR"],
        ["b", "val", "FR", "c", "train", "US"],
    ]
    assert leaking_pairs(TABLE, part, np.empty((0, 2), dtype=np.intp)).empty


def test_a_divided_place_is_named_and_an_empty_one_is_none() -> None:
    part = np.array(["train", "val", "train", "train", "val"])
    assert divided_groups(TABLE, part, "place").to_numpy().tolist() == [["p", "train val", 2]]
    assert divided_groups(TABLE, np.array(["val", "val", "train", "train", "val"]), "place").empty


@pytest.fixture
def folder(tmp_path: Path, china: bytes) -> Path:
    """China twice, once smaller and more compressed; noise; and a file that is no photo."""
    picture = Image.open(io.BytesIO(china))
    picture.save(tmp_path / "china.jpg")
    picture.resize((320, 213)).save(tmp_path / "again.jpg", quality=40)
    noise = np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    return tmp_path


def write(folder: Path, *parts: str) -> Path:
    path = folder / "manifest.csv"
    files = ("china.jpg", "again.jpg", "noise.png", "broken.jpg")
    rows = [f"{file},CN,{file[0]},{part}" for file, part in zip(files, parts, strict=True)]
    path.write_text("\n".join(["file,country,place,split", *rows]) + "\n")
    return path


def test_hashes_are_those_of_the_readable_photos(folder: Path) -> None:
    calls: list[int] = []
    hashes, rows = hash_photos(read_manifest(write(folder, *["train"] * 4)), 0, lambda: calls.append(1))
    assert rows.tolist() == [0, 1, 2]
    assert hashes[2] == perceptual_hash(np.asarray(Image.open(folder / "noise.png")))
    assert int(hashes[0] ^ hashes[1]).bit_count() <= MAX_DISTANCE < int(hashes[0] ^ hashes[2]).bit_count()
    assert len(calls) == 4


def test_a_hash_that_the_manifest_states_is_taken(tmp_path: Path) -> None:
    table = pd.DataFrame({"file": ["gone.jpg", "lost.jpg"], "phash": ["00000000000000ff", ""]})
    hashes, rows = hash_photos(Manifest(table, tmp_path, ""), 0, lambda: None)
    assert (hashes.tolist(), rows.tolist()) == ([255], [0])
    with pytest.raises(ManifestError, match="no readable photo"):
        hash_photos(Manifest(table.iloc[1:], tmp_path, ""), 0, lambda: None)


def command(name: str, *arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["train", name, *map(str, arguments), "--workers", "0"])
    return done.exit_code, done.output


def test_the_command_finds_what_a_split_by_hand_lets_through(folder: Path) -> None:
    out = folder / "found" / "leaks.csv"
    code, output = command("leakage", write(folder, "train", "val", "train", "val"), "--out", out)
    assert code == 1
    assert "train china.jpg  is a near-duplicate of  val again.jpg" in output
    assert "1 photos cannot be read" in output
    assert pd.read_csv(out)[["file_a", "file_b"]].to_numpy().tolist() == [["china.jpg", "again.jpg"]]


def test_the_command_is_content_with_a_clean_split(folder: Path) -> None:
    out = folder / "leaks.csv"
    path = write(folder, "train", "train", "val", "")
    code, output = command("leakage", path, "--out", out, "--by", "place")
    assert (code, "0 of 4 places are divided" in output) == (0, True), output
    assert not out.exists()


def test_a_divided_place_alone_is_leakage(folder: Path) -> None:
    path = write(folder, "train", "train", "val", "val")
    path.write_text(path.read_text().replace(",n,", ",c,"))
    code, output = command("leakage", path, "--out", folder / "leaks.csv", "--by", "place")
    assert (code, "place c: 2 photos in train val" in output) == (1, True), output


def test_split_keeps_photos_together_that_look_alike(folder: Path) -> None:
    path = write(folder, "", "", "", "")
    code, output = command("split", path, "--by", "random", "--val-fraction", "0.5")
    assert (code, "2 photos have near-duplicates" in output) == (0, True), output
    part = read_manifest(path).table["split"]
    assert part[0] == part[1]


def test_the_commands_look_for_duplicates_as_closely_as_the_library() -> None:
    found = [p.default for c in (datasets.split, datasets.leakage) for p in c.params if p.name == "max_distance"]
    assert found == [MAX_DISTANCE, MAX_DISTANCE]
