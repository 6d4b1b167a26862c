"""Device and number format of a network, chosen by the capabilities of the hardware."""

from __future__ import annotations

from typing import Any, Final, cast

import torch
from torch import Tensor, nn

from triovision.errors import ModelError

#: CPU instruction sets that multiply matrices of bfloat16: x86 AVX-512, x86 AMX, ARM.
_CPU_BFLOAT16: Final = ("avx512_bf16", "amx_bf16", "bf16")


def choose_device(name: str | None) -> torch.device:
    """Return the named device, or the fastest one present.

    Args:
        name: `"cpu"`, `"cuda"`, `"cuda:1"` or `"mps"`; None for the fastest.

    Raises:
        ModelError: If torch does not know the name or this machine lacks the device.
    """
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as exc:
        raise ModelError(f"device {name!r}", "cannot be used on this machine", "Choose cpu, cuda or mps") from exc
    return device


def choose_precision(device: torch.device) -> torch.dtype:
    """Return `bfloat16` where the hardware computes in it natively, `float32` elsewhere.

    The choice depends on the hardware alone, so a photo gets the same answer on every run.

    Args:
        device: Device of the network.
    """
    if device.type == "cuda":
        with torch.cuda.device(device):
            native = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        instructions = torch.cpu.get_capabilities()
        # Without oneDNN, torch computes bfloat16 on the CPU in slow generic loops.
        native = cast(Any, torch.backends.mkldnn).is_available() and any(map(instructions.get, _CPU_BFLOAT16))
    else:
        native = False
    return torch.bfloat16 if native else torch.float32


def forward(network: nn.Module, batch_nchw: Tensor, precision: torch.dtype) -> Tensor:
    """Run a network without a graph.

    Args:
        network: In evaluation mode.
        batch_nchw: Normalised photos on the network's device.
        precision: Number format of the computation.

    Returns:
        The network's output as `float32`, such as logits `(n, n_labels)`.
    """
    with (
        torch.inference_mode(),
        torch.autocast(batch_nchw.device.type, precision, enabled=precision is not torch.float32),
    ):
        output: Tensor = network(batch_nchw)
    return output.float()
