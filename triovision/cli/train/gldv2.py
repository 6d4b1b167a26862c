"""Commands that build the manifest of Google Landmarks v2 and download its photos."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from tqdm import tqdm

from triovision.cli.train.options import FILE, FOLDER

if TYPE_CHECKING:
    import stamina

    from triovision.train.data.gldv2.download import Download, Outcome
    from triovision.train.data.gldv2.folder import Failure
    from triovision.train.data.gldv2.tables import JoinReport

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


class _Bytes(click.ParamType[int]):
    """A number of bytes such as `800M` or `1.5G`, units of 1000."""

    name = "bytes"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)B?", str(value).upper())
        if not match or not float(match[1]):
            self.fail(f"{value!r} is not a number of bytes such as 800M or 1.5G.", param, ctx)
        return int(float(match[1]) * _UNITS[match[2]])


class _Shards(click.ParamType[range]):
    """A range of shards such as `0-499`, or one shard."""

    name = "first-last"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> range:
        from triovision.train.data.gldv2.shards import SHARDS  # noqa: PLC0415 - `--help` must not wait for it

        match = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", str(value))
        if not match or not int(match[1]) <= int(match[2] or match[1]) < SHARDS:
            self.fail(f"{value!r} is not a range of shards such as 0-{SHARDS - 1}.", param, ctx)
        return range(int(match[1]), int(match[2] or match[1]) + 1)


@click.group()
def gldv2() -> None:
    """Google Landmarks v2: 4.1 million photos."""


@gldv2.command()
@click.option("--metadata", required=True, type=FOLDER, help="Folder of train.csv and the three other tables.")
@click.option("--places", required=True, type=FILE, help="CSV: landmark_id, lat, lon, country.")
@click.option("--out", required=True, type=FOLDER, help="Folder of the manifest.")
@click.option("--all-photos", is_flag=True, help="Keep photos outside train_clean.csv too.")
@click.option("--force", is_flag=True, help="Replace an earlier manifest.")
def prepare(metadata: Path, places: Path, out: Path, all_photos: bool, force: bool) -> None:
    """Join the official metadata with a table of places into a manifest of Parquet files.

    \b
    Examples:
      triovision train gldv2 prepare --metadata meta --places meta/places.csv --out gldv2
      triovision train gldv2 prepare --metadata meta --places meta/places.csv --out gldv2 --all-photos --force
    """  # noqa: D301 - click reads the escape
    from triovision.train.data.gldv2.tables import prepare as join  # noqa: PLC0415 - `--help` must not wait for it

    for line in _report(join(metadata, places, out, all_photos=all_photos, force=force)):
        click.echo(line)
    click.echo(f"wrote {out}")


@gldv2.command()
@click.option(
    "--manifest", required=True, type=click.Path(path_type=Path), help="Manifest of `prepare`, or some of its rows."
)
@click.option("--out", required=True, type=FOLDER, help="Folder of the photos.")
@click.option("--shards", type=_Shards(), default="0-499", help="Shards to download, about 1 GB each.")
@click.option(
    "--per-country", type=click.IntRange(min=1), help="Size of a sample per country, each photo from its own URL."
)
@click.option("--seed", type=int, default=0, help="Seed of the sample.")
@click.option("--short-side", type=click.IntRange(32, 2048), default=256, help="Pixels of the shorter side.")
@click.option("--quality", type=click.IntRange(1, 95), default=85, help="JPEG quality.")
@click.option("--max-bytes", type=_Bytes(), help="Largest number of bytes to download now, such as 20G.")
@click.option("--threads", type=click.IntRange(1, 64), default=4, help="Downloads at a time.")
@click.option("--base-url", default="https://s3.amazonaws.com/google-landmark", help="Server of the tar files.")
def download(  # noqa: PLR0913, PLR0917 - click passes each option as an argument
    manifest: Path,
    out: Path,
    shards: range,
    per_country: int | None,
    seed: int,
    short_side: int,
    quality: int,
    max_bytes: int | None,
    threads: int,
    base_url: str,
) -> None:
    """Download and resize the photos of a manifest. Stop it at any time; the same command resumes it.

    The exit status is 0 if all photos are present, 1 if any is missing (see failures.csv), 2 for wrong usage.

    \b
    Examples:
      triovision train gldv2 download --manifest gldv2 --out photos --per-country 200
      triovision train gldv2 download --manifest gldv2 --out photos --shards 0-9 --max-bytes 5GB
    """  # noqa: D301 - click reads the escape
    from triovision.train.data.gldv2 import download as d  # noqa: PLC0415 - `--help` must not wait for it
    from triovision.train.data.gldv2.resize import SmallJpeg  # noqa: PLC0415
    from triovision.transfer import Transfer  # noqa: PLC0415
    from triovision.transfer_limits import DownloadError  # noqa: PLC0415

    transfer, form = Transfer(max_bytes), SmallJpeg(short_side, quality)
    try:
        if per_country is None:
            fetch = d.shard_download(manifest, out, form, transfer, shards, base_url)
        else:
            fetch = d.sample_download(manifest, out, form, transfer, per_country, seed)
        outcome = _run(fetch, threads)
        fetch.write(outcome)
    except OSError as exc:
        reason = f"cannot be written ({exc.strerror})"
        raise DownloadError(str(exc.filename or out), reason, "Free disk space and repeat the command") from exc
    sys.exit(1 if outcome.failures else 0)


def _run(fetch: Download, threads: int) -> Outcome:
    """Run a download with a progress bar and print the outcome."""
    from stamina.instrumentation import set_on_retry_hooks  # noqa: PLC0415 - `--help` must not wait for it

    from triovision.transfer import root_cause  # noqa: PLC0415

    with tqdm(total=len(fetch.tasks), unit="item", disable=None) as bar:

        def log(line: str) -> None:
            with tqdm.external_write_mode(file=sys.stderr):
                click.echo(line, err=True)

        def on_retry(details: stamina.instrumentation.RetryDetails) -> None:
            log(f"trying again in {details.wait_for:.0f} s: {root_cause(details.caused_by)}")

        def on_done(name: str, failures: Sequence[Failure]) -> None:
            for failure in failures:
                log(
                    f"{name}: {failure.reason}" if failure.item == name else f"{name}, {failure.item}: {failure.reason}"
                )
            bar.set_postfix_str(f"{fetch.transfer.received_bytes / 1e9:.2f} GB received", refresh=False)
            bar.update()

        set_on_retry_hooks([on_retry])
        try:
            outcome = fetch.run(threads, on_done)
        finally:
            set_on_retry_hooks(None)
    present, received = len(outcome.present), fetch.transfer.received_bytes / 1e6
    click.echo(f"{present:,} of {len(fetch.folder):,} photos are in {fetch.folder.root}; received {received:,.1f} MB")
    if outcome.failures:
        click.echo(f"{len(outcome.failures):,} shards or photos are missing: see {fetch.folder.root / 'failures.csv'}")
    return outcome


def _report(report: JoinReport) -> Iterator[str]:
    yield f"{report.read:>12,} photos in train.csv"
    for reason, photos in report.dropped.items():
        yield f"{-photos:>12,} {reason}"
    yield f"{report.kept:>12,} kept: {report.landmarks:,} landmarks in {report.countries:,} countries"
    if report.unattributed:
        yield f"{report.unattributed:>12,} of them without author and licence (not in train_attribution.csv)"
    for file, lines in report.unreadable_lines.items():
        yield f"{lines:>12,} lines of {file} are damaged and were skipped"
