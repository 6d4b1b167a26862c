"""Requests made from the OpenAPI document: no answer breaks it."""

import os
from collections import Counter

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

TINY_LABELS = ("CN", "FR", "NA", "US")  # of the small network
MODEL = "test_efficientnet.noise"

#: Whether a text that fits its pattern is right is more than a document can say: the south of a box lies south of its
#: north, a country exists, a model is installed.
SEMANTIC = "positive_data_acceptance"


@pytest.fixture
def api(tmp_path, write_tiny_model, monkeypatch, pool, serve_app):
    """The document of a real server with a small network."""
    write_tiny_model(tmp_path)
    monkeypatch.setenv("TRIOVISION_MODELS", str(tmp_path))
    app = create_app(ServeSettings(model_id=MODEL), LoadedModels(), pool)
    url = serve_app(app)
    app.state.backend.start()
    return schemathesis.openapi.from_url(f"{url}/openapi.json")


def meaningful(case):
    """Put a photo, an installed model and known countries into a valid request, and take out what is seldom true."""
    if "model_id" in case.path_parameters:
        case.path_parameters["model_id"] = MODEL
    if "country" in case.query:
        case.query["country"] = list(TINY_LABELS[:2])
    if isinstance(case.body, dict):
        for name in ("url", "clue", "box", "near", "shadow", "model", "method", "against", "stride", "samples"):
            case.body.pop(name, None)
        if case.body.get("country"):
            case.body["country"] = TINY_LABELS[len(case.body) % len(TINY_LABELS)]
        for name in {"photo", "photos"} & set(case.operation.body[0].definition["schema"]["properties"]):
            case.body[name] = jpeg((9, 99, 199)) if name == "photo" else [jpeg((1, 2, 3)), b"no photo"]


@pytest.mark.parametrize("kind", ["valid", "meaningful", "broken"])
def test_answers_keep_to_the_document(api, kind):
    """Valid requests, those of them that mean something, and requests that each break the document in one place."""
    mode = GenerationMode.NEGATIVE if kind == "broken" else GenerationMode.POSITIVE
    answered = Counter()
    for found in api.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=[*HealthCheck]
        )
        @given(operation.as_strategy(generation_mode=mode))
        def check(case):
            if kind == "meaningful":
                meaningful(case)
            response = case.call()
            answered[case.operation.path, response.status_code] += 1
            case.validate_response(response, excluded_checks=[CHECKS.get_one(SEMANTIC)])

        try:
            check()
        except Unsatisfiable:
            assert kind == "broken"  # a route without any field cannot be asked wrongly
    paths = {path for path, _ in answered}
    if kind == "meaningful":
        assert {path for path, status in answered if status == 200} == paths
    assert {"/predict", "/explain", "/models/{model_id}"} <= paths


def test_the_document_knows_every_status(ask):
    paths = ask("GET", "/openapi.json").json()["paths"]
    assert {"200", "400", "401", "404", "408", "413", "422", "500", "503"} <= set(
        paths["/predict"]["post"]["responses"]
    )
    assert ask("POST", "/predict", files=[("photos", jpeg((1, 2, 3)))]).status_code == 200
