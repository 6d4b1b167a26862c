"""Installation from a local hub: cut, slow, wrong or absent files, full disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from triovision.errors import ModelError
from triovision.inference.card import CARD, ModelCard, read_card
from triovision.inference.geoclip import release
from triovision.inference.geoclip.installation import install
from triovision.inference.registry import file_faults
from triovision.transfer import Transfer
from triovision.transfer_limits import DownloadError


class Hub(NamedTuple):
    mirror: Any
    card: ModelCard
    paths: dict[str, str]

    def file(self, name: str) -> bytes:
        return self.mirror.files[self.paths[name]]


@pytest.fixture
def hub(mirror: Any, hub_files: Path, tiny_card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setenv("HF_ENDPOINT", f"{mirror.url}/")
    named = release.release_of(tiny_card)
    paths = {file.name: f"/{named.repository}/resolve/{named.revision}/{file.name}" for file in named.files}
    for name, path in paths.items():
        mirror.files[path] = (hub_files / name).read_bytes()
    return Hub(mirror, tiny_card, paths)


@pytest.fixture
def told() -> list[tuple[int, int]]:
    return []


@pytest.fixture
def bring(hub: Hub, tmp_path: Path, told: list[tuple[int, int]]) -> Callable[..., Path]:
    def go(**arguments: Any) -> Path:
        return install(hub.card, tmp_path / "models", lambda *progress: told.append(progress), **arguments)

    return go


def test_it_brings_every_file_and_tells_how_far_it_is(
    bring: Callable[..., Path], hub: Hub, tmp_path: Path, told: list[tuple[int, int]]
) -> None:
    folder = bring()
    assert folder == tmp_path / "models" / "geoclip.mp16"
    assert {path.name for path in folder.iterdir()} == {CARD, *hub.paths}
    assert all((folder / name).read_bytes() == hub.file(name) for name in hub.paths)
    assert read_card(folder) == hub.card
    total = sum(len(hub.file(name)) for name in hub.paths)
    assert told[-1] == (total, total)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert {path.name for path in (tmp_path / "models").iterdir()} == {"geoclip.mp16", ".geoclip.mp16.lock"}


def test_an_installed_model_is_not_touched_again(bring: Callable[..., Path], hub: Hub) -> None:
    folder = bring()
    before = folder.stat()
    hub.mirror.requests.clear()
    assert bring() == folder
    assert folder.stat() == before  # it was not renamed, which a full disk could have made a loss
    assert not hub.mirror.requests


def test_ten_interruptions_cost_no_byte_twice(bring: Callable[..., Path], hub: Hub) -> None:
    path, data = hub.paths["model.safetensors"], hub.file("model.safetensors")
    hub.mirror.cuts[path] = [len(data) // 20] * 10
    transfer = Transfer()
    folder = bring(transfer=transfer)
    assert (folder / "model.safetensors").read_bytes() == data
    assert len(hub.mirror.ranges(path)) == 11
    assert transfer.received_bytes == sum(len(hub.file(name)) for name in hub.paths)


def test_a_kill_leaves_what_the_next_call_goes_on_with(bring: Callable[..., Path], hub: Hub, tmp_path: Path) -> None:
    path, data = hub.paths["model.safetensors"], hub.file("model.safetensors")

    class Killed(BaseException):
        """As Ctrl-C is."""

    def on_progress(done: int, total: int) -> None:
        if done > total // 2:
            raise Killed

    with pytest.raises(Killed):
        install(hub.card, tmp_path / "models", on_progress)
    assert not (tmp_path / "models" / "geoclip.mp16").exists()
    part = tmp_path / "models" / ".geoclip.mp16.part" / "model.safetensors.part"
    kept = part.stat().st_size
    assert 0 < kept < len(data)
    folder = bring()
    assert hub.mirror.ranges(path) == [None, f"bytes={kept}-"]
    assert (folder / "model.safetensors").read_bytes() == data
    assert all(len(hub.mirror.ranges(hub.paths[name])) == 1 for name in hub.paths if name != "model.safetensors")


def test_a_wrong_file_is_thrown_away_and_the_next_call_takes_the_right_one(
    bring: Callable[..., Path], hub: Hub, tmp_path: Path
) -> None:
    path, right = hub.paths["config.json"], hub.file("config.json")
    hub.mirror.files[path] = right.replace(b"clip", b"CLIP")
    with pytest.raises(DownloadError, match=r"config\.json.*SHA-256.*was deleted"):
        bring()
    assert not (tmp_path / "models" / "geoclip.mp16").exists()
    hub.mirror.files[path] = right
    assert (bring() / "config.json").read_bytes() == right


@pytest.mark.parametrize("size", [-10, 10])
def test_a_file_of_another_size_is_refused(bring: Callable[..., Path], hub: Hub, size: int) -> None:
    path, right = hub.paths["config.json"], hub.file("config.json")
    hub.mirror.files[path] = right[:size] if size < 0 else right + b"x" * size
    with pytest.raises(DownloadError, match=r"config\.json"):
        bring()
    hub.mirror.files[path] = right
    assert (bring() / "config.json").read_bytes() == right


def test_a_missing_file_and_a_missing_network_say_what_to_do(
    bring: Callable[..., Path], hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    remedy = r"Check the network.*HF_ENDPOINT.*embedded model keeps working"
    del hub.mirror.files[hub.paths["config.json"]]
    with pytest.raises(DownloadError, match=rf"config\.json.*404.*{remedy}"):
        bring()
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DownloadError, match=rf"127\.0\.0\.1:9/.*Connection refused.*{remedy}"):
        bring()


def test_a_disk_without_room_is_noticed_before_the_first_byte(
    bring: Callable[..., Path], hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = sum(len(hub.file(name)) for name in hub.paths)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=needed - 1))
    with pytest.raises(ModelError, match=r"GB free.*TRIOVISION_MODELS"):
        bring()
    assert not hub.mirror.requests
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=needed))
    bring()


def test_a_damaged_model_is_mended_with_the_damaged_file_only(bring: Callable[..., Path], hub: Hub) -> None:
    folder = bring()
    (folder / "config.json").write_text("{}")
    hub.mirror.requests.clear()
    assert bring() == folder
    assert [path for path, _ in hub.mirror.requests] == [hub.paths["config.json"]]
    assert (folder / "config.json").read_bytes() == hub.file("config.json")


def test_two_calls_at_once_do_not_disturb_each_other(bring: Callable[..., Path], hub: Hub, tmp_path: Path) -> None:
    def on_progress(*_: int) -> None:
        with pytest.raises(ModelError, match="another process"):
            bring()

    install(hub.card, tmp_path / "models", on_progress)


def test_a_folder_that_cannot_be_made_is_named(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ModelError, match=r"file.*cannot be written.*TRIOVISION_MODELS"):
        install(hub.card, tmp_path / "file", print)


def test_faults_name_each_file_that_is_not_right(
    write_worldwide: Callable[[Path], Path], write_tiny_model: Callable[..., Path], tmp_path: Path
) -> None:
    folder = write_worldwide(tmp_path)
    assert list(file_faults(folder, read_card(folder))) == []
    (folder / "config.json").write_text("{}")
    (folder / "preprocessor_config.json").unlink()
    found = [str(fault) for fault in file_faults(folder, read_card(folder))]
    assert len(found) == 2
    assert "config.json: has SHA-256" in found[0]
    assert "preprocessor_config.json: cannot be read" in found[1]
    embedded = write_tiny_model(tmp_path)
    assert list(file_faults(embedded, read_card(embedded))) == []
    (embedded / "weights.safetensors").write_bytes(b"")
    assert len(list(file_faults(embedded, read_card(embedded)))) == 1


def test_a_missing_extra_is_one_more_fault(
    write_worldwide: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_worldwide(tmp_path)
    (folder / "config.json").write_text("{}")

    def absent() -> Path:
        raise ModelError("geoclip", "is not installed", release.EXTRA)

    monkeypatch.setattr(release, "package_folder", absent)
    found = [str(fault) for fault in file_faults(folder, read_card(folder))]
    assert len(found) == 2
    assert "config.json" in found[0]
    assert "requirements-geoclip" in found[1]


def test_the_released_card_is_whole() -> None:
    card = release.released_card()
    named = release.release_of(card)
    weights = {file.name: file.sha256 for file in named.files}["model.safetensors"]
    assert weights == card.weights_sha256
    assert set(named.package_files) == {
        release.LOCATION_WEIGHTS,
        release.PROJECTION_WEIGHTS,
        release.SCALE,
        release.GALLERY,
    }
    # Nothing was fitted, so nothing may act: no scaling, no silence, no promise about the set.
    calibration = card.calibration
    assert (calibration.temperature, calibration.abstention_threshold, calibration.conformal_coverage) == (1, 0, 0)


@pytest.mark.parametrize("broken", [{}, {"repository": "../..", "revision": "main", "files": [], "package_files": {}}])
def test_a_card_without_its_files_is_refused(broken: dict[str, Any]) -> None:
    card = release.released_card().model_copy(update={"architecture_args": broken})
    with pytest.raises(ModelError, match=r"geoclip\.mp16.*does not name its files"):
        release.release_of(card)
