"""Which number format a network runs in on this machine: measured when the model is loaded."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

#: A format is worth its rounding only when it saves this share of the time.
WORTHWHILE = 0.9
_BATCH, _ROUNDS = 4, 3


def choose_precision(network: nn.Module, input_size: int, device: torch.device) -> torch.dtype:
    """`bfloat16` where it is clearly faster and ranks the labels alike, `float32` otherwise.

    The measurement runs the network a few times on noise pictures of a fixed seed.

    Args:
        network: In evaluation mode, on `device`.
        input_size: Side of the square input in pixels.
        device: Where it runs.
    """
    if device.type == "mps":
        return torch.float32
    noise = torch.rand(_BATCH, 3, input_size, input_size, generator=torch.Generator().manual_seed(0))
    batch_nchw = noise.mul(2).sub(1).to(device, memory_format=torch.channels_last)
    exact, exact_s = _timed(lambda: forward(network, batch_nchw, torch.float32), device)
    rounded, rounded_s = _timed(lambda: forward(network, batch_nchw, torch.bfloat16), device)
    same = torch.equal(exact.argmax(1), rounded.argmax(1))
    return torch.bfloat16 if same and rounded_s < WORTHWHILE * exact_s else torch.float32


def forward(network: nn.Module, batch_nchw: Tensor, precision: torch.dtype) -> Tensor:
    """Logits `(n, n_labels)` in `float32`, computed in `precision` without a graph."""
    with (
        torch.inference_mode(),
        torch.autocast(batch_nchw.device.type, precision, enabled=precision is not torch.float32),
    ):
        logits: Tensor = network(batch_nchw)
    return logits.float()


def _timed(call: Callable[[], Tensor], device: torch.device) -> tuple[Tensor, float]:
    """Result and the shortest time of a few calls, after one that warms up."""
    result, best = call(), float("inf")
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        result = call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return result, best
