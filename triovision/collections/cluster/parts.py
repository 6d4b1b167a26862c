"""Answers as one data set of GeoParquet files, each written whole or not at all, and the point where a run goes on."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from triovision.collections.answer_rows import ANSWER_SCHEMA
from triovision.collections.cluster.files import storage
from triovision.collections.exports import geo_metadata, points_as_wkb
from triovision.errors import CollectionError
from triovision.files import atomic_write

#: Columns of an answer on a cluster. `version` changes with the content of the file; `status` is `answered`, `refused`
#: (no usable photo) or `unreadable`, and `reason` says why; the others are those of `ANSWER_SCHEMA`.
PART_SCHEMA: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("path", "version", "status", "reason")),
        *(field for field in ANSWER_SCHEMA if field.name != "thumbnail"),
    ]
)
_AGAIN: Final = "Delete it and run the same command again, which answers its photos anew"


class AnswerParts:
    """Folder of parts, on a disk or in object storage.

    Args:
        target: Folder, or an address such as `s3://bucket/answers`.

    Raises:
        CollectionError: If its kind of storage cannot be used here.
    """

    def __init__(self, target: str) -> None:
        self.target = target.rstrip("/")
        self._filesystem, self._folder = storage(self.target)
        self._is_local = "://" not in self.target

    def known(self, model_sha256: str) -> dict[str, str]:
        """Return the version of each file that a model has answered or refused, by path.

        Args:
            model_sha256: The model, see `ANSWER_SCHEMA`.

        Raises:
            CollectionError: If a part is damaged, or none of a data set of TrioVision.
        """
        known: dict[str, str] = {}
        wanted = ["path", "version", "status", "model_sha256"]
        for path in self._paths():
            try:
                with self._filesystem.open(path, "rb") as file:
                    table = pq.read_table(file, columns=wanted)
                rows = table.select(wanted).to_pylist()
            except (OSError, pa.ArrowException, KeyError) as exc:
                raise CollectionError(str(path), f"cannot be read as a part of the answers ({exc})", _AGAIN) from exc
            for row in rows:
                if row["model_sha256"] == model_sha256 and row["status"] != "unreadable":
                    known[row["path"]] = row["version"]
        return known

    def write(self, rows: pa.Table) -> str:
        """Write rows as one more part: GeoParquet 1.1 with points in the column `geometry`, none for refused photos.

        Args:
            rows: Rows of `PART_SCHEMA`.

        Returns:
            Path of the part.

        Raises:
            OSError: If it cannot be written.
        """
        lon_deg, lat_deg = rows["lon_deg"].to_pylist(), rows["lat_deg"].to_pylist()
        placed = [number for number, lon in enumerate(lon_deg) if lon is not None]
        points = points_as_wkb([lon_deg[number] for number in placed], [lat_deg[number] for number in placed])
        geometry: list[Any] = [None] * rows.num_rows
        for number, point in zip(placed, points.to_pylist(), strict=True):
            geometry[number] = point
        table = rows.append_column("geometry", pa.array(geometry, pa.binary()))
        table = table.replace_schema_metadata({b"geo": geo_metadata(_bounds(rows))})
        content = io.BytesIO()
        pq.write_table(table, content, compression="zstd")
        path = f"{self._folder}/part-{uuid4().hex}.parquet"
        if self._is_local:
            atomic_write(Path(path), content.getbuffer())
        else:  # an object appears when its upload is complete
            self._filesystem.pipe_file(path, content.getvalue())
        return path

    def _paths(self) -> list[str]:
        try:
            return sorted(self._filesystem.glob(f"{self._folder}/part-*.parquet"))
        except FileNotFoundError:
            return []


def _bounds(rows: pa.Table) -> list[float] | None:
    """West, south, east and north of the points; None without any."""
    lon_deg = [lon for lon in rows["lon_deg"].to_pylist() if lon is not None]
    lat_deg = [lat for lat in rows["lat_deg"].to_pylist() if lat is not None]
    return [min(lon_deg), min(lat_deg), max(lon_deg), max(lat_deg)] if lon_deg else None
