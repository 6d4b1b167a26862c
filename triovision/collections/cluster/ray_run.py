"""Resumable run on Ray Data: workers read and answer photos, and the driver writes the answers."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from triovision.collections.cluster.files import found_files, read_file
from triovision.collections.cluster.parts import PART_SCHEMA, AnswerParts
from triovision.collections.organiser.progress import check_failure_rate
from triovision.collections.row_predictor import ROW_SCHEMA, RowPredictor, answers_sha256
from triovision.errors import CollectionError, PhotoError
from triovision.photo import DecoderPool

_FILES: Final = pa.schema([("path", pa.string()), ("version", pa.string())])
_READ: Final = _FILES.append(pa.field("bytes", pa.large_binary())).append(pa.field("reason", pa.string()))
#: A block of the input is so many batches: fewer blocks cost Ray less, smaller ones spread better.
_BATCHES_IN_BLOCK: Final = 8
#: Reading waits for disks and networks, so that several reads share a processor.
_READ_CPUS: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class RayOptions:
    """Options of a run on Ray.

    Attributes:
        address: Address of the cluster, such as `auto` or `ray://head:10001`; None for a cluster on this machine.
        batch_size: Number of photos in one forward pass.
        min_workers: Workers that are started at once, each with a model of its own.
        max_workers: Most workers.
        worker_cpus: Processors of a worker: threads of its network and processes that decode for it.
        worker_gpus: GPUs of a worker; a fraction lets workers share one.
        part_rows: Photos in one file of answers; a kill loses at most so many answers.
        max_failure_rate: Largest part of photos that fail, in [0, 1]; looked at after 100 photos.
    """

    address: str | None = None
    batch_size: int = 32
    min_workers: int = 1
    max_workers: int = 1
    worker_cpus: int = 1
    worker_gpus: float = 0.0
    part_rows: int = 2000
    max_failure_rate: float = 1.0


@dataclass(slots=True)
class RayProgress:
    """What a run has done so far.

    Attributes:
        work: Photos to be answered; None while they are searched.
        known: Photos that an earlier run answered or refused.
        skipped: Files that are neither photos nor readable; archives, which only the local engine opens, count too.
        answered: Photos answered.
        refused: Photos refused.
        unreadable: Files that could not be read.
    """

    work: int | None = None
    known: int = 0
    skipped: int = 0
    answered: int = 0
    refused: int = 0
    unreadable: int = 0

    @property
    def done(self) -> int:
        """Photos with a row."""
        return self.answered + self.refused + self.unreadable


def organise_on_ray(
    sources: Sequence[str],
    target: str,
    model_id: str,
    options: RayOptions,
    progress: RayProgress,
    on_progress: Callable[[], None] = lambda: None,
) -> None:
    """Answer every photo of the sources that has no answer of this model in the target.

    It may be interrupted and killed at any moment; the same call goes on. A worker that dies costs the photos that it
    had in hand, which another one answers.

    Args:
        sources: Folders, files and addresses, see `found_files`.
        target: Folder or address of the answers.
        model_id: The model; every machine must have it.
        options: Options of the run.
        progress: Filled while the run goes on.
        on_progress: Called after each batch, in the thread of the caller.

    Raises:
        CollectionError: If a source or the target cannot be used, too many photos fail, or the cluster does.
        OSError: If answers cannot be written.
    """
    from triovision.inference import load_model  # noqa: PLC0415 - PyTorch

    model_sha256 = answers_sha256(load_model(model_id, "cpu"))
    parts = AnswerParts(target)
    work = _work(sources, parts, model_sha256, progress)
    progress.work = work.num_rows
    on_progress()
    waiting: list[pa.Table] = []
    try:
        for rows in _answers(work, model_id, options) if work.num_rows else ():
            _count(rows, model_sha256, progress)
            waiting.append(rows)
            if sum(table.num_rows for table in waiting) >= options.part_rows:
                _write(parts, waiting)
            on_progress()
            check_failure_rate(progress.refused + progress.unreadable, progress.done, options.max_failure_rate, target)
    finally:
        _write(parts, waiting)


def _work(sources: Sequence[str], parts: AnswerParts, model_sha256: str, progress: RayProgress) -> pa.Table:
    """Photos to be answered, each once."""
    known = parts.known(model_sha256)
    found: dict[str, str] = {}
    for file, version in found_files(sources, parts.target):
        if file.kind != "photo":
            progress.skipped += 1
        elif known.get(file.path) == version:
            progress.known += 1
        else:
            found[file.path] = version
    return pa.table({"path": list(found), "version": list(found.values())}, schema=_FILES)


def _answers(work: pa.Table, model_id: str, options: RayOptions) -> Iterator[pa.Table]:
    """Run the pipeline and yield tables of `PART_SCHEMA` as they come, in no order."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would tell its makers
    import ray  # noqa: PLC0415 - an optional extra
    from ray.exceptions import RayError  # noqa: PLC0415

    started = not ray.is_initialized()
    if started:
        ray.init(address=options.address, log_to_driver=False, logging_level=logging.ERROR, **_local(options.address))
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    block = options.batch_size * _BATCHES_IN_BLOCK
    blocks = [work.slice(start, block) for start in range(0, work.num_rows, block)]
    try:
        dataset = ray.data.from_arrow(blocks).map_batches(
            _read_files, batch_size=options.batch_size, batch_format="pyarrow", num_cpus=_READ_CPUS
        )
        dataset = dataset.map_batches(
            _Worker,
            fn_constructor_args=(model_id, options.batch_size, options.worker_cpus, options.worker_gpus > 0),
            batch_size=options.batch_size,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(min_size=options.min_workers, max_size=options.max_workers),
            num_cpus=options.worker_cpus,
            num_gpus=options.worker_gpus,
        )
        batches: Iterable[Any] = dataset.iter_batches(batch_size=None, batch_format="pyarrow")
        for batch in batches:
            yield batch.cast(PART_SCHEMA)
    except RayError as exc:
        reason = f"failed ({str(exc).strip().splitlines()[-1]})"
        remedy = "Look at the logs of Ray; the same command goes on from here"
        raise CollectionError("The cluster", reason, remedy) from exc
    finally:
        if started:
            ray.shutdown()


def _local(address: str | None) -> dict[str, Any]:
    """Options of a cluster that is started on this machine and nowhere else."""
    return {"include_dashboard": False} if address is None else {}


def _read_files(files: pa.Table) -> pa.Table:
    """Read files, in a worker of Ray."""
    contents: list[bytes | None] = []
    reasons: list[str | None] = []
    for path in files["path"].to_pylist():
        try:
            contents.append(read_file(path))
            reasons.append(None)
        except PhotoError as error:
            contents.append(None)
            reasons.append(f"{error.reason}. {error.remedy}.")
    return pa.table([*files.columns, contents, reasons], schema=_READ)


class _Worker:
    """A model with its decoder processes, in an actor of Ray."""

    def __init__(self, model_id: str, batch_size: int, cpus: int, has_gpu: bool) -> None:
        import torch  # noqa: PLC0415 - slow

        torch.set_num_threads(cpus)
        device = "cuda" if has_gpu else "cpu"
        self._predict = RowPredictor(model_id, device, batch_size=batch_size, pool=DecoderPool(cpus))

    def __call__(self, files: pa.Table) -> pa.Table:
        """Answer the photos of a table of `_READ`."""
        rows = files.to_pylist()
        readable = [row for row in rows if row["bytes"] is not None]
        columns = self._predict({name: [row[name] for row in readable] for name in ("path", "bytes")})
        answers = iter(pa.table(columns, schema=ROW_SCHEMA).to_pylist())
        done = []
        for row in rows:
            answer = {"status": "unreadable", "reason": row["reason"]} if row["bytes"] is None else next(answers)
            about = {name: row[name] for name in ("path", "version")}
            done.append(answer | about | {"model_sha256": self._predict.model_sha256})
        return pa.Table.from_pylist(done, schema=PART_SCHEMA)


def _count(rows: pa.Table, model_sha256: str, progress: RayProgress) -> None:
    if set(rows["model_sha256"].to_pylist()) - {model_sha256}:
        reason = "has a worker with other weights or another calibration of the model than this machine"
        raise CollectionError("The cluster", reason, "Install the same version of TrioVision and models everywhere")
    for status in rows["status"].to_pylist():
        progress.answered += status == "answered"
        progress.refused += status == "refused"
        progress.unreadable += status == "unreadable"


def _write(parts: AnswerParts, waiting: list[pa.Table]) -> None:
    if waiting:
        parts.write(pa.concat_tables(waiting))
        waiting.clear()
