from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from triovision.cli import main
from triovision.errors import ManifestError
from triovision.train.data.build import photo_files
from triovision.train.data.build.folders import GatherOptions, gather
from triovision.train.data.manifest import read_manifest

Draw = Callable[..., Path]
GPS = 0x8825


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    """Writes a picture of smooth noise, a different one for each seed, with the position that a camera writes."""

    def write(file: str, seed: int, position: tuple[float, float] | None = None, size: int = 128) -> Path:
        path = tmp_path / "photos" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
        exif = Image.Exif()
        if position:
            lat, lon = position
            exif[GPS] = {1: "N" if lat >= 0 else "S", 2: (abs(lat), 0.0, 0.0), 3: "E" if lon >= 0 else "W"}
            exif[GPS][4] = (abs(lon), 0.0, 0.0)
        Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC).save(path, exif=exif)
        return path

    return write


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Result]:
    def invoke(*arguments: object, out: str = "manifest.csv") -> Result:
        command = ["train", "manifest", tmp_path / "photos", "--out", tmp_path / out, "--workers", 0, *arguments]
        return CliRunner().invoke(main, [str(argument) for argument in command])

    return invoke


def kinds(report: pd.DataFrame) -> dict[str, set[str]]:
    return {kind: set(rows["file"]) for kind, rows in report.groupby("kind")}


def report_of(tmp_path: Path) -> pd.DataFrame:
    return pd.read_csv(tmp_path / "manifest.report.csv", keep_default_na=False)


@pytest.mark.parametrize("out", ["manifest.csv", "manifest.parquet"])
def test_folders_named_by_country_make_a_manifest(
    draw: Draw, make: Callable[..., Result], tmp_path: Path, out: str
) -> None:
    draw("France/Paris/a.jpg", 1)
    draw("it/b.png", 2)
    draw("albums/na/Etosha/c.jpg", 3)
    result = make(out=out)
    assert result.exit_code == 0, result.output
    assert "3 photos, 3 countries" in result.output
    table = read_manifest(tmp_path / out).table.set_index("file")
    assert list(table.index) == ["photos/France/Paris/a.jpg", "photos/albums/na/Etosha/c.jpg", "photos/it/b.png"]
    assert list(table["country"]) == ["FR", "NA", "IT"]
    assert list(table["place"]) == ["France/Paris", "albums/na/Etosha", "it"]
    assert set(table["source"]) == {"photos"}
    assert set(table["split"]) == {""}
    assert table["lat"].isna().all()
    assert set(table["width"]) == {"128"}
    assert kinds(report_of(tmp_path))["no position"] == set(table.index)
    assert all(path.is_file() for path in read_manifest(tmp_path / out).paths)


def test_a_position_gives_the_country_and_a_cell(draw: Draw, make: Callable[..., Result], tmp_path: Path) -> None:
    draw("a.jpg", 1, (48.8584, 2.2945))
    draw("b.jpg", 2, (-33.8568, -70.65))
    draw("sea.jpg", 3, (0.5, -30))
    draw("Italy/c.jpg", 4, (48.8584, 2.2945))
    make()
    table = read_manifest(tmp_path / "manifest.csv").table.set_index("file")
    assert table["country"].to_dict() == {"photos/Italy/c.jpg": "IT", "photos/a.jpg": "FR", "photos/b.jpg": "CL"}
    assert table.loc["photos/a.jpg", "place"] == "cell_48.8_2.2"
    assert table.loc["photos/b.jpg", "place"] == "cell_-33.9_-70.7"
    assert table.loc["photos/a.jpg", "lat"] == pytest.approx(48.8584)
    assert kinds(report_of(tmp_path)) == {
        "country conflict": {"photos/Italy/c.jpg"},
        "no country": {"photos/sea.jpg"},
    }


def test_everything_that_is_passed_over_is_listed(draw: Draw, make: Callable[..., Result], tmp_path: Path) -> None:
    folder = draw("FR/good.jpg", 1).parent
    (folder / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 no photo")
    (folder / "empty.JPG").touch()
    (folder / "notes.txt").write_text("x")
    (folder / ".hidden.jpg").write_bytes((folder / "good.jpg").read_bytes())
    (folder / ".trash").mkdir()
    (folder / "link.jpg").symlink_to(folder / "good.jpg")
    (folder / "loop").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.jpg")
    (folder / os.fsdecode(b"\xff.jpg")).write_bytes(b"x")
    result = make()
    assert result.exit_code == 0, result.output
    assert list(read_manifest(tmp_path / "manifest.csv").table["file"]) == ["photos/FR/good.jpg"]
    assert kinds(report_of(tmp_path)) == {
        "hidden": {"photos/FR/.hidden.jpg", "photos/FR/.trash"},
        "link": {"photos/FR/link.jpg", "photos/FR/loop"},
        "no position": {"photos/FR/good.jpg"},
        "not a photo": {"photos/FR/notes.txt", "photos/FR/pipe.jpg"},
        "unreadable": {"photos/FR/bad.jpg", "photos/FR/empty.JPG", "photos/FR/\\xff.jpg"},
    }


@pytest.mark.parametrize(
    ("policy", "files"),
    [
        ("keep", ["FR/a.jpg", "FR/b.jpg", "FR/near.jpg", "IT/c.jpg"]),
        ("drop-exact", ["FR/a.jpg", "FR/near.jpg"]),
        ("drop-all", ["FR/a.jpg"]),
    ],
)
def test_duplicates_are_listed_whatever_becomes_of_them(
    draw: Draw, tmp_path: Path, policy: str, files: list[str]
) -> None:
    first = draw("FR/a.jpg", 1)
    shutil.copy(first, first.parent / "b.jpg")
    for other in ("IT/c.jpg", "nowhere/0.jpg"):
        (tmp_path / "photos" / other).parent.mkdir()
        shutil.copy(first, tmp_path / "photos" / other)
    draw("FR/near.jpg", 1, size=300)
    found = gather(tmp_path / "photos", tmp_path / "photos", GatherOptions(duplicates=policy))
    assert list(found.photos["file"]) == files
    report = found.report.set_index(["kind", "file"])
    for file in ("FR/b.jpg", "IT/c.jpg", "nowhere/0.jpg"):
        assert report.loc[("exact duplicate", file), "duplicate_of"] == "FR/a.jpg"
    assert "its country is IT, that of the duplicate FR" in report.loc[("exact duplicate", "IT/c.jpg"), "reason"]
    assert report.loc[("near duplicate", "FR/near.jpg"), "duplicate_of"] == "FR/a.jpg"
    assert list(found.photos["duplicate_of"]) == ["", *["FR/a.jpg"] * (len(files) - 1)]


def test_a_table_says_which_photos_and_where(draw: Draw, make: Callable[..., Result], tmp_path: Path) -> None:
    for seed, file in enumerate(["a.jpg", "b.jpg", "c.jpg", "d.jpg", "unlisted.jpg"]):
        draw(file, seed)
    table = tmp_path / "labels.csv"
    table.write_text(
        "Photo,Country,Latitude,lng,licence,split,phash\n"
        "a.jpg,Allemagne,,,CC0,train,x\n"
        "./b.jpg,,41.9,12.5,CC-BY,val,x\n"
        f"{tmp_path / 'photos' / 'c.jpg'},Atlantis,95,0,CC0,,x\n"
        "d.jpg,fr,41.9,12.5,,,x\n"
        "a.jpg,FR,,,,,x\n"
        "gone.jpg,FR,,,,,x\n"
        "../outside.jpg,FR,,,,,x\n",
        encoding="utf-8-sig",
    )
    result = make("--table", table, "--source", "my trip")
    assert result.exit_code == 0, result.output
    photos = read_manifest(tmp_path / "manifest.csv").table.set_index("file")
    assert photos["country"].to_dict() == {"photos/a.jpg": "DE", "photos/b.jpg": "IT", "photos/d.jpg": "FR"}
    assert list(photos["licence"]) == ["CC0", "CC-BY", ""]
    assert list(photos["split"]) == ["train", "val", ""]
    assert set(photos["source"]) == {"my trip"}
    assert all(len(text) == 16 for text in photos["phash"])
    found = kinds(report_of(tmp_path))
    assert found["not in the table"] == {"photos/unlisted.jpg"}
    assert found["missing"] == {"photos/gone.jpg"}
    assert found["country conflict"] == {"photos/d.jpg"}
    assert found["no country"] == {"photos/c.jpg"}
    reasons = Counter(report_of(tmp_path).query("kind == 'bad row'")["reason"].str.partition(" ")[0])
    assert reasons == {"its": 3, "duplicate": 1}  # country, position and path; listed again


@pytest.mark.parametrize("header", ["file,land", "country,lat,lon", "file,lat", "file;country"])
def test_a_table_without_the_columns_is_refused(
    draw: Draw, make: Callable[..., Result], tmp_path: Path, header: str
) -> None:
    draw("a.jpg", 1)
    (tmp_path / "labels.csv").write_text(header + "\n")
    result = make("--table", tmp_path / "labels.csv")
    assert result.exit_code == 2
    assert "`file`" in result.output


def test_nothing_is_overwritten_unasked(draw: Draw, make: Callable[..., Result], tmp_path: Path) -> None:
    draw("FR/a.jpg", 1)
    for existing in ("manifest.csv", "manifest.report.csv"):
        (tmp_path / existing).write_text("mine")
        result = make()
        assert result.exit_code == 2
        assert "--force" in result.output
        assert (tmp_path / existing).read_text() == "mine"
        assert make("--force").exit_code == 0
        (tmp_path / "manifest.csv").unlink()


def test_a_manifest_must_lie_above_its_photos(draw: Draw, tmp_path: Path) -> None:
    draw("FR/a.jpg", 1)
    with pytest.raises(ManifestError, match="does not hold the photos"):
        gather(tmp_path / "photos", tmp_path / "elsewhere", GatherOptions())


def test_a_folder_without_a_country_leaves_a_report_only(
    draw: Draw, make: Callable[..., Result], tmp_path: Path
) -> None:
    draw("a.jpg", 1)
    result = make()
    assert result.exit_code == 2
    assert "has no photo of a known country" in result.output
    assert not (tmp_path / "manifest.csv").exists()
    assert kinds(report_of(tmp_path))["no country"] == {"photos/a.jpg"}


def test_a_file_that_kills_its_reader_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deadly_reader.py").write_text(
        "import os\n"
        "from triovision.train.data.build.photo_files import Problem\n"
        "def read(folder, file):\n"
        "    if file.startswith('deadly'):\n"
        "        os._exit(1)\n"
        "    return Problem(file, 'read', '')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import deadly_reader  # noqa: PLC0415 - written just now

    monkeypatch.setattr(photo_files, "_read", deadly_reader.read)
    monkeypatch.setattr(photo_files, "_CHUNK_SIZE", 2)
    files = ["0", "deadly1", "2", "deadly3", *map(str, range(4, 12))]
    outcomes = list(photo_files.read_photo_files(tmp_path, files, 1))
    assert sorted(outcome.file for outcome in outcomes) == sorted(files)
    assert {o.file for o in outcomes if o.kind == "unreadable"} == {"deadly1", "deadly3"}


def test_several_processes_read_what_one_reads(draw: Draw, tmp_path: Path) -> None:
    for seed in range(5):
        draw(f"{seed}.jpg", seed, (10 + seed, 20))
    folder = tmp_path / "photos"
    files, _ = photo_files.find_photos(folder)

    by_one, by_two = (sorted(photo_files.read_photo_files(folder, files, n), key=lambda o: o.file) for n in (0, 2))
    assert by_two == by_one
    assert [outcome.position for outcome in by_two] == [(10.0 + seed, 20.0) for seed in range(5)]


def test_a_vanished_photo_is_unreadable(tmp_path: Path) -> None:
    (outcome,) = photo_files.read_photo_files(tmp_path, ["gone.jpg"], 0)
    assert outcome == photo_files.Problem("gone.jpg", "unreadable", "cannot be opened (No such file or directory)")
