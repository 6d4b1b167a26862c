from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.io import loadmat

from examples.cars.devkit import ALL, META, TEST, TRAIN, read_cars, write_cars
from examples.cars.miniature import CLASSES, write_annotations, write_mat
from triovision.errors import ManifestError

BOX = (1, 1, 20, 20)


def read(root: Path, *, skip_faulty: bool = False) -> pd.DataFrame:
    return read_cars(root, skip_faulty=skip_faulty, on_photo=lambda: None).photos.table


@pytest.fixture
def copy(miniature: Path, tmp_path: Path) -> Path:
    return shutil.copytree(miniature, tmp_path / "cars")


def test_annotations_become_a_table(miniature: Path) -> None:
    table = read(miniature)
    assert table["class"].value_counts().to_dict() == dict.fromkeys(CLASSES[:3], 11)
    assert table.groupby("tested")["file"].count().to_dict() == {False: 24, True: 9}
    first = loadmat(miniature / "devkit" / TRAIN)["annotations"][0, 0]
    assert table["file"][0] == f"cars_train/{first['fname'][0]}"
    assert table["class"][0] == CLASSES[int(first["class"][0, 0]) - 1]
    assert table["bbox"][0] == " ".join(str(int(first[f"bbox_{end}"][0, 0])) for end in ("x1", "y1", "x2", "y2"))


def test_the_layout_of_one_file_is_read_too(miniature: Path, tmp_path: Path) -> None:
    (tmp_path / "car_ims").mkdir()
    fields = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "relative_im_path", "test")
    annotations = np.empty((1, 2), dtype=[(field, object) for field in fields])
    for i in range(2):
        shutil.copy(miniature / "cars_train" / "00001.jpg", tmp_path / "car_ims" / f"{i}.jpg")
        annotations[0, i] = (*BOX, i + 1, f"car_ims/{i}.jpg", i)
    names = np.array([["Fiat 500 Abarth 2012", "BMW M3 Coupe 2012"]], dtype=object)
    write_mat(tmp_path / ALL, {"annotations": annotations, "class_names": names})
    table = read(tmp_path)
    assert table.to_numpy().tolist() == [
        ["car_ims/0.jpg", "Fiat 500 Abarth 2012", "1 1 20 20", False],
        ["car_ims/1.jpg", "BMW M3 Coupe 2012", "1 1 20 20", True],
    ]


def test_the_test_list_may_lie_beside_the_devkit(copy: Path) -> None:
    (copy / "devkit" / TEST).rename(copy / TEST)
    assert read(copy)["tested"].sum() == 9


def test_the_test_list_is_never_trained_on(miniature: Path, tmp_path: Path) -> None:
    cars = read_cars(miniature, skip_faulty=False, on_photo=lambda: None)
    photos = write_cars(cars, tmp_path / "manifest.csv")
    assert list(photos.table["file"]) == list(cars.photos.table["file"])  # in the order of the headers
    held_out = photos.table["split"] == "test"
    assert list(photos.table["file"][held_out]) == list(cars.photos.table["file"][cars.photos.table["tested"]])
    assert set(photos.table["split_new_sources"][held_out]) == {"test"}
    of_class = photos.table[~held_out].groupby(["class", "split"]).size()
    assert set(of_class.xs("train", level="split")) <= {6, 7}  # of eight, a seventh is validated


def test_the_manifest_of_finished_runs_is_kept(miniature: Path, copy: Path, tmp_path: Path) -> None:
    out = tmp_path / "study" / "manifest.csv"
    cars = read_cars(miniature, skip_faulty=False, on_photo=lambda: None)
    write_cars(cars, out)
    (copy / "cars_test" / "00001.jpg").unlink()
    fewer = read_cars(copy, skip_faulty=True, on_photo=lambda: None)
    assert len(write_cars(fewer, out)) == 32  # no run depends on it yet
    (out.parent / "v1").mkdir()
    (out.parent / "v1" / "run.json").write_text("{}")
    with pytest.raises(ManifestError, match="lists other photos, and runs were trained on them"):
        write_cars(cars, out)
    assert len(write_cars(fewer, out)) == 32


@pytest.mark.parametrize("file", [META, TRAIN, TEST])
def test_a_missing_file_is_named(copy: Path, file: str) -> None:
    (copy / "devkit" / file).unlink()
    with pytest.raises(ManifestError, match=f"{file}.*is missing"):
        read(copy)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:0],
        lambda data: b"MATLAB" * len(data),
        lambda data: data[:200] + bytes(100) + data[300:],
        lambda data: data[:128] + b"\xff" * 64,
    ],
)
def test_a_damaged_file_is_an_error_in_words(copy: Path, damage: Callable[[bytes], bytes]) -> None:
    path = copy / "devkit" / TRAIN
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ManifestError, match=TRAIN):
        read(copy)


def test_a_file_without_its_variable_or_field_is_an_error_in_words(copy: Path) -> None:
    write_mat(copy / "devkit" / META, {"names": np.array(["a"])})
    with pytest.raises(ManifestError, match=r"lacks the variable.*class_names"):
        read(copy)
    write_mat(copy / "devkit" / META, {"class_names": np.array([["a"]], dtype=object)})
    write_annotations(copy / "devkit" / TRAIN, [(*BOX, 1, "00001.jpg")], "name")
    with pytest.raises(ManifestError, match=r"lacks the field.*fname"):
        read(copy)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ((1, 1, 500, 20, 1, "00001.jpg"), r"box \(1 1 500 20\) outside its \d+ x \d+ pixels"),
        ((0, 1, 20, 20, 1, "00001.jpg"), "outside"),
        ((20, 1, 10, 20, 1, "00001.jpg"), "outside"),
        ((*BOX, 4, "00001.jpg"), "a class that the devkit does not name"),
        ((*BOX, 0, "00001.jpg"), "a class that the devkit does not name"),
        ((*BOX, 1, "gone.jpg"), "gone.jpg.*is missing or cannot be read"),
        ((*BOX, 1, "../../etc/passwd"), "outside the folder"),
        ((*BOX, "one", "00001.jpg"), "annotation 2.*is incomplete"),
        ((*BOX, np.empty(0), "00001.jpg"), "annotation 2.*is incomplete"),
    ],
)
def test_a_faulty_annotation_is_an_error_in_words(copy: Path, row: tuple[object, ...], words: str) -> None:
    write_annotations(copy / "devkit" / TRAIN, [(*BOX, 1, "00002.jpg"), row], "fname")
    with pytest.raises(ManifestError, match=words):
        read(copy)


def test_faulty_photos_are_left_out_and_listed_where_that_is_asked(copy: Path, tmp_path: Path) -> None:
    (copy / "cars_test" / "00001.jpg").write_bytes(b"no photo")
    with pytest.raises(ManifestError, match="cannot be read"):
        read(copy)
    cars = read_cars(copy, skip_faulty=True, on_photo=lambda: None)
    photos = write_cars(cars, tmp_path / "manifest.csv")
    assert len(photos) == len(cars.headers) == 32
    assert list(pd.read_csv(tmp_path / "faulty.csv")["file"]) == ["cars_test/00001.jpg"]
