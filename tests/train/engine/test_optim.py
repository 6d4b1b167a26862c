"""Optimisers, schedules and the moving average."""

from __future__ import annotations

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from triovision.networks import build_classifier
from triovision.train.engine.optim import MovingAverage, build_optimiser, build_schedule, optimiser_over, rate_at
from triovision.train.recipes.sections import Optimisation, Schedule, SharedOptimisation


def one_weight(rate: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=rate)


def test_the_rate_rises_then_falls_to_nothing() -> None:
    optimisation = Optimisation(epochs=3, warmup_epochs=1)
    rates = [rate_at(step, 10, optimisation) for step in range(31)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[10] == 1
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[20] == pytest.approx(0.5)
    assert rates[30] == pytest.approx(0)


def rates(schedule: Schedule, steps: int) -> list[float]:
    optimiser = one_weight(0.1)
    scheduler = build_schedule(optimiser, schedule, Optimisation(epochs=3, warmup_epochs=1), 4)["scheduler"]
    found = []
    for _ in range(steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return found


def test_the_cosine_is_counted_in_steps() -> None:
    expected = [0.1 * rate_at(step, 4, Optimisation(epochs=3, warmup_epochs=1)) for step in range(12)]
    assert rates(Schedule(), 12) == pytest.approx(expected)


def test_the_rate_falls_after_so_many_epochs() -> None:
    found = rates(Schedule(name="step", step_epochs=2, factor=0.1), 20)
    assert found == pytest.approx([0.1] * 8 + [0.01] * 8 + [0.001] * 4)


def test_plateau_lowers_the_rate_down_to_its_floor() -> None:
    optimiser = one_weight(8.0)
    made = build_schedule(optimiser, Schedule(name="plateau", patience=1, floor=3), Optimisation(), 10)
    assert (made["interval"], made["monitor"]) == ("epoch", "val/loss")
    plateau = made["scheduler"]
    assert isinstance(plateau, ReduceLROnPlateau)
    found = []
    for loss in (1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9):
        plateau.step(loss)
        found.append(optimiser.param_groups[0]["lr"])
    assert found == [8, 8, 8, 4, 4, 3, 3, 3]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("adam", torch.optim.Adam),
        ("adamax", torch.optim.Adamax),
        ("adamw", torch.optim.AdamW),
        ("sgd", torch.optim.SGD),
    ],
)
def test_each_optimiser_has_a_name_and_spares_vectors_from_decay(name: str, kind: type) -> None:
    network = build_classifier("test_resnet", 3)
    optimisation = Optimisation.model_validate(
        {"optimiser": name, "learning_rate": 0.1, "weight_decay": 0.2, "momentum": 0.7, "layer_decay": 0.5}
    )
    optimiser = build_optimiser(network, optimisation)
    assert type(optimiser) is kind
    of_head = next(
        g for g in optimiser.param_groups if any(p is network.get_submodule("fc").weight for p in g["params"])
    )
    assert (of_head["lr"], of_head["weight_decay"]) == (0.1, 0.2)
    assert min(group["lr"] for group in optimiser.param_groups) < 0.1
    for group in optimiser.param_groups:
        assert {p.ndim > 1 for p in group["params"]} == {group["weight_decay"] > 0}
        assert group.get("momentum", 0.7) == 0.7


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_the_fused_optimiser_of_a_cpu_takes_the_same_steps(name: str, kind: type) -> None:
    fused, plain = (nn.Parameter(torch.tensor([1.0, -2.0, 3.0])) for _ in range(2))
    groups = {"lr": 0.1, "weight_decay": 0.2}
    optimisation = SharedOptimisation.model_validate({"optimiser": name})
    found = optimiser_over([{"params": [fused]} | groups], optimisation)
    assert found.defaults["fused"]
    expected = kind([{"params": [plain]} | groups], fused=False)
    for gradient in ([1.0, 0.5, -1.0], [0.1, 2.0, 0.3]):
        for weights, optimiser in ((fused, found), (plain, expected)):
            weights.grad = torch.tensor(gradient)
            optimiser.step()
    torch.testing.assert_close(fused, plain)
    on_another_device = nn.Parameter(torch.zeros(3, device="meta"))
    assert not optimiser_over([{"params": [on_another_device]} | groups], optimisation).defaults["fused"]


def test_what_is_frozen_is_not_moved() -> None:
    network = build_classifier("test_resnet", 3)
    network.get_submodule("conv1").requires_grad_(False)
    held = [p for group in build_optimiser(network, Optimisation()).param_groups for p in group["params"]]
    assert not any(p is q for p in held for q in network.get_submodule("conv1").parameters())


@pytest.mark.parametrize("decay", [0.999, 0.2])
def test_the_decay_grows_to_its_limit(decay: float) -> None:
    module = LightningModule()
    module.weight = nn.Parameter(torch.tensor([1.0]))
    module.register_buffer("seen", torch.tensor(3))
    average = MovingAverage(decay)
    average.setup(Trainer(logger=False, enable_checkpointing=False, accelerator="cpu"), module, "fit")
    averaged = average._average_model
    expected = 1.0
    for step, value in enumerate((1.0, 3.0, 5.0, 9.0)):
        module.weight.data.fill_(value)
        averaged.update_parameters(module)
        if step:  # the first update takes the weights as they are
            kept = min(decay, (1 + step) / (10 + step))
            expected = kept * expected + (1 - kept) * value
        assert averaged.module.weight.item() == pytest.approx(expected)
    assert averaged.module.seen.item() == 3
