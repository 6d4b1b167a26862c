"""Models in memory: their number, one loading for all, faults, and a second try on the CPU."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from triovision.errors import ExplanationError, ModelError, ModelFailure
from triovision.inference import device, registry
from triovision.inference.loaded_models import LoadedModels

FAULT = ModelFailure("a.b", "failed", "Choose another model")


class Machine:
    """Loads models; those on the devices in `broken` fail when they run."""

    def __init__(self):
        self.device, self.broken, self.unloadable, self.loaded = "cuda:0", set(), set(), []

    def load(self, model_id, device_name=None):
        name = device_name or self.device
        if name in self.unloadable:
            raise FAULT
        self.loaded.append(name)
        return SimpleNamespace(card=SimpleNamespace(id=model_id), devices=(name,))

    def work(self, model):
        if model.devices[0] in self.broken:
            raise FAULT
        return model.devices[0]


@pytest.fixture
def machine(monkeypatch):
    made = Machine()
    monkeypatch.setattr(registry, "load_model", made.load)
    monkeypatch.setattr(device, "choose_device", lambda _: SimpleNamespace(type=made.device.partition(":")[0]))
    return made


@pytest.fixture
def models(machine):  # noqa: ARG001 - what it loads from
    return LoadedModels()


def test_a_model_that_works_stays_in_memory(machine, models):
    assert models.run(models.get("a.b"), machine.work) == "cuda:0"
    assert models.run(models.get("a.b"), machine.work) == "cuda:0"
    assert machine.loaded == ["cuda:0"]


def test_a_model_that_fails_on_a_gpu_answers_from_the_cpu_from_then_on(machine, models):
    machine.broken.add("cuda:0")
    failed = models.get("a.b")
    assert models.run(failed, machine.work) == "cpu"
    assert models.run(failed, machine.work) == "cpu"  # the page still holds the first one
    assert models.run(models.get("a.b"), machine.work) == "cpu"
    assert machine.loaded == ["cuda:0", "cpu"]


def test_a_model_that_fails_on_the_cpu_too_is_loaded_anew_for_the_next_visitor(machine, models):
    machine.broken |= {"cuda:0", "cpu"}
    with pytest.raises(ModelFailure):
        models.run(models.get("a.b"), machine.work)
    machine.broken.clear()
    assert models.run(models.get("a.b"), machine.work) == "cpu"
    assert machine.loaded == ["cuda:0", "cpu", "cpu"]


def test_without_a_gpu_there_is_no_second_try(machine, models):
    machine.device = "cpu"
    machine.broken.add("cpu")
    with pytest.raises(ModelFailure):
        models.run(models.get("a.b"), machine.work)
    assert machine.loaded == ["cpu"]
    with pytest.raises(ModelFailure):
        models.run(models.get("a.b"), machine.work)
    assert machine.loaded == ["cpu", "cpu"]  # the failed one had left the memory


def test_a_model_that_does_not_fit_a_gpu_is_loaded_on_the_cpu(machine, models):
    machine.unloadable.add("cuda:0")
    assert models.run(models.get("a.b"), machine.work) == "cpu"


def test_an_error_that_is_no_fault_of_the_model_evicts_nothing(machine, models):
    def refuse(_):
        raise ExplanationError("Grad-CAM", "is no method", "Choose another")

    with pytest.raises(ExplanationError):
        models.run(models.get("a.b"), refuse)
    models.get("a.b")
    assert machine.loaded == ["cuda:0"]


def test_the_least_recently_used_model_leaves_the_memory(machine, models):
    for model_id in ("a.a", "b.b", "a.a", "c.c", "a.a"):
        models.get(model_id)
    assert len(machine.loaded) == 3  # a.a stayed
    models.get("b.b")
    assert len(machine.loaded) == 4


def test_whoever_asks_while_a_model_is_loaded_waits_for_the_same_one(machine, models, monkeypatch):
    begun, go = threading.Event(), threading.Event()

    def load(model_id, device_name=None):
        begun.set()
        assert go.wait(60)
        return machine.load(model_id, device_name)

    monkeypatch.setattr(registry, "load_model", load)
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(models.get, "a.b") for _ in range(4)]
        assert begun.wait(60)
        go.set()
        assert len({id(one.result(60)) for one in asked}) == 1
    assert machine.loaded == ["cuda:0"]


def test_a_model_that_could_not_be_loaded_is_tried_again(machine, models, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(registry, "load_model", lambda *_: (_ for _ in ()).throw(ModelError("a.b", "is gone", "Wait")))
        with pytest.raises(ModelError):
            models.get("a.b")
    assert models.get("a.b").devices == ("cuda:0",)
    assert machine.loaded == ["cuda:0"]
