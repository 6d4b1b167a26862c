"""Models that fail while they predict or explain: the page says so in words and works again afterwards."""

import pytest
import torch

from triovision import explain
from triovision.inference import country_classifier
from triovision.ui import explanation


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


def test_score_cam_draws_its_progress_and_its_map(app, china, monkeypatch):
    drawn, draw = [], explanation._draw_progress
    monkeypatch.setattr(
        explanation, "_draw_progress", lambda place, t, part: (drawn.append(part), draw(place, t, part))
    )
    app.run().session_state["tab"] = "Why"
    app.file_uploader[0].set_value([("china.jpg", china, "image/jpeg")]).run()
    app.selectbox(key="method").set_value("Score-CAM").run()
    assert not app.exception
    assert drawn[-1] == 1
    assert drawn == sorted(drawn)
    assert not app.get("progress")
    assert any("Method Score-CAM" in caption.value for caption in app.caption)
