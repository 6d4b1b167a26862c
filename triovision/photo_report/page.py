"""Report of a photo: one HTML page with photo, prediction, map and explanation, which asks a network for nothing."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from io import BytesIO
from typing import Final

from babel.dates import format_date
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

import triovision
from triovision.geo import country_flag, country_name
from triovision.languages import Translator
from triovision.photo.names import clean_text
from triovision.photo_report.map_picture import map_picture, shows_density
from triovision.prediction_texts import (
    Fact,
    area_sentence,
    area_title,
    camera_rows,
    candidates,
    confidence_text,
    explained_text,
    guess_text,
    legend_text,
    other_countries,
    place_rows,
)
from triovision.results import Explanation, Photo, Prediction
from triovision.viz.overlays import overlay, png_bytes

MAX_SIDE_PX: Final = 1600

_BARS: Final = 10
_LEAST_BAR: Final = 0.005

FACTS: Final[tuple[Fact, ...]] = ("taken", "camera", "position")
"""What the camera wrote and a report can show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a report shows.

    Attributes:
        photo: The photo.
        prediction: Its prediction.
        fitted_on: Photos that the model was calibrated on, as its card says; empty for an uncalibrated model.
        explanation: Heat map of the photo; None for a report without one.
        evidence: Sentences about the evidence that the prediction is conditioned on, in the reader's language.
        facts: What the camera wrote and the report may show.
        credit: Markdown with the photographer, if the licence requires it.
    """

    photo: Photo
    prediction: Prediction
    fitted_on: str
    explanation: Explanation | None = None
    evidence: str = ""
    facts: frozenset[Fact] = frozenset()
    credit: str = ""


def report_page(report: Report, t: Translator, today: date) -> str:
    """Write a report as one HTML page. Everything is in the file, and its content policy forbids every request.

    Args:
        report: What it shows.
        t: Language of the reader.
        today: Date of the report.
    """
    prediction = report.prediction
    camera = report.photo.camera.position if "position" in report.facts else None
    place = prediction.landmark or prediction.place
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            language=t.language,
            title=area_title(prediction.area, t),
            flag=country_flag(prediction.area.country),
            certainty=confidence_text(prediction, t),
            sentence=area_sentence(prediction, t),
            name=clean_text(report.photo.name, 200),
            photo=_jpeg_uri(report.photo),
            credit=_credit(report.credit),
            candidates=_candidates(prediction, t),
            evidence=report.evidence,
            map=map_picture(
                prediction,
                camera,
                (place.name, t("Position in the file")),
                t("Map of the predicted place: {place}", place=place.name),
            ),
            map_captions=_map_captions(prediction, camera, t),
            bars=_bars(prediction, t),
            explanation=_explanation(report, t),
            facts=_facts(report, t),
            model=_model(report, t),
            made=t(
                "Made with TrioVision {version} on {date}",
                version=triovision.__version__,
                date=format_date(today, "long", t.language),
            ),
            words=_words(t),
        )
    )


def _candidates(prediction: Prediction, t: Translator) -> str:
    """The countries below a vague title, or the sentence with the other countries of the likely set."""
    calibrated = prediction.calibrated
    guesses = [f"{country_flag(one.country)} {guess_text(one, calibrated, t)}" for one in candidates(prediction)]
    return ", ".join(guesses) or other_countries(prediction, t)


def _bars(prediction: Prediction, t: Translator) -> list[tuple[str, str, float, str]]:
    """Flag, name, probability and its words of the first countries: at least three, and those of half a per cent."""
    shown = [guess for i, guess in enumerate(prediction.countries[:_BARS]) if i < 3 or guess.probability >= _LEAST_BAR]
    return [
        (
            country_flag(guess.country),
            country_name(guess.country, t.language),
            guess.probability,
            # The percentages of an uncalibrated model are no shares of right answers.
            t.percent(guess.probability) if prediction.calibrated else "",
        )
        for guess in shown
    ]


def _map_captions(prediction: Prediction, camera: tuple[float, float] | None, t: Translator) -> Sequence[str]:
    captions = [f"{name}: {value}" for name, value in place_rows(prediction, t).items()]
    if shows_density(prediction):
        captions.append(t("Darker cells are more probable; together they hold 95% of the probability."))
    if camera is not None:
        captions.append(t("The square is the position in the photo's file."))
    return captions


def _explanation(report: Report, t: Translator) -> dict[str, str] | None:
    explanation = report.explanation
    if explanation is None:
        return None
    return {
        "image": _uri("image/png", png_bytes(overlay(report.photo, explanation))),
        "alt": t("Heat map for {country}", country=explained_text(explanation, t)),
        "caption": legend_text(explanation, t),
        "method": f"{explanation.method}, {explanation.layer}",
    }


def _facts(report: Report, t: Translator) -> dict[str, str]:
    chosen = [fact for fact in FACTS if fact in report.facts]
    return {name: clean_text(value, 200) for name, value in camera_rows(report.photo.camera, chosen, t).items()}


def _model(report: Report, t: Translator) -> dict[str, str]:
    return {
        t("Model"): report.prediction.model,
        t("Calibrated on"): t.of_card(report.fitted_on) or t("Uncalibrated"),
    }


def _words(t: Translator) -> dict[str, str]:
    """Fixed texts of the template."""
    return {
        "heading": t("Where was this photo taken?"),
        "photo": t("Photo"),
        "photographer": t("Photo:"),
        "map": t("Map"),
        "probabilities": t("Probabilities"),
        "why": t("Why"),
        "method": t("Method"),
        "file": t("Photo file"),
        "use": t(
            "Do not use it to find out where private persons live, work or stay, to follow anybody, or as evidence. "
            "A prediction is a guess with a probability, not a proof: check it with other sources before you act on it."
        ),
    }


def _credit(markdown: str) -> str:
    """The text of a credit, with the address of each of its links in parentheses."""
    return re.sub(r"\[([^\]]*)\]\(([^)]*)\)", r"\1 (\2)", markdown)


def _jpeg_uri(photo: Photo) -> str:
    """The pixels as a new JPEG file without any metadata, at most 1600 pixels long."""
    image = Image.fromarray(photo.image_hwc)
    image.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
    buffer = BytesIO()
    image.save(buffer, format="JPEG", quality=88)
    return _uri("image/jpeg", buffer.getvalue())


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


@cache
def _environment() -> Environment:
    loader = PackageLoader("triovision.photo_report")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
