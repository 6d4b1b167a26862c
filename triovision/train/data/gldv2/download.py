"""A whole download: many shards or photos at a time, every failure counted, and a manifest of what came."""

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
    """What a download has come to.

    Attributes:
        present: Ids of the wanted photos that are here, as numbers.
        failures: Shards and photos that are missing, and why.
    """

    present: NDArray[np.uint64]
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class Download:
    """Tasks that bring photos into a folder; made by `shard_download` or `sample_download`.

    Attributes:
        manifest: Table that the photos are of.
        folder: Where they go.
        transfer: Fetches.
        tasks: What to do, by the name of the shard or photo; each gives the failures within it.
    """

    manifest: Path
    folder: PhotoFolder
    transfer: Transfer
    tasks: Mapping[str, Callable[[], Sequence[Failure]]]

    def run(self, threads: int, on_done: Callable[[str, Sequence[Failure]], None]) -> Outcome:
        """Do all tasks; one that fails does not stop the others.

        Args:
            threads: Tasks at a time.
            on_done: Called with the name and the failures of each task as it ends, from this thread.

        Returns:
            What is here and what is missing.
        """
        failures: list[Failure] = []
        with ThreadPoolExecutor(threads) as pool:
            futures = {pool.submit(task): name for name, task in self.tasks.items()}
            try:
                for future in as_completed(futures):
                    name = futures[future]
                    found = _outcome(name, future)
                    failures += found
                    on_done(name, found)
            except BaseException:
                self.transfer.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        present = self.folder.present()
        failures += self._in_no_shard(present, {failure.item for failure in failures})
        return Outcome(present, tuple(sorted(failures)))

    def write(self, outcome: Outcome) -> None:
        """Write `failures.csv` and, if any photo is here, `manifest.parquet` into the folder."""
        root = self.folder.root
        if outcome.failures:
            self.folder.report(outcome.failures)
        else:
            (root / FAILURES).unlink(missing_ok=True)
        if len(outcome.present):
            write_present(self.manifest, outcome.present, root / MANIFEST)

    def _in_no_shard(self, present: NDArray[np.uint64], known: set[str]) -> Iterable[Failure]:
        """Photos that nothing accounts for, once every shard is finished."""
        if any(self.folder.finished(shard_name(number)) is None for number in range(SHARDS)):
            return []
        ids = (f"{key:016x}" for key in self.folder.absent(present))
        return [Failure(photo, "it is in none of the finished shards") for photo in ids if photo not in known]


def shard_download(
    manifest: Path, out: Path, form: SmallJpeg, transfer: Transfer, shards: Iterable[int], base_url: str
) -> Download:
    """Fetch the photos of a manifest by the official tar shards.

    Args:
        manifest: Manifest that `prepare` wrote, or some of its rows.
        out: Folder to fill; one that was begun is gone on with.
        form: How photos are stored.
        transfer: Fetches.
        shards: Numbers of the shards, 0 to 499.
        base_url: Address above `train/` and `md5sum/train/`.

    Raises:
        ManifestError: If the manifest cannot be used.
        DownloadError: If the folder was begun with other photos or another form.
        OSError: If the folder cannot be written.
    """
    folder = PhotoFolder(out, photo_keys(manifest), form)
    tasks = {shard_name(n): partial(fetch_shard, n, base_url.rstrip("/"), folder, transfer) for n in shards}
    return Download(manifest, folder, transfer, tasks)


def sample_download(
    manifest: Path, out: Path, form: SmallJpeg, transfer: Transfer, per_country: int, seed: int
) -> Download:
    """Fetch a sample of each country, each photo by its own address. Arguments and errors as in `shard_download`.

    Args:
        manifest: Manifest with the column `url`.
        out: Folder to fill; one that was begun is gone on with.
        form: How photos are stored.
        transfer: Fetches.
        per_country: Most photos of a country.
        seed: Another seed, another sample.
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
