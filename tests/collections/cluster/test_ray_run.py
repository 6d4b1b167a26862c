from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.collections.cluster.conftest import MODEL
from triovision.collections.cluster.ray_run import RayOptions, RayProgress, organise_on_ray
from triovision.collections.row_predictor import RowPredictor
from triovision.errors import CollectionError

pytest.importorskip("ray")
#: Columns that are the same on every engine; times and the JSON with them are not.
SAME = (
    "content",
    "model_sha256",
    "country",
    "area_kind",
    "lat_deg",
    "lon_deg",
    "radius_km",
    "probability",
    "abstained",
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head and a worker on this machine; each test starts the worker that it kills anew."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - slow

    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    yield started
    started.shutdown()


@pytest.fixture
def connected(cluster: Any, models: Path) -> Iterator[Any]:  # noqa: ARG001 - workers inherit the folder of models
    import ray  # noqa: PLC0415

    environment = {"TRIOVISION_MODELS": os.environ["TRIOVISION_MODELS"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    ray.init(address=cluster.address, runtime_env={"env_vars": environment}, log_to_driver=False)
    yield cluster
    ray.shutdown()


def run(source: Path, target: Path, on_progress: Callable[[RayProgress], None] = lambda _: None, **options: Any) -> Any:
    progress = RayProgress()
    settings = RayOptions(batch_size=2, part_rows=4, **options)
    organise_on_ray([str(source)], str(target), MODEL, settings, progress, lambda: on_progress(progress))
    return progress


def rows(target: Path) -> dict[str, dict[str, Any]]:
    tables = [pq.read_table(path) for path in target.glob("part-*.parquet")]
    found = pa.concat_tables([table.replace_schema_metadata() for table in tables]).to_pylist()
    by_name = {Path(row["path"]).name: row for row in found}
    assert len(by_name) == len(found)  # no photo twice
    return by_name


def test_a_worker_that_dies_halfway_costs_no_photo_and_changes_no_answer(
    connected: Any, write_photos: Callable[[int], Path], tmp_path: Path
) -> None:
    photos = write_photos(40)
    (photos / "broken.jpg").write_bytes(b"no photo")
    worker = connected.add_node(num_cpus=2)
    killed = []

    def kill(progress: RayProgress) -> None:
        if progress.done and not killed:
            killed.append(progress.done)
            connected.remove_node(worker, allow_graceful=False)

    progress = run(photos, tmp_path / "out", kill, min_workers=2, max_workers=2)
    assert 0 < killed[0] < 41
    assert (progress.answered, progress.refused, progress.unreadable) == (40, 1, 0)
    found = rows(tmp_path / "out")
    assert found["broken.jpg"]["status"] == "refused"
    names = sorted(path.name for path in photos.iterdir())
    local = RowPredictor(MODEL, "cpu")({"path": names, "bytes": [(photos / name).read_bytes() for name in names]})
    for number, name in enumerate(names):
        if name != "broken.jpg":
            for column in SAME:
                value = local[column][number]
                expected = pytest.approx(value, rel=1e-4) if isinstance(value, float) else value
                assert found[name][column] == expected, (name, column)


def test_the_same_call_answers_only_what_is_new_or_changed(
    connected: Any,  # noqa: ARG001 - connected to the cluster
    write_photos: Callable[[int], Path],
    tmp_path: Path,
) -> None:
    photos = write_photos(5)

    def stop(progress: RayProgress) -> None:
        if progress.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(photos, tmp_path / "out", stop)
    kept = rows(tmp_path / "out")
    assert 0 < len(kept) <= 5
    progress = run(photos, tmp_path / "out")
    assert (progress.known, progress.answered) == (len(kept), 5 - len(kept))
    assert sorted(rows(tmp_path / "out")) == ["000.jpg", "001.jpg", "002.jpg", "003.jpg", "004.jpg"]
    write_photos(6)  # the first five anew
    again = run(photos, tmp_path / "out2")
    assert (again.known, again.answered) == (0, 6)
    nothing = run(photos, tmp_path / "out2")
    assert (nothing.known, nothing.work) == (6, 0)


def test_too_many_failures_end_the_run_with_what_was_answered_kept(
    connected: Any,  # noqa: ARG001 - connected to the cluster
    write_photos: Callable[[int], Path],
    tmp_path: Path,
) -> None:
    photos = write_photos(60)
    for number in range(60):
        (photos / f"broken{number}.jpg").write_bytes(b"no photo")
    with pytest.raises(CollectionError, match="more than the 10% allowed"):
        run(photos, tmp_path / "out", max_failure_rate=0.1)
    assert len(rows(tmp_path / "out")) >= 100
