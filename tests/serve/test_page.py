"""The page with a server's models instead of its own, and without that server."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from tests.serve.colour_model import ColourModel, jpeg
from triovision.errors import ExplanationError, ModelError
from triovision.photo import read_photo
from triovision.results import Explanation
from triovision.serve import backend, routes
from triovision.serve.remote_model import RemoteModels
from triovision.ui import service

ROOT = Path(__file__).parents[2]


@pytest.fixture
def page(monkeypatch, tmp_path):
    """Opens the page with the models of a server, on a machine without a model."""
    begin = PagesManager.__init__

    def begin_visited(self, *args, **options):  # otherwise every run is the first visit of a new server
        begin(self, *args, **options)
        PagesManager.uses_pages_directory = False

    monkeypatch.setattr(PagesManager, "__init__", begin_visited)
    monkeypatch.setattr("triovision.ui.flags.flag_file", lambda _: None)
    monkeypatch.setenv("TRIOVISION_MODELS", str(tmp_path))

    def open_(url, path="studio.py"):
        monkeypatch.setenv("TRIOVISION_SERVER", url)
        st.cache_resource.clear()
        return AppTest.from_file(str(ROOT / path), default_timeout=60)

    yield open_
    if service.is_remote():
        service.models().close()
    st.cache_resource.clear()


@pytest.fixture
def remote(url):
    with closing(RemoteModels(url)) as models:
        yield models


@pytest.fixture
def url(make_app, serve_app):
    return serve_app(make_app())


def test_the_page_predicts_with_the_models_of_the_server(page, url, models):
    app = page(url).run()
    assert not app.exception
    assert not app.error
    assert any("the server that predicts them, http" in caption.value for caption in app.caption)
    before = len(models.known["colour.a"].batches)
    app.file_uploader[0].set_value([("red.jpg", jpeg((250, 0, 0)), "image/jpeg")]).run()
    assert not app.exception
    assert not app.error
    assert "France" in app.header[0].value
    assert len(models.known["colour.a"].batches) == before + 1
    assert "red.jpg" not in str(models.known["colour.a"].batches)


def test_every_tab_works_with_the_models_of_the_server(page, url, monkeypatch):
    def explain(model, photo, country, method, *, against, **_):
        heatmap_hw = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
        return Explanation(
            photo=photo.name,
            model=model.card.id,
            country=country,
            against=against,
            signed=against is not None,
            method=method,
            layer="features",
            heatmap_hw=heatmap_hw,
            box=(0, 0, 1, 1),
            elapsed_ms=1.0,
        )

    monkeypatch.setattr(backend, "explain_country", explain)
    monkeypatch.setattr(routes, "methods_for", lambda _: ("LayerCAM", "Grad-CAM"))
    app = page(url).run()
    app.file_uploader[0].set_value([("red.jpg", jpeg((250, 0, 0)), "image/jpeg")]).run()
    for tab in ("Map", "Probabilities", "Details", "Why"):
        app.session_state["tab"] = tab
        app.run()
        assert not app.exception
        assert not app.error
    assert app.selectbox(key="method").options == ["LayerCAM · last layer", "Grad-CAM · last layer"]
    assert any("Method LayerCAM" in caption.value for caption in app.caption)
    assert any("measures no faithfulness" in caption.value for caption in app.caption)
    assert "Inside the network" not in [expander.label for expander in app.expander]
    next(box for box in app.selectbox if str(box.key).startswith("against-")).select_index(0).run()
    assert any("Orange speaks for France" in caption.value for caption in app.caption)


def test_an_explanation_that_the_server_refuses_is_shown_in_its_tab(page, url, monkeypatch):
    def explain(model, *_, **__):
        raise ExplanationError(model.card.id, "has no layer for this map", "Choose another model")

    monkeypatch.setattr(backend, "explain_country", explain)
    app = page(url).run()
    app.file_uploader[0].set_value([("red.jpg", jpeg((250, 0, 0)), "image/jpeg")]).run()
    app.session_state["tab"] = "Why"
    app.run()
    app.button(key="why-compute").click().run()  # it covers parts of the photo, which takes a while
    assert not app.exception
    assert "has no layer for this map" in app.error[0].value
    assert "France" in app.header[0].value


def test_the_models_page_shows_the_models_of_the_server(page, url):
    app = page(url).run()
    app.switch_page("pages/models.py").run()
    assert not app.exception
    assert app.radio(key="model").options == [r"colour\.a", r"colour\.b"]
    assert app.radio(key="model").value == "colour.a"
    assert "The worldwide model" not in [header.value for header in app.header]
    assert not [button for button in app.button if button.label == "Check the files"]


@pytest.mark.parametrize("path", ["studio.py", "pages/models.py"])
def test_a_server_that_is_away_is_named(page, path):
    app = page("http://127.0.0.1:1").run()
    if path != "studio.py":
        app.switch_page(path).run()
    assert not app.exception
    assert "cannot be reached" in app.error[0].value


def test_a_remote_model_predicts_the_same_as_one_in_this_process(remote):
    model, fault = remote.default()
    assert fault is None
    photos = [read_photo(jpeg((number, 99, 200)), f"{number}.jpg") for number in range(5)]
    assert model.predict(photos, 2) == ColourModel("colour.a").predict(photos, 2)
    assert model.card.calibration == ColourModel("colour.a").card.calibration
    assert np.array_equal(model.country_similarity(["FR", "US"]), np.eye(2))


def test_faults_of_the_server_are_faults_of_the_model(remote):
    models = remote
    assert models.has("colour.b")
    assert not models.has("colour.c")
    with pytest.raises(ModelError, match="not installed"):
        models.get("colour.c")
    with closing(RemoteModels("http://127.0.0.1:1")) as away:
        assert not away.has("colour.a")
        with pytest.raises(ModelError, match="cannot be reached"):
            away.default()
    poisoned, _ = models.default()
    with pytest.raises(ModelError):
        poisoned.country_similarity(["XX"])
