from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from triovision.collections.cluster.parts import PART_SCHEMA, AnswerParts
from triovision.errors import CollectionError

ROWS = [
    {"path": "a.jpg", "version": "1", "status": "answered", "model_sha256": "m", "lat_deg": 48.0, "lon_deg": 2.0},
    {"path": "b.jpg", "version": "1", "status": "refused", "model_sha256": "m", "reason": "no photo"},
    {"path": "c.jpg", "version": "1", "status": "unreadable", "model_sha256": "m"},
    {"path": "d.jpg", "version": "1", "status": "answered", "model_sha256": "other", "lat_deg": -1.0, "lon_deg": 9.0},
]


def table(rows: list[dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=PART_SCHEMA)


@pytest.mark.parametrize("kind", ["disk", "storage"])
def test_what_a_model_answered_or_refused_is_known(kind: str, tmp_path: Path) -> None:
    target = str(tmp_path / "out") if kind == "disk" else f"memory://{tmp_path.name}"
    parts = AnswerParts(target)
    assert parts.known("m") == {}
    parts.write(table(ROWS[:2]))
    parts.write(table(ROWS[2:]))
    assert AnswerParts(target).known("m") == {"a.jpg": "1", "b.jpg": "1"}
    assert AnswerParts(target).known("other") == {"d.jpg": "1"}


def test_a_part_is_geoparquet_with_a_point_for_each_answer(tmp_path: Path) -> None:
    path = AnswerParts(str(tmp_path)).write(table(ROWS))
    written = pq.read_table(path)
    about = json.loads(written.schema.metadata[b"geo"])
    assert about["version"] == "1.1.0"
    assert about["columns"]["geometry"]["bbox"] == [2.0, -1.0, 9.0, 48.0]
    points = written["geometry"].to_pylist()
    assert [point is None for point in points] == [False, True, True, False]
    assert points[0] == b"\x01\x01\x00\x00\x00" + b"\x00" * 7 + b"\x40" + b"\x00" * 6 + b"\x48\x40"


def test_a_damaged_part_is_named_with_the_remedy(tmp_path: Path) -> None:
    parts = AnswerParts(str(tmp_path))
    path = Path(parts.write(table(ROWS)))
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(CollectionError, match=r"part-.*cannot be read as a part of the answers.*Delete it"):
        parts.known("m")


def test_nothing_half_written_counts_as_a_part(tmp_path: Path) -> None:
    parts = AnswerParts(str(tmp_path))
    parts.write(table(ROWS))
    (tmp_path / ".part-x.parquet.host-1-1.part").write_bytes(b"half")
    assert len(parts.known("m")) == 2
