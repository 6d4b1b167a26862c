from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from triovision.errors import ManifestError
from triovision.train.manifest import read_manifest


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
        ("file,country\n../../etc/passwd,FR\n", "leads out"),
        ("file,country\n/etc/passwd,FR\n", "leads out"),
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


def test_columns_that_a_caller_needs_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="place"):
        read_manifest(write(tmp_path, "file,country\na.jpg,FR\n"), columns=["place"])
