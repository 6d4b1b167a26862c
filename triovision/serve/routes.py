"""Routes of the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, cast

from fastapi import APIRouter, Depends, File, Form, Query, Request, UploadFile
from fastapi import Path as PathParameter
from fastapi.responses import HTMLResponse, Response

from triovision.errors import BusyError, ServerError
from triovision.explain import ExplainableModel, methods_for
from triovision.explanation_settings import BOUNDS, ExplanationSettings
from triovision.geo import CONTINENTS, Evidence
from triovision.inference import GeoModel
from triovision.inference.card import MODEL_ID
from triovision.results import Explanation, Photo, Prediction
from triovision.serve import answers
from triovision.serve.backend import Backend, Outcome, Question, conditioned
from triovision.serve.docs_page import docs_page
from triovision.serve.wire import encode_error, encode_explanation, encode_predictions, parse_evidence
from triovision.viz.overlays import overlay, png_bytes

open_routes: Final = APIRouter()
routes: Final = APIRouter()

_MOST_COUNTRIES: Final = 500
# Patterns are for the document; `parse_evidence` says in words what is wrong.
_COUNTRY: Final = "^([A-Z]{2})?$"
_COUNTRY_TEXT: Final = "ISO 3166-1 alpha-2 code."
_NUMBER: Final = r"-?\d{1,7}(\.\d{1,20})?(e-?\d{1,3})?"
_BOX: Final = rf"^$|^{_NUMBER}(,{_NUMBER}){{3}}$"
_NEAR: Final = rf"^$|^{_NUMBER}(,{_NUMBER}){{2}}(,[^,\n]{{0,100}})?$"
_SHADOW: Final = rf"^$|^[0-9T:.+-]{{16,40}}(,{_NUMBER}){{1,4}}$"

Detail = Annotated[Literal["summary", "full"], Query(description="`full`: unrounded, for `triovision.Client`.")]
Model = Annotated[
    str, Form(pattern=f"^$|{MODEL_ID}", max_length=200, description="Id of GET /models; the default model otherwise.")
]
ModelInPath = Annotated[str, PathParameter(pattern=MODEL_ID, max_length=200)]


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    texts = {
        400: "The body cannot be read, or has too many files.",
        401: "The key is missing or unknown.",
        404: "There is no such model.",
        408: "The body took too long.",
        413: "The body is too large.",
        422: "A field is wrong.",
        500: "The model fails.",
        503: "No room; `Retry-After` says when to come back.",
    }
    return {status: {"model": answers.ErrorAnswer, "description": texts[status]} for status in (401, *statuses)}


def _backend(request: Request) -> Backend:
    return cast(Backend, request.app.state.backend)


def evidence_of(
    continent: Annotated[
        str, Form(json_schema_extra={"enum": ["", *CONTINENTS]}, description="GeoNames code of a continent.")
    ] = "",
    country: Annotated[str, Form(json_schema_extra={"pattern": _COUNTRY}, description=_COUNTRY_TEXT)] = "",
    box: Annotated[
        str, Form(json_schema_extra={"pattern": _BOX}, description="`south,west,north,east` in degrees.")
    ] = "",
    near: Annotated[
        str, Form(json_schema_extra={"pattern": _NEAR}, description="`latitude,longitude,radius in km,name`.")
    ] = "",
    clue: Annotated[list[str], Form(max_length=50, description="`kind:value`, such as `language:fr`.")] = [],  # noqa: B006
    shadow: Annotated[
        str, Form(json_schema_extra={"pattern": _SHADOW}, description="`instant,height of the sun in degrees`.")
    ] = "",
) -> Evidence | None:
    """Evidence of a request."""
    texts = {"continent": continent, "country": country, "box": box, "near": near, "shadow": shadow}
    return parse_evidence({name: [text] for name, text in texts.items() if text} | {"clue": clue})


@routes.post("/predict", responses=_errors(400, 404, 408, 413, 422, 500, 503))
async def predict(
    request: Request,
    evidence: Annotated[Evidence | None, Depends(evidence_of)],
    photos: Annotated[list[UploadFile], File(description="Photos, each a part of its own.")] = [],  # noqa: B006
    url: Annotated[list[str], Form(max_length=8, description="Links to photos, if the server fetches any.")] = [],  # noqa: B006
    model: Model = "",
    top_k: Annotated[int, Form(ge=1, le=_MOST_COUNTRIES, description="Countries in each prediction.")] = 5,
    detail: Detail = "summary",
) -> answers.PredictAnswer:
    """Predict where photos were taken. Each has its own prediction or error, in the order of the photos."""
    backend = _backend(request)
    links = [link for link in url if link.strip()]
    request.scope["state"]["photos"] = len(photos) + len(links)
    if not photos and not links:
        raise ServerError("The request", "has no photo", "Send each photo as a part named `photos`")
    if links and not backend.settings.allow_urls:
        raise ServerError("`url`", "this server fetches no links", "Send the photo itself")
    chosen = await backend.model(model or None)
    with backend.room_for_links(len(links)):
        reads = [backend.reader(photo.file, photo.filename or "photo") for photo in photos]
        reads += await backend.fetched(links)
        outcomes = await backend.predict(request, chosen.card.id, reads, top_k)
    body = await asyncio.to_thread(_predict_body, chosen, outcomes, evidence, top_k, detail == "full")
    return cast(answers.PredictAnswer, Response(body, media_type="application/json"))


def _predict_body(
    model: GeoModel, outcomes: Sequence[Outcome], evidence: Evidence | None, top_k: int, full: bool
) -> bytes:
    final = [conditioned(outcome, evidence, model, top_k) for outcome in outcomes]
    body: dict[str, Any] = {"model": model.card.id, "results": list(map(_result, final))}
    if full:
        body["full"] = encode_predictions([one if isinstance(one, Prediction) else None for one in final])
    return _json(body)


def _result(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Prediction):
        return {"prediction": outcome.to_dict(), "error": None}
    return {"prediction": None, "error": encode_error(outcome)}


def _setting(name: str, description: str) -> Any:  # noqa: ANN401 - what FastAPI's `Form` returns
    least, most = BOUNDS[name]
    return Form(ge=least, le=most, description=description)


_DEFAULTS: Final = ExplanationSettings()


def question_of(  # noqa: PLR0913, PLR0917 - FastAPI passes each field as an argument
    country: Annotated[str, Form(pattern=_COUNTRY, description=_COUNTRY_TEXT + " The most probable otherwise.")] = "",
    against: Annotated[str, Form(pattern=_COUNTRY, description="Why `country` and not this one: a signed map.")] = "",
    method: Annotated[str, Form(max_length=60, description="A method of GET /models/{model_id}.")] = "",
    window: Annotated[float, _setting("window", "Occlusion: side of the window, as a fraction.")] = _DEFAULTS.window,
    stride: Annotated[float, _setting("stride", "Occlusion: step of the window, at most it.")] = _DEFAULTS.stride,
    segments: Annotated[int, _setting("segments", "LIME and KernelSHAP: superpixels.")] = _DEFAULTS.segments,
    samples: Annotated[int, _setting("samples", "LIME and KernelSHAP: changed photos.")] = _DEFAULTS.samples,
    steps: Annotated[int, _setting("steps", "Integrated gradients and GradientSHAP: points.")] = _DEFAULTS.steps,
    seed: Annotated[int, _setting("seed", "LIME, KernelSHAP and GradientSHAP: seed.")] = _DEFAULTS.seed,
) -> Question:
    """Question of a request."""
    settings = ExplanationSettings(
        window=window, stride=stride, segments=segments, samples=samples, steps=steps, seed=seed
    )
    return Question(country=country or None, against=against or None, method=method or None, settings=settings)


@routes.post(
    "/explain",
    responses={
        200: {
            "content": {"image/png": {}, "application/json": {"schema": {"type": "object"}}},
            "description": "The photo with the map over it; with `detail=full` the map itself as JSON.",
        },
        **_errors(400, 404, 408, 413, 422, 500, 503),
    },
    response_class=Response,
)
async def explain(
    request: Request,
    question: Annotated[Question, Depends(question_of)],
    photo: Annotated[UploadFile, File(description="The photo.")],
    model: Model = "",
    opacity: Annotated[float, Form(ge=0, le=1, description="Opacity of the map over the photo.")] = 0.55,
    detail: Detail = "summary",
) -> Response:
    """Show which parts of a photo raise the score of a country, or of a country against another one."""
    backend = _backend(request)
    request.scope["state"]["photos"] = 1
    chosen = await backend.model(model or None)
    read = backend.reader(photo.file, photo.filename or "photo")
    shown, explanation = await backend.explain(request, chosen, read, question)
    if detail == "full":
        return Response(_json(encode_explanation(explanation)), media_type="application/json")
    picture = await asyncio.to_thread(_overlay, shown, explanation, opacity)
    return Response(picture, media_type="image/png")


def _overlay(photo: Photo, explanation: Explanation, opacity: float) -> bytes:
    return png_bytes(overlay(photo, explanation, opacity))


@routes.get("/models", responses=_errors(500, 503))
async def models(request: Request) -> answers.ModelsAnswer:
    """List the models of this server."""
    backend = _backend(request)
    if backend.default_id is None:
        raise BusyError("The server", "is loading its model", "Try again in a moment", 2)
    cards = await asyncio.to_thread(backend.models.cards)
    listed = [
        answers.ModelAnswer(id=card.id, summary=card.summary, countries=len(card.labels), licence=card.licence)
        for card in cards
    ]
    return answers.ModelsAnswer(default=backend.default_id, models=listed)


@routes.get("/models/{model_id}", responses=_errors(404, 422, 500))
async def model_details(request: Request, model_id: ModelInPath) -> answers.ModelDetails:
    """Return the card of a model, with the calibration in force, and the methods that explain it."""
    found = await _backend(request).model(model_id)
    methods = methods_for(cast(ExplainableModel, found))
    return answers.ModelDetails(card=found.card.model_dump(mode="json"), methods=list(methods))


@routes.get("/models/{model_id}/similarity", responses=_errors(404, 422, 500))
async def similarity(
    request: Request,
    model_id: ModelInPath,
    country: Annotated[list[str], Query(min_length=1, max_length=_MOST_COUNTRIES, description="Labels of the model.")],
) -> answers.SimilarityAnswer:
    """Return how alike countries are to a model."""
    backend = _backend(request)
    found = await backend.model(model_id)
    if unknown := [code for code in country if code not in found.card.labels]:
        raise ServerError(unknown[0][:20], f"is no label of {model_id}", f"Choose among GET /models/{model_id}")
    rows = await asyncio.to_thread(backend.models.run, found, lambda one: one.country_similarity(country))
    return answers.SimilarityAnswer(countries=country, similarity=rows.tolist())


@routes.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}, **_errors()})
async def metrics(request: Request) -> Response:
    """Return the counters of this server in Prometheus' text format."""
    return Response(_backend(request).metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


@open_routes.get("/health")
async def health() -> answers.Status:
    """Tell that the server runs."""
    return answers.Status(status="ok")


@open_routes.get("/ready", responses={503: {"model": answers.ErrorAnswer, "description": "It is not ready yet."}})
async def ready(request: Request) -> answers.Status:
    """Tell whether the default model is in memory and photos are accepted."""
    backend = _backend(request)
    if backend.fault is not None:
        raise BusyError("The default model", "cannot be used", "Look at the server's log", 60)
    if not backend.ready:
        raise BusyError("The server", "is starting or ending", "Try again in a moment", 2)
    return answers.Status(status="ready")


@open_routes.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """Describe the routes on a page without scripts."""
    return HTMLResponse(docs_page(request.app.openapi()))


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")
