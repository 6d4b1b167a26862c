from __future__ import annotations

from typing import Any

import pytest
import torch

from triovision.errors import ModelError
from triovision.inference.device import choose_device, choose_precision, forward


@pytest.mark.parametrize(
    ("instructions", "onednn", "expected"),
    [
        ({"architecture": "x86_64", "avx2": True}, True, torch.float32),
        ({"architecture": "x86_64", "avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, True, torch.float32),
        ({"architecture": "x86_64", "avx512_f": True, "avx512_bf16": True}, True, torch.bfloat16),
        ({"architecture": "x86_64", "amx_bf16": True}, True, torch.bfloat16),
        ({"architecture": "arm64", "neon": True, "bf16": True}, True, torch.bfloat16),
        ({"architecture": "arm64", "neon": True, "bf16": False}, True, torch.float32),
        ({"architecture": "arm64", "neon": True, "bf16": True}, False, torch.float32),
    ],
)
def test_a_cpu_computes_in_bfloat16_where_it_has_the_instructions(
    instructions: dict[str, Any], onednn: bool, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: onednn)
    assert choose_precision(torch.device("cpu")) is expected


@pytest.mark.parametrize(("native", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_gpu_is_asked_for_native_bfloat16_on_its_own_index(
    native: bool, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered: list[int] = []

    class Selected:
        def __init__(self, device: torch.device) -> None:
            self.index = device.index

        def __enter__(self) -> None:
            entered.append(self.index)

        def __exit__(self, *_: object) -> None:
            entered.append(-1)

    def is_supported(including_emulation: bool = True) -> bool:
        assert entered == [1]
        return native or including_emulation

    monkeypatch.setattr(torch.cuda, "device", Selected)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    assert choose_precision(torch.device("cuda:1")) is expected
    assert entered == [1, -1]


def test_mps_computes_in_float32() -> None:
    assert choose_precision(torch.device("mps")) is torch.float32


def test_the_precision_of_this_machine_is_the_same_each_time() -> None:
    assert len({choose_precision(torch.device("cpu")) for _ in range(3)}) == 1


@pytest.mark.parametrize(("precision", "rounded"), [(torch.float32, False), (torch.bfloat16, True)])
def test_a_network_computes_in_the_precision_and_returns_float32(precision: torch.dtype, rounded: bool) -> None:
    torch.manual_seed(0)
    network = torch.nn.Linear(64, 8).requires_grad_(False)
    batch = torch.randn(2, 64)
    output = forward(network, batch, precision)
    assert output.dtype is torch.float32
    assert (not torch.equal(output, network(batch))) is rounded
    assert torch.allclose(output, network(batch), atol=0.05)


@pytest.mark.parametrize("name", ["quantum", "cuda:99", ""])
def test_an_unusable_device_is_named(name: str) -> None:
    with pytest.raises(ModelError, match="device"):
        choose_device(name)


def test_the_cpu_is_chosen_where_no_accelerator_is_present(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device(None) == torch.device("cpu")
