import subprocess
import sys
from pathlib import Path

import pytest
import streamlit as st

from triovision.bundle import ASSETS
from triovision.inference import default_model
from triovision.photo import read_photo
from triovision.ui import service, warm_start
from triovision.ui.examples import EXAMPLE

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_models_in_memory():
    st.cache_resource.clear()
    yield
    st.cache_resource.clear()


def test_no_component_is_declared_before_the_server_exists():
    code = (
        "import sys; from triovision.ui.warm_start import start_thread; start_thread().join(300);"
        "print(sorted(name for name in sys.modules if name == 'streamlit_folium'))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_first_reader_gets_the_model_that_was_loaded_at_the_start(monkeypatch):
    monkeypatch.setenv("TRIOVISION_MODELS", str(ASSETS.parent / "models"))
    thread = warm_start.start_thread()
    assert warm_start.start_thread() is thread  # one for the whole process
    thread.join(300)
    monkeypatch.setattr("triovision.inference.registry.load_model", lambda *_: pytest.fail("loaded a second time"))
    model = service.shared_model(default_model())
    assert model.predict([read_photo(EXAMPLE.read_bytes(), EXAMPLE.name)], top_k=1)


def test_a_missing_model_is_no_error_at_the_start(monkeypatch, tmp_path):
    monkeypatch.setenv("TRIOVISION_MODELS", str(tmp_path))
    thread = warm_start.start_thread()
    thread.join(300)
    assert not thread.is_alive()
