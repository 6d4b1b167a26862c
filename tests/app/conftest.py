import hashlib
import json
from pathlib import Path

import pytest
import streamlit as st
import torch
from safetensors.torch import save_file
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from triovision.inference.registry import EMBEDDED_MODEL
from triovision.networks import build_classifier

ROOT = Path(__file__).parents[2]
LABELS = ("PE", "FR", "IT", "CN", "JP", "US", "GB", "DE", "ES", "GR", "TR", "IN", "TH", "BR", "MX", "EG", "MA", "ZA")
ARCHITECTURE = "mobilenetv2_050"


@pytest.fixture(autouse=True)
def visited_server(monkeypatch):
    """Mark the server as visited: otherwise every run of AppTest is the first visit of a new server."""
    begin = PagesManager.__init__

    def begin_visited(self, *args, **options):
        begin(self, *args, **options)
        PagesManager.uses_pages_directory = False

    monkeypatch.setattr(PagesManager, "__init__", begin_visited)


@pytest.fixture(scope="session")
def weights():
    """Weights of a small untrained network that predicts Peru for every photo."""
    torch.manual_seed(0)
    state = build_classifier(ARCHITECTURE, len(LABELS)).state_dict()
    state["classifier.weight"] *= 0.01  # the bias decides, not the image
    state["classifier.bias"] = torch.tensor([5.0] + [0.0] * (len(LABELS) - 1))
    return state


@pytest.fixture
def write_model(weights, tmp_path, monkeypatch):
    """Write that network as the only installed model, with given fields of its calibration."""

    def write(**calibration):
        folder = tmp_path / EMBEDDED_MODEL
        folder.mkdir(exist_ok=True)
        save_file(weights, folder / "weights.safetensors")
        digest = hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
        (folder / "card.json").write_text(json.dumps(card(digest, **calibration)), encoding="utf-8")
        monkeypatch.setenv("TRIOVISION_MODELS", str(tmp_path))
        return folder

    return write


def card(digest, **calibration):
    return {
        "id": EMBEDDED_MODEL,
        "summary": "A network that was never trained.",
        "architecture": ARCHITECTURE,
        "preprocessing": {"input_size": 64, "mean": [0.5] * 3, "std": [0.5] * 3},
        "labels": LABELS,
        "calibration": {
            "temperature": 1,
            "conformal_threshold": 0.05,
            "conformal_coverage": 0.9,
            "abstention_threshold": 0.5,
            "fitted_on": "12 photos of *nothing*",
        }
        | calibration,
        "weights_sha256": digest,
        "provenance": {
            "recipe": {},
            "manifest_sha256": "0" * 64,
            "photos": 0,
            "command": "none",
            "data": "none",
        },
        "metrics": {"known_places": {"photos": 12, "country_top1": 0.25}},
        "knows": "Nothing *at all*.",
        "limits": "Everything.",
        "licence": "Apache-2.0",
    }


@pytest.fixture(autouse=True)
def emoji_flags(monkeypatch):
    """Flags as on a machine without the npm packages, so that the texts of the page are the same on every machine."""
    monkeypatch.setattr("triovision.ui.flags.flag_file", lambda _: None)


@pytest.fixture
def app(write_model):
    """The page of a new visitor, with a model that no other test has loaded."""
    write_model()
    st.cache_resource.clear()
    yield AppTest.from_file(str(ROOT / "studio.py"), default_timeout=60)
    st.cache_resource.clear()


@pytest.fixture
def open_form():
    """Opens "What do you know about this photo?" for the only photo, whose fields are drawn only then."""

    def open_(app):
        (result,) = app.session_state["triovision"].results.values()
        app.session_state[f"known-{result.id}-open"] = True
        return app.run()

    return open_
