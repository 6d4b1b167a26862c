from __future__ import annotations

import csv
import errno
import hashlib
import io
import tarfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from triovision.errors import ManifestError
from triovision.train.data.gldv2 import download, resize
from triovision.train.data.gldv2.download import Outcome, sample_download, shard_download
from triovision.train.data.gldv2.folder import Failure
from triovision.train.data.gldv2.resize import SmallJpeg
from triovision.train.data.gldv2.selection import photo_keys, sample_urls
from triovision.transfer import Transfer
from triovision.transfer_limits import DownloadError

FORM = SmallJpeg(short_side_px=40)
Shards = Callable[..., Outcome]


def quiet(_name: str, _failures: Sequence[Failure]) -> None:
    """Nobody watches."""


@pytest.fixture
def fetch(mirror: Any, tmp_path: Path) -> Shards:
    """Download shards into `out` and write what belongs beside the photos."""

    def run(manifest: Path, shards: Iterable[int], form: SmallJpeg = FORM, max_bytes: int | None = None) -> Outcome:
        job = shard_download(manifest, tmp_path / "out", form, Transfer(max_bytes), shards, mirror.url)
        outcome = job.run(2, quiet)
        job.write(outcome)
        return outcome

    return run


@pytest.fixture
def three_shards(mirror: Any, jpeg: Any, tar_of: Any, member: Any) -> None:
    """Photos 0 to 11, four a shard."""
    for shard in range(3):
        mirror.add_shard(shard, tar_of({member(n): jpeg(n) for n in range(4 * shard, 4 * shard + 4)}))


def photos(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*.jpg"))


def failures_csv(out: Path) -> list[list[str]]:
    with (out / "failures.csv").open(newline="") as file:
        return list(csv.reader(file))[1:]


@pytest.mark.usefixtures("three_shards")
def test_the_manifests_photos_arrive_small_and_nothing_else_stays(
    fetch: Shards, write_manifest: Any, member: Any, tmp_path: Path
) -> None:
    outcome = fetch(write_manifest(10), range(3))
    out = tmp_path / "out"
    assert outcome.failures == ()
    assert len(outcome.present) == 10
    assert photos(out) == sorted(member(n) for n in range(10))  # 10 and 11 were in the shard and not asked for
    assert not list(out.rglob("*.part*"))
    assert not (out / "failures.csv").exists()
    with Image.open(out / member(3)) as image:
        assert image.size == (60, 40)
    table = pd.read_parquet(out / "manifest.parquet")
    assert sorted(table["file"]) == sorted(member(n) for n in range(10))
    assert set(table["country"]) == {"FR", "NA"}
    assert list(table.columns) == ["file", "country", "lat", "lon", "place", "url"]


@pytest.mark.usefixtures("three_shards")
def test_the_same_command_again_asks_the_server_for_nothing(fetch: Shards, mirror: Any, write_manifest: Any) -> None:
    manifest = write_manifest(12)
    first = fetch(manifest, range(3))
    mirror.requests.clear()
    assert np.array_equal(fetch(manifest, range(3)).present, first.present)
    assert mirror.requests == []


@pytest.mark.usefixtures("three_shards")
def test_a_missing_and_a_corrupt_shard_cost_only_their_own_photos_and_are_tried_again(
    fetch: Shards, mirror: Any, write_manifest: Any, member: Any, tmp_path: Path
) -> None:
    manifest, out = write_manifest(12), tmp_path / "out"
    missing = mirror.files.pop("/train/images_000.tar")
    sound = mirror.files["/train/images_001.tar"]
    mirror.files["/train/images_001.tar"] = sound[:3000] + bytes([sound[3000] ^ 1]) + sound[3001:]
    outcome = fetch(manifest, range(3))
    assert photos(out) == sorted(member(n) for n in range(8, 12))
    assert [failure.item for failure in outcome.failures] == ["images_000", "images_001"]
    (_, first), (_, second) = failures_csv(out)
    assert "404" in first
    assert "MD5" in second
    assert mirror.ranges("/train/images_001.tar") == [None, None]  # from the beginning, once
    mirror.files |= {"/train/images_000.tar": missing, "/train/images_001.tar": sound}
    assert fetch(manifest, range(3)).failures == ()
    assert len(photos(out)) == 12
    assert not (out / "failures.csv").exists()


@pytest.mark.usefixtures("three_shards")
def test_a_shard_cut_for_good_is_resumed_by_the_next_run_at_the_right_byte(
    fetch: Shards, mirror: Any, write_manifest: Any, tmp_path: Path
) -> None:
    manifest, path = write_manifest(12), "/train/images_001.tar"
    mirror.cuts[path] = [0, 0, 0, 0]
    part = tmp_path / "out" / ".download" / "images_001.tar.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(mirror.files[path][:5000])
    (failure,) = fetch(manifest, range(3)).failures
    assert failure.item == "images_001"
    assert "connection failed" in failure.reason
    assert part.stat().st_size == 5000
    assert fetch(manifest, range(3)).failures == ()
    assert mirror.ranges(path) == ["bytes=5000-"] * 5


@pytest.mark.usefixtures("three_shards")
def test_a_part_left_of_another_file_is_thrown_away(
    fetch: Shards, mirror: Any, write_manifest: Any, tmp_path: Path
) -> None:
    part = tmp_path / "out" / ".download" / "images_001.tar.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 5000)
    assert fetch(write_manifest(12), range(3)).failures == ()
    assert mirror.ranges("/train/images_001.tar") == ["bytes=5000-", None]


@pytest.mark.usefixtures("three_shards")
def test_a_byte_budget_stops_and_the_next_run_goes_on(
    fetch: Shards, mirror: Any, write_manifest: Any, tmp_path: Path
) -> None:
    manifest = write_manifest(12)
    sizes = sum(map(len, mirror.files.values()))
    outcome = fetch(manifest, range(3), max_bytes=sizes // 2)
    assert any("budget" in failure.reason for failure in outcome.failures)
    gathered = sum(path.stat().st_size for path in (tmp_path / "out" / ".download").glob("*.part"))
    mirror.requests.clear()
    assert fetch(manifest, range(3)).failures == ()
    assert len(photos(tmp_path / "out")) == 12
    assert gathered == sum(int(header[6:-1]) for _, header in mirror.requests if header)


def test_an_unreadable_photo_is_reported_every_time_and_the_rest_is_kept(
    fetch: Shards, mirror: Any, jpeg: Any, tar_of: Any, member: Any, write_manifest: Any, tmp_path: Path
) -> None:
    mirror.add_shard(0, tar_of({member(0): jpeg(0), member(1): b"no photo", member(2): jpeg(2)}))
    manifest = write_manifest(3)
    for _ in range(2):
        outcome = fetch(manifest, [0])
        assert [f"{failure.item}.jpg" for failure in outcome.failures] == [Path(member(1)).name]
        assert len(outcome.present) == 2
    assert len(failures_csv(tmp_path / "out")) == 1
    assert len(pd.read_parquet(tmp_path / "out" / "manifest.parquet")) == 2


@pytest.mark.usefixtures("three_shards")
def test_photos_that_no_shard_holds_are_told_once_all_are_finished(
    fetch: Shards, photo_id: Any, write_manifest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "SHARDS", 3)
    manifest = write_manifest(13)
    assert fetch(manifest, range(2)).failures == ()
    assert fetch(manifest, range(3)).failures == (Failure(photo_id(12), "not in any shard"),)


def hostile_tar(jpeg: Any, photo_id: Callable[[int], str], victim: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:

        def add(name: str, data: bytes = b"", **fields: object) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            for field, value in fields.items():
                setattr(member, field, value)
            tar.addfile(member, io.BytesIO(data))

        add(f"../../../{photo_id(0)}.jpg", jpeg(0))  # only the id counts
        add(f"/tmp/{photo_id(1)}.jpg", jpeg(1))  # noqa: S108 - must not be written
        add(f"{photo_id(2)}.jpg", type=tarfile.SYMTYPE, linkname=str(victim))
        add(f"x/{photo_id(2)}.jpg", type=tarfile.LNKTYPE, linkname=str(victim))
        add(f"y/{photo_id(2)}.jpg", type=tarfile.FIFOTYPE)
        add(f"z/{photo_id(2)}.jpg", type=tarfile.DIRTYPE)
        add("../../evil.sh", b"#!/bin/sh")
        add(f"{photo_id(0)}.jpg/../../evil.jpg", jpeg(0))
        add(f"{photo_id(3)}.jpg", b"\xff" * 30_000_001)
        add(f"again/{photo_id(0)}.jpg", jpeg(9))  # the first stays
    return buffer.getvalue()


def test_a_hostile_tar_writes_nothing_but_the_wanted_photos(
    fetch: Shards, mirror: Any, jpeg: Any, member: Any, photo_id: Any, write_manifest: Any, tmp_path: Path
) -> None:
    victim = tmp_path / "victim.jpg"
    victim.write_bytes(b"mine")
    mirror.add_shard(0, hostile_tar(jpeg, photo_id, victim))
    manifest = write_manifest(4)
    before = set(tmp_path.rglob("*"))
    (failure,) = fetch(manifest, [0]).failures
    assert failure.item == photo_id(3)
    assert "30.0 MB, more than" in failure.reason
    out = tmp_path / "out"
    assert photos(out) == sorted([member(0), member(1)])
    assert {path for path in tmp_path.rglob("*") if out not in path.parents} == before | {out}
    assert victim.read_bytes() == b"mine"
    SmallJpeg(40).save(jpeg(0), tmp_path / "first.jpg")
    assert (out / member(0)).read_bytes() == (tmp_path / "first.jpg").read_bytes()


@pytest.mark.parametrize("damage", [lambda tar: tar[: len(tar) // 2], lambda _: b"no tar at all" * 100])
def test_a_shard_that_is_no_sound_tar_is_a_failure(
    fetch: Shards,
    mirror: Any,
    jpeg: Any,
    tar_of: Any,
    member: Any,
    write_manifest: Any,
    damage: Callable[[bytes], bytes],
) -> None:
    mirror.add_shard(0, damage(tar_of({member(0): jpeg(0), member(1): jpeg(1, 300, 200)})))
    (failure,) = fetch(write_manifest(2), [0]).failures
    assert failure.item == "images_000"
    assert "not a valid tar" in failure.reason


def test_a_strange_checksum_file_is_a_failure(fetch: Shards, mirror: Any, tar_of: Any, write_manifest: Any) -> None:
    mirror.add_shard(0, tar_of({}))
    mirror.files["/md5sum/train/md5.images_000.txt"] = b"<html>"
    (failure,) = fetch(write_manifest(2), [0]).failures
    assert "has no MD5" in failure.reason


@pytest.mark.usefixtures("three_shards")
def test_a_full_disk_is_counted_and_the_same_command_mends_it(
    fetch: Shards, write_manifest: Any, photo_id: Any, monkeypatch: pytest.MonkeyPatch, mirror: Any, tmp_path: Path
) -> None:
    manifest, atomic_write = write_manifest(12), resize.atomic_write

    def full(path: Path, data: bytes) -> None:
        if path.stem == photo_id(5):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        atomic_write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(resize, "atomic_write", full)
        outcome = fetch(manifest, range(3))
    (failure,) = outcome.failures
    assert failure.item == "images_001"
    assert "No space left" in failure.reason
    assert len(outcome.present) >= 8
    assert fetch(manifest, range(3)).failures == ()
    assert len(photos(tmp_path / "out")) == 12
    assert mirror.ranges("/train/images_001.tar")[1:] == [f"bytes={len(mirror.files['/train/images_001.tar'])}-"]


@pytest.mark.usefixtures("three_shards")
def test_a_folder_begun_otherwise_is_refused(fetch: Shards, write_manifest: Any, tmp_path: Path) -> None:
    fetch(write_manifest(12), [0])
    with pytest.raises(DownloadError, match=r"another short_side_px.*--out"):
        fetch(write_manifest(12), [0], SmallJpeg(50))
    with pytest.raises(DownloadError, match="another photos"):
        fetch(write_manifest(11), [0])
    (tmp_path / "out" / ".download" / "settings.json").write_text("{")
    with pytest.raises(DownloadError, match="damaged"):
        fetch(write_manifest(12), [0])


def serve_photos(mirror: Any, jpeg: Any, photos: int) -> None:
    mirror.files |= {f"/photo/{n}.jpg": jpeg(n) for n in range(photos)}


def sampled(manifest: Path, out: Path, per_country: int) -> Outcome:
    job = sample_download(manifest, out, FORM, Transfer(), per_country, seed=0)
    outcome = job.run(3, quiet)
    job.write(outcome)
    return outcome


def test_a_sample_brings_so_many_photos_of_each_country(
    mirror: Any, jpeg: Any, write_manifest: Any, tmp_path: Path
) -> None:
    serve_photos(mirror, jpeg, 20)
    outcome = sampled(write_manifest(20, ("FR", "NA", "FR", "FR"), mirror.url), tmp_path / "out", 6)
    assert outcome.failures == ()
    table = pd.read_parquet(tmp_path / "out" / "manifest.parquet")
    assert table["country"].value_counts().to_dict() == {"FR": 6, "NA": 5}  # there are only 5 of NA
    assert photos(tmp_path / "out") == sorted(table["file"])


def test_a_larger_sample_holds_the_smaller_and_a_seed_is_for_ever(write_manifest: Any) -> None:
    manifest = write_manifest(60)
    small, large, other = (set(sample_urls(manifest, n, seed)) for n, seed in ((5, 0), (9, 0), (5, 1)))
    assert (len(small), len(large)) == (10, 18)
    assert small < large
    assert small != other
    ids = pd.read_parquet(manifest)["file"].str[6:22]
    for country in (ids[::2], ids[1::2]):  # the smallest MD5 of "0 " and the id, on any machine
        first = sorted(country, key=lambda i: hashlib.md5(f"0 {i}".encode(), usedforsecurity=False).hexdigest())[:5]
        assert {int(i, 16) for i in first} < small


def test_photos_that_are_gone_or_broken_are_counted_and_tried_again(
    mirror: Any, jpeg: Any, write_manifest: Any, photo_id: Any, tmp_path: Path
) -> None:
    serve_photos(mirror, jpeg, 6)
    manifest, out = write_manifest(6, ("FR",), mirror.url), tmp_path / "out"
    gone, mirror.files["/photo/2.jpg"] = mirror.files.pop("/photo/1.jpg"), b"<html>moved</html>"
    mirror.cuts["/photo/3.jpg"] = [100, 100]
    outcome = sampled(manifest, out, 6)
    assert sorted(failure.item for failure in outcome.failures) == sorted([photo_id(1), photo_id(2)])
    reasons = dict(failures_csv(out))
    assert "404" in reasons[photo_id(1)]
    assert "web page" in reasons[photo_id(2)]
    assert len(outcome.present) == 4
    mirror.files |= {"/photo/1.jpg": gone, "/photo/2.jpg": jpeg(2)}
    mirror.requests.clear()
    assert sampled(manifest, out, 6).failures == ()
    assert sorted(path for path, _ in mirror.requests) == ["/photo/1.jpg", "/photo/2.jpg"]


def test_a_part_of_the_manifest_in_another_form_will_do(write_manifest: Any, tmp_path: Path) -> None:
    table = pd.read_parquet(write_manifest(6))
    some = table[table["country"] == "NA"]
    some.to_csv(tmp_path / "some.csv", index=False)
    some.to_parquet(tmp_path / "some.parquet")
    assert len(photo_keys(tmp_path / "some.csv")) == 3
    assert np.array_equal(photo_keys(tmp_path / "some.csv"), photo_keys(tmp_path / "some.parquet"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,land\na.jpg,FR\n", "lacks the column.* country"),
        ("file,country\n", "has no rows"),
        ("file,country\nphotos/a.jpg,FR\n", r"photos/a\.jpg' is not a photo of Google Landmarks"),
        ("file,country\n../0/0/0/0000000000000001.jpg,FR\n", "is not a photo of Google Landmarks"),
        ("file,country\n0/0/0/0000000000000001.jpg,FR\n", "lacks the column.* url"),
    ],
)
def test_a_manifest_of_something_else_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(ManifestError, match=words):
        sample_urls(tmp_path / "manifest.csv", 1, 0) if "url" in words else photo_keys(tmp_path / "manifest.csv")


def test_a_missing_or_damaged_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot be read"):
        photo_keys(tmp_path / "gone.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match="cannot be read"):
        photo_keys(tmp_path / "empty")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1" * 100)
    with pytest.raises(ManifestError, match="cannot be read"):
        photo_keys(tmp_path / "bad.parquet")
