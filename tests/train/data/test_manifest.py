from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from triovision.errors import ManifestError
from triovision.train.data.manifest import read_manifest, write_manifest


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "manifest.csv"
    path.write_text(text)
    return path


def test_namibia_is_a_country_and_an_empty_position_is_none(tmp_path: Path) -> None:
    manifest = read_manifest(write(tmp_path, "file,country,lat,lon\na.jpg,NA,-22.5,17\nb.jpg,FR,,\n"))
    assert list(manifest.table["country"]) == ["NA", "FR"]
    np.testing.assert_array_equal(manifest.table["lat"], [-22.5, np.nan])
    assert manifest.paths == [tmp_path / "a.jpg", tmp_path / "b.jpg"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,land\na.jpg,FR\n", "country"),
        ("file,country\n", "no rows"),
        ("file,country\na.jpg,France\n", "France"),
        ("file,country\na.jpg,fr\n", "fr"),
        ("file,country\n../../etc/passwd,FR\n", "outside the folder"),
        ("file,country\n/etc/passwd,FR\n", "outside the folder"),
        ("file,country\n,FR\n", "empty"),
        ("file,country,lat,lon\na.jpg,FR,91,0\n", "line 2.*lat"),
        ("file,country,lat,lon\na.jpg,FR,1,1\nb.jpg,FR,1,east\n", "line 3.*east"),
        ("file,country,lat,lon\na.jpg,FR,nan,0\n", "lat"),
        ("", "cannot be read"),
    ],
)
def test_a_wrong_table_is_refused_in_words(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ManifestError, match=words):
        read_manifest(write(tmp_path, text))


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot be read"):
        read_manifest(tmp_path / "gone.csv")
    path = tmp_path / "binary.csv"
    path.write_bytes(b"\xff\xfe\x00\x80file,country")
    with pytest.raises(ManifestError, match="cannot be read"):
        read_manifest(path)


def test_another_label_needs_no_country_and_holds_any_text(tmp_path: Path) -> None:
    text = "file,class,country\na.jpg,Audi R8 2012,Germany\nb.jpg,NA,\n"
    manifest = read_manifest(write(tmp_path, text), label_column="class")
    assert list(manifest.labels) == ["Audi R8 2012", "NA"]
    assert list(manifest.where(manifest.labels == "NA").labels) == ["NA"]
    write_manifest(manifest.table, tmp_path / "again.csv", "class")
    assert list(read_manifest(tmp_path / "again.csv", label_column="class").labels) == ["Audi R8 2012", "NA"]


@pytest.mark.parametrize(
    ("text", "words"), [("file,class\na.jpg,car\nb.jpg, \n", "line 3.*`class` is empty"), ("file\na.jpg\n", "lacks")]
)
def test_a_photo_without_its_label_is_refused_in_words(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ManifestError, match=words):
        read_manifest(write(tmp_path, text), label_column="class")


@pytest.mark.parametrize(
    ("label_column", "places"), [("class", ["x", "x"]), ("place", ["a.jpg", "b.jpg"]), ("country", ["x", "x"])]
)
def test_a_place_that_is_the_label_groups_no_photos(tmp_path: Path, label_column: str, places: list[str]) -> None:
    text = "file,class,place,country\na.jpg,1,x,FR\nb.jpg,2,x,FR\n"
    assert list(read_manifest(write(tmp_path, text), label_column=label_column).places) == places


def test_columns_that_a_caller_needs_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="place"):
        read_manifest(write(tmp_path, "file,country\na.jpg,FR\n"), columns=["place"])


def test_parquet_reads_as_csv_does(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "file": ["a.jpg", "b.jpg"],
            "country": pd.Categorical(["NA", "FR"]),
            "lat": [-22.5, None],
            "lon": [17.0, None],
            "width": [640, 480],
            "licence": ["CC0", None],
        }
    )
    table.to_parquet(tmp_path / "m.parquet")
    table.to_csv(tmp_path / "m.csv", index=False)
    parquet, csv = read_manifest(tmp_path / "m.parquet"), read_manifest(tmp_path / "m.csv")
    pd.testing.assert_frame_equal(parquet.table, csv.table)
    assert list(parquet.table["licence"]) == ["CC0", ""]
    assert parquet.sha256 == hashlib.sha256((tmp_path / "m.parquet").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"file": ["a.jpg"]}, "country"),
        ({"file": ["a.jpg"], "country": ["France"]}, "France"),
        ({"file": ["a.jpg"], "country": [None]}, "''"),
        ({"file": ["a.jpg", "../b.jpg"], "country": ["FR", "FR"]}, "row 2.*outside the folder"),
        ({"file": ["a.jpg"], "country": ["FR"], "lat": [91.0], "lon": [0.0]}, "row 1.*lat"),
        ({"file": ["a.jpg"], "country": ["FR"], "tags": [["sea", "sun"]]}, "tags"),
    ],
)
def test_a_wrong_parquet_table_is_refused_in_words(tmp_path: Path, columns: dict[str, list], words: str) -> None:
    pd.DataFrame(columns).to_parquet(tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match=words):
        read_manifest(tmp_path / "m.parquet")


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.parquet").write_text("file,country\na.jpg,FR\n")
    with pytest.raises(ManifestError, match="cannot be read as Parquet"):
        read_manifest(tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match="neither CSV nor Parquet"):
        read_manifest(tmp_path / "m.xlsx")


def test_rows_longer_than_the_header_and_byte_order_marks(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="more fields"):
        read_manifest(write(tmp_path, "file,country\nx,a.jpg,FR\n"))
    assert len(read_manifest(write(tmp_path, "\ufefffile,country\na.jpg,FR\n"))) == 1


@pytest.mark.parametrize("name", ["m.csv", "m.parquet"])
def test_a_written_manifest_reads_the_same(tmp_path: Path, name: str) -> None:
    first = read_manifest(write(tmp_path, 'file,country,lat,lon,place\n"a,\n.jpg",NA,-22.5,17.1,\nb.jpg,FR,,,é\n'))
    write_manifest(first, tmp_path / name)
    pd.testing.assert_frame_equal(read_manifest(tmp_path / name).table, first.table)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["manifest.csv", name])


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "file,country\na.jpg,FR\n")
    before = path.read_bytes()
    with pytest.raises(ManifestError, match="Atlantis"):
        write_manifest(pd.DataFrame({"file": ["a.jpg"], "country": ["Atlantis"]}), path)

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(ManifestError, match="No space left"):
        write_manifest(pd.DataFrame({"file": ["b.jpg"], "country": ["FR"]}), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_of_parts_is_one_manifest(tmp_path: Path) -> None:
    for number, country in enumerate(["FR", "JP"]):
        write_manifest(
            pd.DataFrame({"file": [f"{number}.jpg"], "country": [country]}), tmp_path / f"part-{number}.parquet"
        )
    whole = read_manifest(tmp_path)
    assert whole.table["country"].tolist() == ["FR", "JP"]
    assert whole.paths == [tmp_path / "0.jpg", tmp_path / "1.jpg"]
    first = read_manifest(tmp_path / "part-0.parquet")
    assert first.sha256 != whole.sha256


def test_an_empty_folder_is_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="without Parquet files"):
        read_manifest(tmp_path)
