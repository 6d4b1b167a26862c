"""Requests made from the OpenAPI document: no answer breaks it."""

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from tests.serve.colour_model import jpeg
from triovision.inference.loaded_models import LoadedModels
from triovision.serve.app import create_app
from triovision.serve.settings import ServeSettings

EXAMPLES = int(os.environ.get("TRIOVISION_SCHEMA_EXAMPLES", "25"))  # of each route and mode

#: Whether a text that fits its pattern is right is more than a document can say: the south of a box lies south of its
#: north, a country exists, a model is installed.
SEMANTIC = "positive_data_acceptance"


@pytest.fixture
def api(tmp_path, write_tiny_model, monkeypatch, pool, serve_app):
    """The document of a real server with a small network."""
    write_tiny_model(tmp_path)
    monkeypatch.setenv("TRIOVISION_MODELS", str(tmp_path))
    app = create_app(ServeSettings(model_id="test_efficientnet.noise"), LoadedModels(), pool)
    url = serve_app(app)
    app.state.backend.start()
    return schemathesis.openapi.from_url(f"{url}/openapi.json")


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_answers_keep_to_the_document(api, mode):
    """Valid requests, and requests that each break the document in one place."""
    for found in api.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=[*HealthCheck]
        )
        @given(operation.as_strategy(generation_mode=mode))
        def check(case):
            case.call_and_validate(excluded_checks=[CHECKS.get_one(SEMANTIC)])

        try:
            check()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE  # a route without any field cannot be asked wrongly


def test_the_document_knows_every_status(ask):
    paths = ask("GET", "/openapi.json").json()["paths"]
    assert {"200", "400", "401", "404", "408", "413", "422", "500", "503"} <= set(paths["/predict"]["post"]["responses"])
    assert ask("POST", "/predict", files=[("photos", jpeg((1, 2, 3)))]).status_code == 200
