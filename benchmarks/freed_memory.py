"""Speed of training steps that keep freed memory in the process, as a ratio to steps that return it to the system."""

from __future__ import annotations

import subprocess
import sys
import time

import timm
import torch
from torch.nn import functional as F

from triovision.train.engine.trainer import keep_freed_memory

BATCH, SIDE_PX, SECONDS, ROUNDS = 64, 160, 15, 2


def photos_per_s() -> float:
    """Photos a second of plain training steps on one batch in memory."""
    network = timm.create_model("tf_efficientnet_lite0", num_classes=62).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), 1e-4)
    batch_nchw = torch.randn(BATCH, 3, SIDE_PX, SIDE_PX).to(memory_format=torch.channels_last)
    target = torch.randint(0, 62, (BATCH,))

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.cross_entropy(network(batch_nchw).float(), target)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    step()
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        step()
        steps += 1
    return BATCH * steps / (time.perf_counter() - start)


def in_own_process(name: str) -> float:
    """Photos a second in a new process whose freed memory is `returned` to the system or `kept`."""
    child = [sys.executable, "-m", "benchmarks.freed_memory", name]
    return float(subprocess.run(child, check=True, capture_output=True).stdout)  # noqa: S603 - this very file


def main() -> None:
    """Print both speeds and their ratio."""
    best = {name: max(in_own_process(name) for _ in range(ROUNDS)) for name in ("returned", "kept")}
    for name, speed in best.items():
        print(f"freed memory {name:9} {speed:6.1f} photos/s")
    print(f"ratio = {best['kept'] / best['returned']:.2f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        if sys.argv[1] == "kept":
            keep_freed_memory()
        print(photos_per_s())
    else:
        main()
