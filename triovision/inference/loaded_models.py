"""Models in memory, shared by all callers of a process: bounded, each loaded once, a failed one loaded anew."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeVar

from triovision.errors import ModelError, ModelFailure
from triovision.inference import device, registry
from triovision.inference.card import ModelCard
from triovision.inference.model import GeoModel

# Two callers with different models need no reloading; the worldwide model takes 1.2 GB.
MAX_LOADED: Final = 2

_CPU: Final = "cpu"

T = TypeVar("T")


class LoadedModels:
    """Models by id. Usable from several threads at once.

    A model that failed on another device runs on the CPU as long as this object lives: a lost GPU does not come back.

    Args:
        most: Most models in memory; the least recently used one leaves when another is loaded.
    """

    def __init__(self, most: int = MAX_LOADED) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._models: OrderedDict[str, GeoModel] = OrderedDict()
        self._loading: dict[str, threading.Lock] = {}
        self._on_cpu: set[str] = set()

    def get(self, model_id: str) -> GeoModel:
        """Return a model; whoever asks while it is being loaded waits for the same loading.

        Raises:
            ModelError: If it is missing or damaged; the next call tries again.
        """
        if (model := self._known(model_id)) is not None:
            return model
        with self._lock:
            loading = self._loading.setdefault(model_id, threading.Lock())
        with loading:
            if (model := self._known(model_id)) is not None:
                return model
            try:
                model = self._load(model_id)
            finally:
                with self._lock:
                    self._loading.pop(model_id, None)
            with self._lock:
                self._models[model_id] = model
                while len(self._models) > self._most:
                    self._models.popitem(last=False)
        return model

    def default(self) -> tuple[GeoModel, ModelError | None]:
        """Return the default model, and the fault of the one that it replaces; see `load_default`."""
        return registry.load_default(load=self.get)

    def has(self, model_id: str) -> bool:
        """Whether a model of this id is on this machine."""
        return model_id in registry.found_models()

    def cards(self) -> tuple[ModelCard, ...]:
        """Return the cards of all models on this machine; see `list_models`."""
        return registry.list_models()

    def run(self, model: GeoModel, work: Callable[[GeoModel], T]) -> T:
        """Run a model. One that fails leaves the memory, and is tried once more on the CPU if it ran on another device.

        Args:
            model: A model of `get`.
            work: Function of the model, such as a prediction.

        Raises:
            ModelFailure: If it fails on the CPU.
            TrioVisionError: What `work` raises on purpose.
        """
        model_id = model.card.id
        if model_id in self._on_cpu:  # the caller may still hold the one that failed
            model = self.get(model_id)
        try:
            return work(model)
        except ModelFailure:
            self._drop(model_id)
            if set(model.devices) <= {_CPU}:
                raise
            self._on_cpu.add(model_id)
        try:
            return work(self.get(model_id))
        except ModelFailure:
            self._drop(model_id)
            raise

    def _known(self, model_id: str) -> GeoModel | None:
        with self._lock:
            if model_id in self._models:
                self._models.move_to_end(model_id)
            return self._models.get(model_id)

    def _drop(self, model_id: str) -> None:
        with self._lock:
            self._models.pop(model_id, None)

    def _load(self, model_id: str) -> GeoModel:
        if model_id in self._on_cpu:
            return registry.load_model(model_id, _CPU)
        try:
            return registry.load_model(model_id)
        except ModelFailure:
            if device.choose_device(None).type == _CPU:
                raise
            self._on_cpu.add(model_id)
            return registry.load_model(model_id, _CPU)
