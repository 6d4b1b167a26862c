from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from examples.cars.places import write_places
from triovision.errors import ManifestError
from triovision.train.data.manifest import Manifest


def written(data: Path, out: Path, fold: str = "1") -> Manifest:
    return write_places(data, out / "manifest.csv", fold, 0, lambda: None)


def test_sources_of_the_fold_are_tested_and_never_trained_on(travels: Path, tmp_path: Path) -> None:
    manifest = written(travels, tmp_path)
    assert manifest.label_column == "place"
    assert sorted(set(manifest.labels)) == ["alp", "bay"]  # the rare one has four photos
    by_part = manifest.table.groupby("split")["source"].unique().map(list).to_dict()
    assert by_part == {"test": ["source1"], "train": ["source0"], "val": ["source0"]}
    files = set(manifest.table["file"])
    assert not files & {"alp12.png", "bay12.png"}  # marked `test`: for nobody
    assert "alp10.png" not in files  # a copy of a photo that is trained on
    assert "bay10.png" in files


def test_a_written_manifest_is_read_again(travels: Path, tmp_path: Path) -> None:
    first = written(travels, tmp_path)
    assert write_places(travels, tmp_path / "manifest.csv", "1", 0, on_photo=None).sha256 == first.sha256  # type: ignore[arg-type]


def test_a_manifest_of_another_fold_is_refused(travels: Path, tmp_path: Path) -> None:
    written(travels, tmp_path)
    with pytest.raises(ManifestError, match=r"tests fold 1\. Give another --out folder"):
        written(travels, tmp_path, fold="0")


@pytest.mark.parametrize("fold", ["7", "test"])
def test_a_fold_that_is_none_is_an_error_in_words(travels: Path, tmp_path: Path, fold: str) -> None:
    with pytest.raises(ManifestError, match=f"holds 0, 1, so that '{fold}' is no part"):
        written(travels, tmp_path, fold)


def test_too_few_photos_are_an_error_in_words(travels: Path, tmp_path: Path) -> None:
    shutil.copy(travels / "manifest.csv", tmp_path / "all.csv")
    with pytest.raises(ManifestError, match="no place with 8 photos"):
        written(travels, tmp_path, fold="0")  # three or four photos of each place are left
