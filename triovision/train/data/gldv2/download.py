"""Parallel download of shards or photos, with a list of failures and a manifest of the photos present."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from triovision.errors import TrioVisionError
from triovision.photo import PhotoLimits
from triovision.train.data.gldv2.folder import FAILURES, Failure, PhotoFolder
from triovision.train.data.gldv2.resize import SmallJpeg
from triovision.train.data.gldv2.selection import photo_keys, sample_urls, write_present
from triovision.train.data.gldv2.shards import SHARDS, fetch_shard, shard_name
from triovision.transfer import Transfer

MANIFEST = "manifest.parquet"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of a download.

    Attributes:
        present: Ids of the requested photos that are present, as numbers.
        failures: Missing shards and photos with the reason.
    """

    present: NDArray[np.uint64]
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class Download:
    """Download tasks, built by `shard_download` or `sample_download`.

    Attributes:
        manifest: Manifest of the photos.
        folder: Folder of the photos.
        transfer: HTTP transfer.
        tasks: Tasks by shard or photo, which return their failures.
    """

    manifest: Path
    folder: PhotoFolder
    transfer: Transfer
    tasks: Mapping[str, Callable[[], Sequence[Failure]]]

    def run(self, threads: int, on_done: Callable[[str, Sequence[Failure]], None]) -> Outcome:
        """Run all tasks; a failed task does not stop the others.

        Args:
            threads: Number of threads.
            on_done: Called in this thread with the name and the failures of each finished task.

        Returns:
            Present and missing photos.
        """
        failures: list[Failure] = []
        with ThreadPoolExecutor(threads) as pool:
            futures = {pool.submit(task): name for name, task in self.tasks.items()}
            try:
                for future in as_completed(futures):
                    name = futures[future]
                    task_failures = _outcome(name, future)
                    failures += task_failures
                    on_done(name, task_failures)
            except BaseException:
                self.transfer.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        present = self.folder.present()
        failures += self._in_no_shard(present, {failure.item for failure in failures})
        return Outcome(present, tuple(sorted(failures)))

    def write(self, outcome: Outcome) -> None:
        """Write `failures.csv` and, if any photo is present, `manifest.parquet` into the folder."""
        root = self.folder.root
        if outcome.failures:
            self.folder.report(outcome.failures)
        else:
            (root / FAILURES).unlink(missing_ok=True)
        if len(outcome.present):
            write_present(self.manifest, outcome.present, root / MANIFEST)

    def _in_no_shard(self, present: NDArray[np.uint64], known: set[str]) -> Iterable[Failure]:
        """Missing photos without another failure, once every shard is finished."""
        if any(self.folder.finished(shard_name(number)) is None for number in range(SHARDS)):
            return []
        ids = (f"{key:016x}" for key in self.folder.absent(present))
        return [Failure(photo, "not in any shard") for photo in ids if photo not in known]


def shard_download(
    manifest: Path, out: Path, form: SmallJpeg, transfer: Transfer, shards: Iterable[int], base_url: str
) -> Download:
    """Download the photos of a manifest in the official tar shards.

    Args:
        manifest: Manifest of `prepare`, or some of its rows.
        out: Folder of the photos; an unfinished one is resumed.
        form: Format of the photos.
        transfer: HTTP transfer.
        shards: Numbers of the shards, 0 to 499.
        base_url: URL of the parent of `train/` and `md5sum/train/`.

    Raises:
        ManifestError: If the manifest is not valid.
        DownloadError: If the folder has other photos or another format.
        OSError: If the folder cannot be written.
    """
    folder = PhotoFolder(out, photo_keys(manifest), form)
    tasks = {shard_name(n): partial(fetch_shard, n, base_url.rstrip("/"), folder, transfer) for n in shards}
    return Download(manifest, folder, transfer, tasks)


def sample_download(
    manifest: Path, out: Path, form: SmallJpeg, transfer: Transfer, per_country: int, seed: int
) -> Download:
    """Download a sample of each country, each photo from its own URL; errors as in `shard_download`.

    Args:
        manifest: Manifest with the column `url`.
        out: Folder of the photos; an unfinished one is resumed.
        form: Format of the photos.
        transfer: HTTP transfer.
        per_country: Largest number of photos per country.
        seed: Seed of the sample.
    """
    urls = sample_urls(manifest, per_country, seed)
    folder = PhotoFolder(out, np.fromiter(urls, np.uint64, len(urls)), form)
    tasks = {f"{key:016x}": partial(_fetch_photo, key, url, folder, transfer) for key, url in urls.items()}
    return Download(manifest, folder, transfer, tasks)


def _fetch_photo(key: int, url: str, folder: PhotoFolder, transfer: Transfer) -> tuple[Failure, ...]:
    path = folder.path(key)
    if not path.exists():
        folder.form.save(transfer.read(url, PhotoLimits().max_bytes), path)
    return ()


def _outcome(name: str, future: Future[Sequence[Failure]]) -> Sequence[Failure]:
    try:
        return future.result()
    except TrioVisionError as exc:
        reason = exc.reason if exc.subject == name else f"{exc.subject}: {exc.reason}"
    except OSError as exc:
        reason = f"{exc.filename or 'the disk'}: {exc.strerror or exc}"
    return (Failure(name, reason),)
