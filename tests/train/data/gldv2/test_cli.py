from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from triovision.cli import main

ROOT = Path(__file__).resolve().parents[4]
#: The command line of another process, with what the fixture `loopback` does in this one.
TO_THIS_MACHINE = """
from triovision import transfer_limits
from triovision.cli import main
transfer_limits.LIMITS = transfer_limits.TransferLimits(allowed=lambda address: address.is_loopback)
main()
"""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["train", "gldv2", *map(str, arguments)])


@pytest.fixture
def shards(mirror: Any, jpeg: Any, tar_of: Any, member: Any) -> None:
    for shard in range(2):
        mirror.add_shard(shard, tar_of({member(n): jpeg(n, 300, 200) for n in range(6 * shard, 6 * shard + 6)}))


@pytest.mark.usefixtures("shards")
def test_killed_in_the_middle_it_goes_on_where_it_was(
    mirror: Any, write_manifest: Any, member: Any, tmp_path: Path
) -> None:
    path, out = "/train/images_001.tar", tmp_path / "out"
    half = len(mirror.files[path]) // 2
    mirror.holds[path] = half
    download = ["download", "--manifest", write_manifest(12), "--out", out, "--shards", "0-1", "--base-url", mirror.url]
    arguments = [sys.executable, "-c", TO_THIS_MACHINE, "train", "gldv2", *map(str, download), "--threads", "1"]
    with subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        assert mirror.held.wait(120)
        part = out / ".download" / "images_001.tar.part"
        while not (part.exists() and part.stat().st_size):  # what came before the hold is not yet all on the disk
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    mirror.release.set()
    assert not (out / "manifest.parquet").exists()
    left = part.stat().st_size
    assert 0 < left <= half
    mirror.requests.clear()
    result = run(*download)
    assert result.exit_code == 0, result.output
    assert "12 of 12 photos" in result.output
    assert mirror.requests == [("/md5sum/train/md5.images_001.txt", None), (path, f"bytes={left}-")]
    assert sorted(pd.read_parquet(out / "manifest.parquet")["file"]) == sorted(member(n) for n in range(12))


@pytest.mark.usefixtures("shards")
def test_what_is_missing_shows_in_the_exit_status(mirror: Any, write_manifest: Any, tmp_path: Path) -> None:
    result = run(
        "download",
        "--manifest",
        write_manifest(12),
        "--out",
        tmp_path / "out",
        "--shards",
        "0-2",
        "--base-url",
        mirror.url,
    )
    assert result.exit_code == 1
    assert "12 of 12 photos are in" in result.stdout
    assert "1 shards or photos are missing: see" in result.stdout
    assert "images_002" in result.stderr
    assert "404" in result.stderr


def test_a_sample_by_address(mirror: Any, jpeg: Any, write_manifest: Any, tmp_path: Path) -> None:
    mirror.files |= {f"/photo/{n}.jpg": jpeg(n) for n in range(10)}
    manifest = write_manifest(10, ("FR", "NA"), mirror.url)
    result = run("download", "--manifest", manifest, "--out", tmp_path / "out", "--per-country", 2)
    assert result.exit_code == 0
    assert "4 of 4 photos" in result.stdout
    short = run("download", "--manifest", manifest, "--out", tmp_path / "few", "--per-country", 2, "--max-bytes", "1K")
    assert short.exit_code == 1
    assert "budget" in short.stderr


@pytest.mark.parametrize(
    ("option", "value"),
    [("--max-bytes", "much"), ("--max-bytes", "0"), ("--shards", "7-3"), ("--shards", "0-500"), ("--quality", "100")],
)
def test_wrong_options_are_refused(option: str, value: str) -> None:
    result = run("download", "--manifest", "m", "--out", "o", option, value)
    assert result.exit_code == 2
    assert value in result.stderr


def test_a_folder_that_cannot_be_written_is_named(write_manifest: Any, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    manifest = write_manifest(2)
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / ".download").write_text("a file")
    result = run("download", "--manifest", manifest, "--out", tmp_path / "blocked")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


def test_prepare_reports_each_step(tmp_path: Path) -> None:
    i = "0123456789abcdef"
    (tmp_path / "train.csv").write_text(f"id,url,landmark_id\n{i},http://x/y.jpg,1\n{'f' * 16},http://x/z.jpg,1\n")
    (tmp_path / "train_clean.csv").write_text(f"landmark_id,images\n1,{i}\n")
    (tmp_path / "train_label_to_category.csv").write_text("landmark_id,category\n1,http://c/Category:Tower\n")
    (tmp_path / "train_attribution.csv").write_text("id,url,author,license,title\n")
    (tmp_path / "places.csv").write_text("landmark_id,lat,lon,country\n1,2,3,FR\n")
    arguments = ["prepare", "--metadata", tmp_path, "--places", tmp_path / "places.csv", "--out", tmp_path / "out"]
    result = run(*arguments)
    assert result.exit_code == 0
    assert [line.split(maxsplit=1) for line in result.stdout.splitlines()[:-1]] == [
        ["2", "photos in train.csv"],
        ["-1", "not in train_clean.csv"],
        ["1", "kept: 1 landmarks in 1 countries"],
        ["1", "of them without author and licence (not in train_attribution.csv)"],
    ]
    again = run(*arguments)
    assert again.exit_code == 2
    assert "--force" in again.stderr
    assert run(*arguments, "--force").exit_code == 0
