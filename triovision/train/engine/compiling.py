"""Compiling the network, where this machine can."""

from __future__ import annotations

import copy
import logging
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback

from triovision.train.engine.country_module import CountryModule

log = logging.getLogger(__name__)


class Compile(Callback):
    """Compiles the network before the first step, if a copy of it can be.

    It is compiled in place, so that the names of its weights stay as they are. The trial draws random numbers: what
    seeds the steps has to come after this callback.
    """

    def __init__(self) -> None:
        self._tried = False

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        batch: Any,  # noqa: ANN401 - Lightning's signature
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Try forwards and backwards; a network that cannot be compiled is trained as it is."""
        if self._tried or not isinstance(pl_module, CountryModule):
            return
        self._tried = True
        torch.compiler.reset()  # it compiles one function only so many times, and runs before this one may have
        trial = copy.deepcopy(pl_module.network)
        trial.compile()
        try:
            with trainer.precision_plugin.train_step_context():
                trial(batch[0]).float().sum().backward()
        except Exception as exc:  # compilers raise whatever they like
            reason = str(exc).strip().partition("\n")[0]
            log.warning("the network cannot be compiled here and is trained uncompiled (%s)", reason)
        else:
            pl_module.network.compile()
