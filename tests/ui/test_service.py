"""Faults of models in memory: eviction, a second try on the CPU, and models that run there from then on."""

from types import SimpleNamespace

import pytest
import streamlit as st

from triovision import inference
from triovision.errors import ExplanationError, ModelFailure
from triovision.inference import device
from triovision.ui import service
from triovision.ui.service import run_model, shared_model

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
    monkeypatch.setattr(inference, "load_model", made.load)
    monkeypatch.setattr(device, "choose_device", lambda _: SimpleNamespace(type=made.device.partition(":")[0]))
    monkeypatch.setattr(service, "_ON_CPU", set())
    st.cache_resource.clear()
    yield made
    st.cache_resource.clear()


def test_a_model_that_works_stays_in_memory(machine):
    assert run_model(shared_model("a.b"), machine.work) == "cuda:0"
    assert run_model(shared_model("a.b"), machine.work) == "cuda:0"
    assert machine.loaded == ["cuda:0"]


def test_a_model_that_fails_on_a_gpu_answers_from_the_cpu_from_then_on(machine):
    machine.broken.add("cuda:0")
    failed = shared_model("a.b")
    assert run_model(failed, machine.work) == "cpu"
    assert run_model(failed, machine.work) == "cpu"  # the page still holds the first one
    assert run_model(shared_model("a.b"), machine.work) == "cpu"
    assert machine.loaded == ["cuda:0", "cpu"]


def test_a_model_that_fails_on_the_cpu_too_is_loaded_anew_for_the_next_visitor(machine):
    machine.broken |= {"cuda:0", "cpu"}
    with pytest.raises(ModelFailure):
        run_model(shared_model("a.b"), machine.work)
    machine.broken.clear()
    assert run_model(shared_model("a.b"), machine.work) == "cpu"
    assert machine.loaded == ["cuda:0", "cpu", "cpu"]


def test_without_a_gpu_there_is_no_second_try(machine):
    machine.device = "cpu"
    machine.broken.add("cpu")
    with pytest.raises(ModelFailure):
        run_model(shared_model("a.b"), machine.work)
    assert machine.loaded == ["cpu"]
    with pytest.raises(ModelFailure):
        run_model(shared_model("a.b"), machine.work)
    assert machine.loaded == ["cpu", "cpu"]  # the failed one had left the memory


def test_a_model_that_does_not_fit_a_gpu_is_loaded_on_the_cpu(machine):
    machine.unloadable.add("cuda:0")
    assert run_model(shared_model("a.b"), machine.work) == "cpu"


def test_an_error_that_is_no_fault_of_the_model_evicts_nothing(machine):
    def refuse(_):
        raise ExplanationError("Grad-CAM", "is no method", "Choose another")

    with pytest.raises(ExplanationError):
        run_model(shared_model("a.b"), refuse)
    shared_model("a.b")
    assert machine.loaded == ["cuda:0"]
