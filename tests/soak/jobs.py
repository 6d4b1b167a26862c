"""Commands whose files are compared between an undisturbed run and disturbed ones."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from tests.soak.command_process import CommandProcess, Ended

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
        self.out.mkdir(exist_ok=True)
        for path in self.out.iterdir():  # the folder itself may be a mounted disk
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        if self.prepare is not None:
            self.prepare()

    def run(self, commands: CommandProcess, kill_after_s: float | None = None) -> Ended:
        """Run the command; its output goes into a file beside the folder."""
        log = self.out.with_name("log")
        return commands.run(*self.arguments, log=log, kill_after_s=kill_after_s, env=self.env, model=self.model)

    @property
    def name(self) -> str:
        """First words of the command."""
        return " ".join(str(argument) for argument in self.arguments[:3] if not isinstance(argument, Path))

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
