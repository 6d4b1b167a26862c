from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from triovision.errors import ManifestError
from triovision.train.data.gldv2 import tables
from triovision.train.data.gldv2.tables import prepare

A, B, C, D, E = (digit * 16 for digit in "abcde")
WIKI = "http://commons.wikimedia.org/wiki/Category:"
TABLES = {
    "train.csv": f"id,url,landmark_id\n{B},http://x/b.jpg,2\n{A},http://x/a.jpg,1\n{C},http://x/c.jpg,3\n{D},http://x/d.jpg,4\n"
    f"{E},http://x/e.jpg,1\n",
    "train_clean.csv": f"landmark_id,images\n1,{A}\n2,{B}\n3,{C}\n4,{D}\n",
    "train_label_to_category.csv": f"landmark_id,category\n1,{WIKI}Mus%C3%A9e_d%27Orsay\n3,{WIKI}Nowhere\n",
    "train_attribution.csv": "id,url,author,license,title\n"
    f'{A},http://page/a,"Ann, ""the"" one",CC BY,"File:a, b.jpg"\n',
    "places.csv": "landmark_id,lat,lon,country\n1,48.86,2.33,FR\n2,-22.5,17,NA\n4,,,\n",
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(**changed: str | None) -> Path:
        for name, usual in TABLES.items():
            text = changed.get(name.removesuffix(".csv"), usual)
            if text is not None:
                (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path

    return write


def join(folder: Path, **options: bool) -> tables.JoinReport:
    return prepare(folder, folder / "places.csv", folder / "out", **options)


def rows(folder: Path) -> list[dict[str, object]]:
    return pd.read_parquet(folder / "out").to_dict("records")


def test_photos_with_a_trusted_place_are_kept_and_the_others_accounted_for(write: Callable[..., Path]) -> None:
    report = join(write())
    assert report == tables.JoinReport(
        read=5,
        dropped={
            "not in train_clean.csv": 1,
            "landmark not in the table of places": 1,
            "landmark without a full place": 1,
        },
        kept=2,
        landmarks=2,
        countries=2,
        unattributed=1,
        unreadable_lines={},
    )
    folder = write()
    assert json.loads((folder / "out" / "_report.json").read_text())["kept"] == 2
    first, second = rows(folder)
    assert first == {
        "file": f"a/a/a/{A}.jpg",
        "country": "FR",
        "lat": 48.86,
        "lon": 2.33,
        "place": "Musée d'Orsay",
        "source": "gldv2",
        "landmark_id": 1,
        "url": "http://x/a.jpg",
        "page": "http://page/a",
        "author": 'Ann, "the" one',
        "licence": "CC BY",
        "title": "File:a, b.jpg",
    }
    assert (second["country"], second["place"], second["author"], second["licence"]) == ("NA", "landmark 2", "", "")


def test_all_photos_keeps_what_the_clean_list_lacks(write: Callable[..., Path]) -> None:
    folder = write()
    assert join(folder, all_photos=True).kept == 3
    assert [row["file"][6:-4] for row in rows(folder)] == [A, B, E]


def test_the_clean_list_counts_only_under_the_photos_own_landmark(write: Callable[..., Path]) -> None:
    report = join(write(train_clean=f"landmark_id,images\n2,{A} {B} {B}\n"))
    assert (report.kept, report.dropped["not in train_clean.csv"]) == (1, 4)


def test_damaged_lines_and_ids_are_counted(write: Callable[..., Path]) -> None:
    train = TABLES["train.csv"] + "only one field\n../../etc/passwd,u,1\nAAAAAAAAAAAAAAAA,u,1\n0123456789abcdef,u,one\n"
    report = join(write(train=train, train_attribution=TABLES["train_attribution.csv"] + "a,b,c,d,e,f,g\n"))
    assert report.unreadable_lines == {"train.csv": 1, "train_attribution.csv": 1}
    assert report.dropped["no photo id or landmark number"] == 3
    assert (report.read, report.kept) == (8, 2)


def test_shards_are_of_bounded_size_ordered_and_the_same_every_time(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ROWS_PER_SHARD", 2)
    folder = write()
    join(folder, all_photos=True)
    first = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
    assert sorted(first) == ["_report.json", "part-000.parquet", "part-001.parquet"]
    assert list(pd.read_parquet(folder / "out" / "part-001.parquet")["file"]) == [f"e/e/e/{E}.jpg"]
    join(folder, all_photos=True, force=True)
    assert {path.name: path.read_bytes() for path in (folder / "out").iterdir()} == first


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"train": None}, r"train\.csv: is missing\. Fetch it from https"),
        ({"train_clean": "landmark,images\n1,a\n"}, "train_clean.csv: lacks the column.* landmark_id"),
        ({"train_attribution": ""}, "lacks the column"),
        ({"train": TABLES["train.csv"] + f"{A},again,1\n"}, f"train.csv: has duplicates: {A}"),
        (
            {"train_attribution": TABLES["train_attribution.csv"] * 2},
            f"train_attribution.csv: has duplicates: {A}",
        ),
        ({"train_label_to_category": "landmark_id,category\n1,a\n1,b\n"}, "category.csv: has duplicates: 1"),
        ({"train": "id,url,landmark_id\n"}, "train.csv has no rows"),
        ({"places": "landmark_id,lat,lon,country\n77,1,1,FR\n"}, "no photo is left: .*4 landmark not in the table"),
        ({"places": "landmark_id,lat,lon,country\n"}, "places.csv: has no rows"),
        ({"places": "landmark_id,latitude,lon,country\n"}, "lacks the column.* lat. It has landmark_id, latitude"),
        (
            {"places": "landmark_id,lat,lon,country\n1,1,1,FR\n2,91,0,FR\n3,0,0,France\n"},
            r"line 3: .*91.*1 more invalid lines",
        ),
        ({"places": "landmark_id,lat,lon,country\n1,1,1,fr\n"}, "line 2: .*'fr' is not an ISO"),
        ({"places": "landmark_id,lat,lon,country\n1,nan,1,FR\n"}, "line 2: .*nan"),
        ({"places": "landmark_id,lat,lon,country\n1,north,1,FR\n"}, "line 2: .*north"),
        ({"places": "landmark_id,lat,lon,country\none,1,1,FR\n"}, "line 2: .*one"),
        ({"places": "landmark_id,lat,lon,country\n1,1,1,FR\n1,1,1,FR\n"}, "line 3: landmark 1 is a duplicate"),
        ({"places": None}, "places.csv: cannot be read"),
    ],
)
def test_wrong_tables_are_refused_in_words_and_leave_nothing(
    write: Callable[..., Path], changed: dict[str, str | None], words: str
) -> None:
    folder = write(**changed)
    before = sorted(folder.iterdir())
    with pytest.raises(ManifestError, match=words):
        join(folder)
    assert sorted(folder.iterdir()) == before


def test_binary_tables_are_refused(write: Callable[..., Path]) -> None:
    folder = write()
    (folder / "train.csv").write_bytes(b"\xff\xfe\x00\x80" * 100)
    with pytest.raises(ManifestError, match=r"train\.csv: cannot be read"):
        join(folder)
    (folder / "places.csv").write_bytes(b"\xff\xfe\x00\x80" * 100)
    with pytest.raises(ManifestError, match=r"(train|places)\.csv: cannot be read"):
        join(folder)


def test_an_earlier_manifest_is_replaced_only_when_asked_and_nothing_else_ever(write: Callable[..., Path]) -> None:
    folder = write()
    join(folder)
    with pytest.raises(ManifestError, match=r"already exists.*--force"):
        join(folder)
    write(places="landmark_id,lat,lon,country\n2,1,1,FR\n")
    assert join(folder, force=True).kept == 1
    assert [row["country"] for row in rows(folder)] == ["FR"]
    (folder / "out" / "diary.txt").write_text("dear")
    with pytest.raises(ManifestError, match="other files than a manifest"):
        join(folder, force=True)
    assert (folder / "out" / "diary.txt").read_text() == "dear"


def test_a_run_that_dies_leaves_the_earlier_manifest_and_the_next_one_clears_up(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write()
    join(folder)
    before = rows(folder)

    def die(*_: object) -> None:
        (folder / ".out.partial" / "manifest" / "part-000.parquet").write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tables, "_write", die)
        with pytest.raises(KeyboardInterrupt):
            join(folder, force=True)
    assert rows(folder) == before
    (folder / ".out.partial").mkdir()  # as SIGKILL leaves it
    (folder / ".out.partial" / "join.duckdb").write_text("no database")
    join(folder, force=True)
    assert not (folder / ".out.partial").exists()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    landmarks=st.lists(st.integers(0, 6), min_size=1, max_size=40),
    clean=st.sets(st.integers(0, 39)),
    placed=st.dictionaries(st.integers(0, 6), st.sampled_from(["FR", "NA", ""]), min_size=1),
    attributed=st.sets(st.integers(0, 39)),
)
def test_the_join_agrees_with_loops_over_dicts(
    write: Callable[..., Path],
    landmarks: list[int],
    clean: set[int],
    placed: dict[int, str],
    attributed: set[int],
) -> None:
    ids = [f"{n * 0x123456789ABCDEF % 2**64:016x}" for n in range(len(landmarks))]
    named = list(zip(ids, landmarks, strict=True))
    expected = sorted((i, placed[k]) for n, (i, k) in enumerate(named) if n in clean and placed.get(k))
    folder = write(
        train="id,url,landmark_id\n" + "".join(f"{i},u,{k}\n" for i, k in named),
        train_clean="landmark_id,images\n" + "".join(f"{k},{i}\n" for n, (i, k) in enumerate(named) if n in clean),
        places="landmark_id,lat,lon,country\n" + "".join(f"{k},1,2,{c}\n" for k, c in placed.items()),
        train_attribution="id,url,author,license,title\n"
        + "".join(f"{i},p,a,l,t\n" for n, i in enumerate(ids) if n in attributed),
    )
    if not expected:
        with pytest.raises(ManifestError, match="no photo is left"):
            join(folder, force=True)
        return
    report = join(folder, force=True)
    assert [(row["file"][6:-4], row["country"]) for row in rows(folder)] == expected
    assert report.kept + sum(report.dropped.values()) == report.read == len(ids)
    assert report.unattributed == len([i for i, _ in expected if ids.index(i) not in attributed])
