import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn

from triovision.train.engine.averaging import MovingAverage


@pytest.mark.parametrize("decay", [0.999, 0.2])
def test_the_decay_grows_to_what_was_asked_for(decay: float) -> None:
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
