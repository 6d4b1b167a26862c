"""Models that fail while they predict or explain: the page says so in words and works again afterwards."""

import os

import numpy as np
import pytest
import streamlit as st
import torch
from safetensors.torch import save_file

from triovision import explain
from triovision.inference import country_classifier
from triovision.ui.step_progress import StepProgress


@pytest.mark.parametrize(
    "fault", [RuntimeError("CUDA error: unspecified launch failure"), MemoryError(), KeyError("x")]
)
def test_a_prediction_that_fails_is_worded_and_the_next_one_works(app, china, monkeypatch, fault):
    def fail(*_):
        raise fault

    app.run()
    with monkeypatch.context() as broken:
        broken.setattr(country_classifier, "forward", fail)
        app.file_uploader[0].set_value([("china.jpg", china, "image/jpeg")]).run()
        assert not app.exception
        assert "The model cannot be used." in app.error[0].value
    app.run()
    assert not app.error
    assert not app.exception
    assert "Peru" in app.header[0].value


def test_outputs_of_nan_are_worded(app, china, monkeypatch):
    nothing = torch.full((1, 18), float("nan"))
    monkeypatch.setattr(country_classifier, "forward", lambda *_: nothing)
    app.run().file_uploader[0].set_value([("china.jpg", china, "image/jpeg")]).run()
    assert not app.exception
    assert "gave numbers that are not finite" in app.error[0].value.replace("\\", "")


def test_an_explanation_that_fails_is_worded(app, china, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no kernel image")

    monkeypatch.setattr(explain.country.cam, "activation_map", fail)
    app.run().session_state["tab"] = "Why"
    app.file_uploader[0].set_value([("china.jpg", china, "image/jpeg")]).run()
    assert not app.exception
    assert "no kernel image" in app.error[0].value


def test_a_slow_explanation_draws_its_progress(app, china, monkeypatch):
    drawn, draw = [], StepProgress.__call__

    def noted(progress, fraction):
        drawn.append(fraction)
        draw(progress, fraction)

    def slow(_network, _batch, _label, _method, _layer, on_step):
        for fraction in (0.5, 1.0):
            on_step(fraction)
        return np.ones((2, 2), np.float32)

    monkeypatch.setattr(StepProgress, "__call__", noted)
    monkeypatch.setattr(explain.country.cam, "activation_map", slow)
    app.run().session_state["tab"] = "Why"
    app.file_uploader[0].set_value([("china.jpg", china, "image/jpeg")]).run()
    assert not app.exception
    assert drawn == [0.5, 1.0]
    assert not app.get("progress")
    assert any("Method Grad-CAM" in caption.value for caption in app.caption)


def cut(path, _):
    os.truncate(path, 1000)


def swap(path, weights):
    save_file({name: tensor + 1 for name, tensor in weights.items()}, path)


def delete(path, _):
    path.unlink()


@pytest.mark.parametrize("fault", [cut, swap, delete])
def test_weights_that_change_under_a_running_page(fault, app, china, write_model, weights):
    app.run()
    fault(write_model() / "weights.safetensors", weights)
    app.file_uploader[0].set_value([("china.jpg", china, "image/jpeg")]).run()
    assert not app.exception
    assert not app.error
    assert "Peru" in app.header[0].value  # by the model in memory
    st.cache_resource.clear()  # as when two other models have been used
    app.run()
    assert not app.exception
    assert "The model cannot be used." in app.error[0].value
    write_model()
    app.run()
    assert not app.error
    assert "Peru" in app.header[0].value
