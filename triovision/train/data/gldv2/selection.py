"""Photos of a manifest to download: all, or a sample of each country; and the manifest of those present."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from triovision.errors import ManifestError
from triovision.files import atomic_path

_PREPARE = "Give a manifest that `triovision train gldv2 prepare` wrote, or some of its rows"
_KEYED = r"""
    SET enable_progress_bar = false;
    CREATE VIEW keyed AS SELECT *, TRY_CAST('0x' || id AS UBIGINT) AS key,
        file = concat_ws('/', id[1], id[2], id[3], id) || '.jpg' AS sound
    FROM (SELECT *, regexp_extract(file, '([0-9a-f]{16})\.jpg$', 1) AS id FROM photos)"""
# MD5, because the hash of DuckDB may change with its version.
_SAMPLE = """
    SELECT key, url FROM keyed QUALIFY $per_country >=
        row_number() OVER (PARTITION BY country ORDER BY md5($seed || ' ' || id), id) ORDER BY key"""
_PRESENT = """
    COPY (SELECT * EXCLUDE (id, key, sound) FROM keyed SEMI JOIN present USING (key) ORDER BY file)
    TO $path (FORMAT parquet, COMPRESSION zstd)"""


def photo_keys(manifest: Path) -> NDArray[np.uint64]:
    """Ids of the photos of a manifest as numbers, ascending.

    Args:
        manifest: Folder of Parquet files that `prepare` wrote, or a Parquet or CSV file with some of its rows.

    Raises:
        ManifestError: If the manifest cannot be read, is empty, or names files that are no photos of landmarks v2.
    """
    with _opened(manifest) as connection:
        keys: NDArray[np.uint64] = connection.execute("SELECT DISTINCT key FROM keyed ORDER BY key").fetchnumpy()["key"]
    return keys


def sample_urls(manifest: Path, per_country: int, seed: int) -> dict[int, str]:
    """Sample photos of each country; with the same seed, a larger sample contains a smaller one.

    Args:
        manifest: As for `photo_keys`, with the column `url`.
        per_country: Most photos of a country.
        seed: Another seed, another sample.

    Returns:
        Address of each chosen photo by its id as a number, ascending.

    Raises:
        ManifestError: As `photo_keys`, or if there is no column `url`.
    """
    with _opened(manifest, "url") as connection:
        rows = connection.execute(_SAMPLE, {"seed": str(seed), "per_country": per_country}).fetchall()
    return {int(key): str(url) for key, url in rows}


def write_present(manifest: Path, present: NDArray[np.uint64], path: Path) -> None:
    """Write the rows of a manifest whose photos are present as one Parquet file, atomically.

    Args:
        manifest: As for `photo_keys`.
        present: Ids of the photos as numbers.
        path: The file to write.

    Raises:
        ManifestError: If the manifest cannot be read or the file cannot be written.
    """
    with _opened(manifest) as connection, atomic_path(path) as part:
        connection.register("present", pd.DataFrame({"key": present}))
        connection.execute(_PRESENT, {"path": str(part)})


@contextmanager
def _opened(manifest: Path, *columns: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """The manifest as the view `keyed`, checked."""
    try:
        with duckdb.connect() as connection:
            if manifest.suffix == ".csv":
                types: list[str] = ["BIGINT", "DOUBLE", "VARCHAR"]  # no Booleans: "NO" is Norway
                photos = connection.read_csv(str(manifest), auto_type_candidates=types)
            else:
                photos = connection.read_parquet(str(manifest / "*.parquet" if manifest.is_dir() else manifest))
            if missing := {"file", "country", *columns}.difference(photos.columns):
                raise ManifestError(str(manifest), f"lacks the column(s) {', '.join(sorted(missing))}", _PREPARE)
            photos.create_view("photos")
            connection.execute(_KEYED)
            rows, strange = connection.execute(
                "SELECT count(*), any_value(file) FILTER (NOT sound) FROM keyed"
            ).fetchall()[0]
            if not rows:
                raise ManifestError(str(manifest), "has no rows", _PREPARE)
            if strange is not None:
                raise ManifestError(
                    str(manifest), f"`file` {strange!r} is not a photo of Google Landmarks v2", _PREPARE
                )
            yield connection
    except duckdb.Error as exc:
        raise ManifestError(str(manifest), f"cannot be read or written ({exc})", _PREPARE) from exc
