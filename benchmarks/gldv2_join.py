"""Speed of the join of the Google Landmarks v2 metadata at full size, as a ratio to a bare DuckDB read.

The tables are made up, with the official numbers of rows and landmarks; the rows kept are counted by NumPy too.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import duckdb
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from triovision.train.data.gldv2.tables import prepare

PHOTOS, LANDMARKS, PLACES, CLEAN = 4_132_914, 203_094, 35_070, 1_580_470
INCOMPLETE = 70  # places whose country is empty
COUNTRIES = np.array(["FR", "IT", "DE", "NA", "US", "JP", "BR", "IN", "GB", "ES"])
LIMIT_S, LIMIT_MB = 60, 3000
T = TypeVar("T")


@dataclass(frozen=True)
class Truth:
    """What the join must come to: ids of the kept photos, ascending, and the country of each."""

    keys: NDArray[np.uint64]
    countries: NDArray[np.str_]


def make_tables(folder: Path) -> Truth:
    """Write the four official tables and the places, and work out the answer without any of them."""
    random = np.random.default_rng(0)
    keys = np.unique(random.integers(0, 2**64, PHOTOS + 1000, dtype=np.uint64))
    keys = random.permutation(keys)[:PHOTOS]
    share = 1 / np.arange(10, LANDMARKS + 10)  # few large landmarks, many small ones
    landmarks = np.concatenate(
        [np.arange(LANDMARKS), random.choice(LANDMARKS, PHOTOS - LANDMARKS, p=share / share.sum())]
    )
    clean = np.zeros(PHOTOS, bool)
    clean[random.choice(PHOTOS, CLEAN, replace=False)] = True
    country_of = random.choice(COUNTRIES, LANDMARKS)
    placed = np.arange(LANDMARKS) < PLACES  # the large ones are those that somebody located
    located = placed & (np.arange(LANDMARKS) >= INCOMPLETE)
    _write_tables(folder, keys, landmarks, clean)
    with (folder / "places.csv").open("w") as file:
        file.write("landmark_id,lat,lon,country\n")
        for landmark in np.flatnonzero(placed):
            country = country_of[landmark] if located[landmark] else ""
            file.write(f"{landmark},{random.uniform(-90, 90):.6f},{random.uniform(-180, 180):.6f},{country}\n")
    kept = clean & located[landmarks]
    order = np.argsort(keys[kept])
    return Truth(keys[kept][order], country_of[landmarks[kept]][order])


def _write_tables(
    folder: Path, keys: NDArray[np.uint64], landmarks: NDArray[np.int64], clean: NDArray[np.bool_]
) -> None:
    names = [f"{key:016x}" for key in keys.tolist()]
    with (folder / "train.csv").open("w") as train, (folder / "train_attribution.csv").open("w") as attribution:
        train.write("id,url,landmark_id\n")
        attribution.write("id,url,author,license,title\n")
        for name, landmark in zip(names, landmarks.tolist(), strict=True):
            file = f"{name[:8]}_{landmark}.jpg"
            train.write(
                f"{name},http://upload.wikimedia.org/wikipedia/commons/{name[0]}/{name[:2]}/{file},{landmark}\n"
            )
            attribution.write(
                f"{name},https://commons.wikimedia.org/wiki/File:{file},"
                f'"Somebody ""{name[-4:]}"", from somewhere",https://creativecommons.org/licenses/by-sa/3.0/,File:{file}\n'
            )
    with (folder / "train_clean.csv").open("w") as file_:
        file_.write("landmark_id,images\n")
        chosen = np.flatnonzero(clean)
        chosen = chosen[np.argsort(landmarks[chosen], kind="stable")]
        for group in np.split(chosen, np.flatnonzero(np.diff(landmarks[chosen])) + 1):
            file_.write(f"{landmarks[group[0]]},{' '.join(names[i] for i in group)}\n")
    with (folder / "train_label_to_category.csv").open("w") as file_:
        file_.write("landmark_id,category\n")
        file_.writelines(
            f"{n},http://commons.wikimedia.org/wiki/Category:Landmark_%C3%A9_{n}\n" for n in range(LANDMARKS)
        )


def bare_read(folder: Path) -> None:
    """Let DuckDB count the rows of the four official tables."""
    for path in sorted(folder.glob("train*.csv")):
        duckdb.execute("SELECT count(*) FROM read_csv($1, all_varchar = true, max_line_size = 16000000)", [str(path)])


def bare_copy(folder: Path) -> None:
    """Let DuckDB turn the two large tables into Parquet, all rows and columns, nothing joined."""
    for name in ("train", "train_attribution"):
        duckdb.execute(
            "COPY (FROM read_csv($source, all_varchar = true)) TO $target (FORMAT parquet, COMPRESSION zstd)",
            {"source": str(folder / f"{name}.csv"), "target": str(folder / f"{name}.parquet")},
        )


def join(folder: Path) -> None:
    """What is measured."""
    prepare(folder, folder / "places.csv", folder / "manifest", force=True)


def measured(work: Callable[[Path], None], folder: Path) -> tuple[float, float]:
    """Seconds and peak megabytes (10**6) of a call on two cores, in a process of its own."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    duckdb.execute("SET enable_progress_bar = false")
    start = time.perf_counter()
    work(folder)
    return time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def alone(call: Callable[..., T], *arguments: object) -> T:
    """Call in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(call, *arguments).result()


def main() -> None:
    """Make the tables, run the three, compare the rows and print."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        truth = alone(make_tables, folder)  # Linux counts the memory of whoever starts a process as its own peak
        size = sum(path.stat().st_size for path in folder.glob("train*.csv")) / 1e9
        print(f"{PHOTOS:,} photos, {LANDMARKS:,} landmarks, {PLACES:,} with a place, {CLEAN:,} clean; {size:.2f} GB")
        figures = {}
        for work in (bare_read, bare_copy, join):
            figures[work.__name__] = alone(measured, work, folder)
            print(f"  {work.__name__:10} {figures[work.__name__][0]:6.1f} s  peak {figures[work.__name__][1]:6.0f} MB")
        table = pq.read_table(folder / "manifest", columns=["file", "country"])
        keys = np.array([int(file[-20:-4], 16) for file in table["file"].to_pylist()], np.uint64)
        same = np.array_equal(keys, truth.keys) and np.array_equal(
            np.array(table["country"].to_pylist()), truth.countries
        )
        print(f"kept {len(keys):,} photos; NumPy says {len(truth.keys):,}; ids and countries equal: {same}")
        seconds, peak = figures["join"]
        for name in ("bare_read", "bare_copy"):
            print(f"join / {name} = {seconds / figures[name][0]:.2f}")
        met = same and seconds < LIMIT_S and peak < LIMIT_MB
        print(
            f"{seconds:.1f} s, {peak:.0f} MB (target: below {LIMIT_S} s and {LIMIT_MB} MB) {'ok' if met else 'MISSED'}"
        )


if __name__ == "__main__":
    main()
