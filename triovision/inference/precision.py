"""Which number format a network runs in on this machine: measured when the model is loaded."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

#: A format is worth its rounding only when it saves this share of the time.
WORTHWHILE = 0.9
_PICTURES, _ROUNDS = 4, 3


def choose_precision(network: nn.Module, input_size: int, device: torch.device) -> torch.dtype:
    """`bfloat16` where it is clearly faster and ranks the labels alike, `float32` otherwise.

    Ranks are compared on noise pictures of a fixed seed; the time is that of one picture, which is what a person waits
    for, and the network is warm for it afterwards.

    Args:
        network: In evaluation mode, on `device`.
        input_size: Side of the square input in pixels.
        device: Where it runs.
    """
    if device.type == "mps":
        return torch.float32
    noise = torch.rand(_PICTURES, 3, input_size, input_size, generator=torch.Generator().manual_seed(0))
    batch_nchw = noise.mul(2).sub(1).to(device, memory_format=torch.channels_last)
    formats = (torch.float32, torch.bfloat16)
    exact, rounded = (forward(network, batch_nchw, precision).argmax(1) for precision in formats)
    exact_s, rounded_s = (
        _seconds(partial(forward, network, batch_nchw[:1], precision), device) for precision in formats
    )
    return torch.bfloat16 if torch.equal(exact, rounded) and rounded_s < WORTHWHILE * exact_s else torch.float32


def forward(network: nn.Module, batch_nchw: Tensor, precision: torch.dtype) -> Tensor:
    """Logits `(n, n_labels)` in `float32`, computed in `precision` without a graph."""
    with (
        torch.inference_mode(),
        torch.autocast(batch_nchw.device.type, precision, enabled=precision is not torch.float32),
    ):
        logits: Tensor = network(batch_nchw)
    return logits.float()


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    """Shortest time of a few calls, after one that warms up."""
    call()
    best = float("inf")
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return best
