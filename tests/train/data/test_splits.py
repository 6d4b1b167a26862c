from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from triovision.cli import main
from triovision.errors import ManifestError
from triovision.train.data.manifest import read_manifest, write_manifest
from triovision.train.data.splits import country_part_table, divide, divide_into_folds, part_table, whole_groups

NO_DUPLICATES = np.empty((0, 2), dtype=np.intp)


def photos(places: dict[str, tuple[int, int]]) -> pd.DataFrame:
    """A table with `n` places of `m` photos for each country."""
    rows = [
        {
            "file": f"{country}/{place}_{photo}.jpg",
            "country": country,
            "place": f"{country}{place}",
            "source": f"s{place % 3}",
        }
        for country, (n, m) in places.items()
        for place in range(n)
        for photo in range(m)
    ]
    return pd.DataFrame(rows)


def test_groups_are_places_joined_by_duplicates_and_an_empty_place_joins_nothing() -> None:
    table = pd.DataFrame({"place": ["a", "a", "b", "c", "", ""], "source": ["x"] * 6})
    groups = whole_groups(table, "place", np.array([[1, 3]]))
    same = groups[:, None] == groups[None, :]
    expected = np.eye(6, dtype=bool)
    expected[np.ix_([0, 1, 3], [0, 1, 3])] = True
    np.testing.assert_array_equal(same, expected)
    assert len(set(whole_groups(table, "source", NO_DUPLICATES))) == 1
    assert len(set(whole_groups(table, "random", np.array([[4, 5]])))) == 5


def test_a_split_by_place_divides_no_place_and_takes_the_share_of_each_country() -> None:
    table = photos({"FR": (20, 5), "US": (40, 5), "NA": (10, 10)})
    part = divide(
        table, whole_groups(table, "place", NO_DUPLICATES), "place", val_fraction=0.2, test_fraction=0.1, seed=3
    ).part
    assert table.assign(part=part).groupby("place")["part"].nunique().eq(1).all()
    counts = country_part_table(table, part)
    assert list(counts.columns) == ["train", "val", "test"]
    # 0.2 and 0.1 are whole tenths, and every country has a multiple of ten places.
    np.testing.assert_array_equal(counts.loc[["FR", "US", "NA"]], [[70, 20, 10], [140, 40, 20], [70, 20, 10]])


def test_a_country_with_one_place_is_kept_in_training_and_said() -> None:
    table = photos({"FR": (10, 3), "US": (10, 3), "MC": (1, 7)})
    groups = whole_groups(table, "place", NO_DUPLICATES)
    for seed in range(12):
        parts = divide(table, groups, "place", val_fraction=0.3, test_fraction=0.3, seed=seed)
        assert set(parts.part[table["country"] == "MC"]) == {"train"}
        counts = country_part_table(table, parts.part)
        assert (counts["train"] > 0).all()
    folds = divide_into_folds(table, groups, "place", folds=5, seed=0)
    assert folds.kept_in_train == ("MC",)
    assert set(folds.part[table["country"] == "MC"]) == {"train"}
    assert set(folds.part[table["country"] != "MC"]) == {"0", "1", "2", "3", "4"}


def test_each_country_can_be_learnt_with_any_fold_held_out() -> None:
    table = photos({"FR": (12, 4), "US": (2, 30), "NA": (3, 1), "MC": (1, 2)})
    part = divide_into_folds(table, whole_groups(table, "place", NO_DUPLICATES), "place", folds=4, seed=1).part
    for fold in "0123":
        assert set(table["country"][part != fold]) == {"FR", "US", "NA", "MC"}


def test_a_random_split_keeps_duplicates_together_and_is_stratified() -> None:
    table = photos({"FR": (1, 100), "US": (1, 50)})
    duplicates = np.array([[0, 1], [1, 2], [3, 4]])
    groups = whole_groups(table, "random", duplicates)
    for seed in range(5):
        part = divide(table, groups, "random", val_fraction=0.2, test_fraction=0, seed=seed).part
        assert len(set(part[:3])) == len(set(part[3:5])) == 1
        counts = country_part_table(table, part)["val"]
        assert 18 <= counts["FR"] <= 24  # 97 groups, one of them of three and one of two photos
        assert counts["US"] == 10


def test_by_source_a_country_without_training_photos_is_said_and_not_moved() -> None:
    table = pd.concat([photos({"FR": (9, 8), "US": (9, 8)}), photos({"MC": (1, 4)}).assign(source="only")])
    table = table.reset_index(drop=True)
    groups = whole_groups(table, "source", NO_DUPLICATES)
    found = [divide(table, groups, "source", val_fraction=0.25, test_fraction=0, seed=seed) for seed in range(12)]
    held_out = [set(parts.part[table["source"] == "only"]) == {"val"} for parts in found]
    assert any(held_out)
    assert [parts.without_training for parts in found] == [("MC",) if held else () for held in held_out]
    assert not any(parts.kept_in_train for parts in found)


def test_the_seed_decides() -> None:
    table = photos({"FR": (30, 2), "US": (30, 2)})
    groups = whole_groups(table, "place", NO_DUPLICATES)
    first, again, other = (
        divide(table, groups, "place", val_fraction=0.2, test_fraction=0, seed=seed).part for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_too_few_photos_are_refused_in_words() -> None:
    table = photos({"FR": (2, 1), "US": (1, 1)})
    with pytest.raises(ManifestError, match=r"cannot be divided into 10 folds.*fewer folds"):
        divide_into_folds(table, whole_groups(table, "place", NO_DUPLICATES), "place", folds=10, seed=0)


def test_the_table_of_parts_counts_photos_places_and_countries() -> None:
    table = photos({"FR": (2, 3), "US": (1, 4)})
    part = np.array(["train"] * 3 + ["10"] * 3 + ["9"] * 4)
    found = part_table(table, part)
    assert found["part"].tolist() == ["train", "9", "10"]
    assert found[["photos", "fraction", "countries", "places"]].to_numpy().tolist() == [
        [3, 0.3, 1, 1],
        [4, 0.4, 1, 1],
        [3, 0.3, 1, 1],
    ]


def command(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["train", "split", *map(str, arguments)])
    return done.exit_code, done.output


def test_the_command_writes_the_column_and_does_not_overwrite_it(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    table = photos({"NA": (10, 2), "US": (10, 2)}).assign(split="", note="kept")
    write_manifest(table, path)
    code, output = command(path, "--no-duplicates", "--val-fraction", 0.2)
    assert (code, "wrote column `split`" in output) == (0, True)
    first = path.read_bytes()
    written = read_manifest(path).table
    assert written["split"].value_counts().to_dict() == {"train": 32, "val": 8}
    pd.testing.assert_frame_equal(
        written[["file", "country", "note"]], table[["file", "country", "note"]], check_dtype=False
    )

    code, output = command(path, "--no-duplicates", "--val-fraction", 0.2, "--seed", 1)
    assert (code, "already has a column `split`" in output) == (2, True)
    assert path.read_bytes() == first
    assert command(path, "--no-duplicates", "--val-fraction", 0.2, "--seed", 1, "--force")[0] == 0
    assert path.read_bytes() != first

    other = tmp_path / "other.parquet"
    assert command(path, "--no-duplicates", "--folds", 5, "--column", "fold", "--out", other)[0] == 0
    assert set(read_manifest(other).table["fold"]) == {"0", "1", "2", "3", "4"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--folds", "3", "--val-fraction", "0.2"], "not both"),
        (["--val-fraction", "0.6", "--test-fraction", "0.5"], "no photo to train on"),
        (["--column", "country"], "would overwrite"),
        (["--by", "place"], "lacks the column(s) place"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, arguments: list[str], words: str) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text("file,country\na.jpg,FR\n")
    code, output = command(path, *arguments)
    assert (code, words in output) == (2, True), output
