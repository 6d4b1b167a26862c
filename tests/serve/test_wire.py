"""The wire format: nothing is lost, and nothing else is taken for it."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from tests.serve.colour_model import ColourModel
from triovision import errors
from triovision.errors import BusyError, Message, ModelFailure, PhotoError, ServerError
from triovision.geo import Evidence
from triovision.geo.clues import Clue
from triovision.geo.evidence import Box, Near
from triovision.geo.sun import ShadowBand
from triovision.guesses import PlaceGuess
from triovision.results import Explanation, Photo
from triovision.serve.wire import (
    decode_error,
    decode_explanation,
    decode_predictions,
    encode_error,
    encode_explanation,
    encode_predictions,
    evidence_fields,
    parse_evidence,
)


def prediction(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    photo = Photo(name=f"{seed}.jpg", image_hwc=pixels, original_width_px=8, original_height_px=8, format="PNG")
    return ColourModel("colour.a").predict([photo])[0]


def through_json(value):
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("resolution_km", [0.1, np.array([0.1, 1 / 3, 2.0, 7.0])])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_predictions_come_back_equal_with_their_posterior(resolution_km, dtype):
    sent = prediction(1)
    posterior = replace(sent.posterior, weight=sent.posterior.weight.astype(dtype), resolution_km=resolution_km)
    landmark = PlaceGuess("Tower", "FR", 48.858370123456789, 2.2944810987, 0.9000000001)
    sent = replace(sent, posterior=posterior, landmark=landmark, radius_km=1 / 3)
    back, gap = decode_predictions(through_json(encode_predictions([sent, None])))
    assert gap is None
    assert back == sent
    for name in ("lat_deg", "lon_deg", "weight", "countries"):
        assert np.array_equal(getattr(back.posterior, name), getattr(posterior, name))
    assert back.posterior.weight.dtype == dtype
    assert tuple(back.posterior.names) == tuple(posterior.names)
    assert np.array_equal(back.posterior.resolution_km, resolution_km)


def test_places_that_predictions_share_are_sent_once():
    first = prediction(1)
    second = replace(first, posterior=replace(first.posterior, weight=first.posterior.weight[::-1]))
    encoded = encode_predictions([first, second, prediction(2)])
    assert [one["posterior"]["places"] for one in encoded["predictions"]] == [0, 0, 1]
    assert len(encoded["places"]) == 2
    back = decode_predictions(through_json(encoded))
    assert np.array_equal(back[1].posterior.weight, second.posterior.weight)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.update(places=[]),
        lambda body: body.pop("places"),
        lambda body: body["predictions"][0].pop("place"),
        lambda body: body["predictions"][0]["place"].update(lat_deg=900),
        lambda body: body["predictions"][0]["place"].update(lat_deg="north"),
        lambda body: body["predictions"][0]["posterior"].update(weight={"dtype": "<f8", "base64": "AAAA"}),
        lambda body: body["predictions"][0]["posterior"].update(weight={"dtype": "|O", "base64": ""}),
        lambda body: body["predictions"][0]["posterior"].update(weight={"dtype": "<f8", "base64": "?"}),
        lambda body: body["predictions"][0].update(countries=[["FR", 0.1], ["DE", 0.9]]),
        lambda body: body["predictions"][0].update(countries=[]),
    ],
)
def test_anything_else_is_an_error_in_words(change):
    body = through_json(encode_predictions([prediction(1)]))
    change(body)
    with pytest.raises(ServerError, match="none of TrioVision's"):
        decode_predictions(body)


@pytest.mark.parametrize("answer", [None, [], "x", 3, {"predictions": 3, "places": []}])
def test_an_answer_of_another_shape_is_an_error_in_words(answer):
    for decode in (decode_predictions, decode_explanation):
        with pytest.raises(ServerError):
            decode(answer)


def test_explanations_come_back_equal():
    heatmap_hw = np.random.default_rng(0).random((7, 10), np.float32)
    sent = Explanation(
        photo="x", model="a.b", country="FR", method="LayerCAM", layer="a.b", heatmap_hw=heatmap_hw,
        box=(0.1, 0, 0.9, 1), elapsed_ms=1.25,
    )  # fmt: skip
    back = decode_explanation(through_json(encode_explanation(sent)))
    assert np.array_equal(back.heatmap_hw, heatmap_hw)
    assert replace(back, heatmap_hw=heatmap_hw).__class__ is Explanation
    assert (back.against, back.signed) == (None, False)
    contrast = replace(sent, heatmap_hw=heatmap_hw * 2 - 1, against="IT", signed=True)
    contrast_back = decode_explanation(through_json(encode_explanation(contrast)))
    assert np.array_equal(contrast_back.heatmap_hw, contrast.heatmap_hw)
    assert (contrast_back.against, contrast_back.signed) == ("IT", True)
    with pytest.raises(ServerError):
        decode_explanation(through_json(encode_explanation(contrast)) | {"signed": False})
    assert (back.box, back.layer, back.elapsed_ms) == (sent.box, sent.layer, sent.elapsed_ms)
    with pytest.raises(ServerError):
        decode_explanation(through_json(encode_explanation(sent)) | {"box": [0, 0]})


def test_errors_come_back_in_their_class():
    for kind in (PhotoError, ModelFailure, errors.EvidenceError, errors.ExplanationError):
        sent = kind("x.jpg", Message("is {kind}", kind="bad"), "Choose another")
        back = decode_error(through_json(encode_error(sent)))
        assert type(back) is kind
        assert str(back) == str(sent)
    assert type(decode_error(encode_error(BusyError("a", "b", "c", 3)))) is ServerError
    for strange in (None, 3, {}, {"type": "faults"}, {"type": "Message"}, {"type": "__class__"}):
        assert type(decode_error(strange)) is ServerError


@pytest.mark.parametrize(
    "evidence",
    [
        Evidence(continent="EU", country="FR"),
        Evidence(box=Box(south_deg=-1 / 3, north_deg=1e-7, west_deg=170.5, east_deg=-170.5)),
        Evidence(near=Near(name="Saint-Denis, Réunion", lat_deg=-20.8823, lon_deg=55.4504, radius_km=12.5)),
        Evidence(clues=(Clue("language", "fr"), Clue("internet_ending", ".fr"), Clue("currency", "EUR"))),
        Evidence(shadow=ShadowBand(at=datetime(2024, 6, 1, 12, 30, 15, tzinfo=UTC), sun_height_deg=30.5)),
        Evidence(
            shadow=ShadowBand(
                at=datetime(2024, 6, 1, 12, tzinfo=UTC),
                sun_height_deg=1 / 3,
                tolerance_deg=2.0,
                shadow_direction_deg=0.0,
                direction_tolerance_deg=7.5,
            )
        ),
    ],
)
def test_evidence_comes_back_equal(evidence):
    assert parse_evidence(evidence_fields(evidence)) == evidence


def test_no_evidence():
    assert parse_evidence({}) is None
    assert parse_evidence({"country": [""], "clue": [" "], "box": []}) is None
