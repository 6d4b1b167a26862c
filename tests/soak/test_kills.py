"""Commands that are killed at random moments and repeated end with the files of an undisturbed one.

Each kill falls at a random moment of the time that the undisturbed command took; what is left to do shrinks from
repetition to repetition, so that some end before their moment, and begin anew in an empty folder.
"""

from __future__ import annotations

import hashlib
import io
import random
import re
import shutil
import signal
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tests.soak.command_process import CommandProcess, Ended
from triovision.inference.card import ModelCard

#: Logs of a run: times of the day, and a folder for each time that it was resumed.
LOGS = re.compile(r"run/logs/.*")


@dataclass
class Job:
    """A command whose files are compared.

    Attributes:
        arguments: Of the command line.
        out: Folder of all files that it writes.
        env: Variables to set.
        model: Card and package of a model to install.
        prepare: Writes what the command finds in `out`.
    """

    arguments: tuple[object, ...]
    out: Path
    env: dict[str, str] = field(default_factory=dict)
    model: tuple[Path, Path] | None = None
    prepare: Callable[[], object] | None = None

    def fresh(self) -> None:
        """Empty the folder."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir()
        if self.prepare is not None:
            self.prepare()

    def hashes(self) -> dict[str, str]:
        """Hashes of all files but logs."""
        files = sorted(path for path in self.out.rglob("*") if path.is_file())
        names = {str(path.relative_to(self.out)): path for path in files}
        return {name: file_hash(path) for name, path in names.items() if not LOGS.fullmatch(name)}


def file_hash(path: Path) -> str:
    """SHA-256 of a file; of a checkpoint, that of its weights, optimiser and step, because it also counts batches."""
    if path.suffix != ".ckpt":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    checkpoint = torch.load(path, weights_only=True)
    parts = [checkpoint[part] for part in ("epoch", "global_step", "state_dict", "optimizer_states")]
    return hashlib.sha256("".join(described(part) for part in parts).encode()).hexdigest()


def described(value: object) -> str:
    """Text of a value with all numbers of its tensors."""
    if isinstance(value, torch.Tensor):
        return f"{value.dtype} {tuple(value.shape)} {value.contiguous().view(-1).tolist()}"
    if isinstance(value, dict):
        return str([(key, described(entry)) for key, entry in value.items()])
    if isinstance(value, list | tuple):
        return str([described(entry) for entry in value])
    return repr(value)


@pytest.fixture(scope="module")
def commands() -> Iterator[CommandProcess]:
    with CommandProcess() as process:
        yield process


def kill_often(commands: CommandProcess, job: Job, kills: int, seed: int, log: Path) -> None:
    def run(kill_after_s: float | None = None) -> Ended:
        return commands.run(*job.arguments, log=log, kill_after_s=kill_after_s, env=job.env, model=job.model)

    job.fresh()
    whole = run()
    assert whole.status == 0, whole.output
    expected = job.hashes()
    moments, killed, parts, rounds = random.Random(seed), 0, 0, 0  # noqa: S311 - moments, not secrets
    while killed < kills:
        job.fresh()
        rounds += 1
        for _ in range(5):  # kills of one folder at most; then it is to end
            ended = run(moments.uniform(0, whole.seconds) if killed < kills else None)
            assert ended.orphans == 0
            if ended.status != -signal.SIGKILL:
                break
            killed += 1
            parts += sum(path.suffix == ".part" for path in job.out.rglob("*"))
        else:
            ended = run()
        assert ended.status == 0, ended.output
        assert job.hashes() == expected
    name = " ".join(str(argument) for argument in job.arguments[:3] if not isinstance(argument, Path))
    print(f"{name}: {killed} kills in {rounds} folders left {parts} parts, the repeated command none; same hashes")


@pytest.fixture
def training(colours: Path, tmp_path: Path) -> Job:
    out = tmp_path / "out"
    arguments = ("train", "run", colours / "tiny.toml", "--manifest", colours / "manifest.csv", "--out", out / "run")
    return Job((*arguments, "--workers", 0, "--accelerator", "cpu", "--save-every", 1), out)


@pytest.fixture
def manifest(tmp_path: Path, long_form: bool) -> Job:
    out, workers = tmp_path / "out", 2 if long_form else 0  # a worker takes seconds to start

    def prepare() -> None:
        noise = np.random.default_rng(0)
        for number in range(200):
            path = out / ("FR", "Japan")[number % 2] / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(noise.integers(0, 256, (80, 100, 3), dtype=np.uint8)).save(path)
        (out / "FR" / "broken.jpg").write_bytes(b"\xff\xd8\xff")

    arguments = ("train", "manifest", out, "--out", out / "manifest.parquet", "--workers", workers, "--force")
    return Job(arguments, out, prepare=prepare)


@pytest.fixture
def landmarks(mirror: Any, tmp_path: Path) -> Job:
    noise, rows = np.random.default_rng(0), []
    for shard in range(2):
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            for number in range(40 * shard, 40 * shard + 40):
                name = f"{number % 16:x}{number * 7919 + 1:015x}"
                member = tarfile.TarInfo(f"{name[0]}/{name[1]}/{name[2]}/{name}.jpg")
                jpeg = io.BytesIO()
                pixels = noise.integers(0, 256, (30, 40, 3), dtype=np.uint8)
                Image.fromarray(pixels).resize((400, 300)).save(jpeg, "JPEG")
                member.size = jpeg.tell()
                archive.addfile(member, io.BytesIO(jpeg.getvalue()))
                place = {"country": "FR", "lat": 1.5, "lon": 2.5, "place": f"place {number}"}
                rows.append({"file": member.name, **place, "url": ""})
        path = mirror.add_shard(shard, tar.getvalue())
        mirror.rates[path] = len(tar.getvalue()) / 1.0  # so that kills fall into the download
    (tmp_path / "manifest").mkdir()
    pd.DataFrame(rows).to_parquet(tmp_path / "manifest" / "part-000.parquet")
    out = tmp_path / "out"
    arguments = ("train", "gldv2", "download", "--manifest", tmp_path / "manifest", "--out", out, "--shards", "0-1")
    return Job((*arguments, "--base-url", mirror.url, "--threads", 1), out)


@pytest.fixture
def installation(hub: Any, tiny_card: ModelCard, package: Path, tmp_path: Path) -> Job:
    card, out = tmp_path / "card.json", tmp_path / "out"
    card.write_text(tiny_card.model_dump_json(), encoding="utf-8")
    hub.rates = {path: len(data) / 0.3 for path, data in hub.files.items()}
    env = {"HF_ENDPOINT": hub.url, "TRIOVISION_MODELS": str(out / "models"), "XDG_CACHE_HOME": str(out / "cache")}
    return Job(("models", "install", "geoclip"), out, env, (card, package))


@pytest.mark.parametrize(("seed", "name"), list(enumerate(["training", "manifest", "landmarks", "installation"])))
def test_killed_commands_end_with_the_files_of_undisturbed_ones(
    commands: CommandProcess, seed: int, name: str, request: pytest.FixtureRequest, tmp_path: Path, long_form: bool
) -> None:
    job = request.getfixturevalue(name)
    kill_often(commands, job, 20 if long_form else 3, seed, tmp_path / "log")
