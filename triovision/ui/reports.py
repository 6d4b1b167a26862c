"""Errors and warnings of the library, which speaks English, in the reader's language."""

from __future__ import annotations

import re
from functools import cache

from triovision.errors import TrioVisionError
from triovision.ui.translation import Translator, plain


def _known(*texts: str) -> tuple[str, ...]:
    """Texts that the library writes, with `{name}` where it fills something in; catalogues translate them."""
    return texts


TEXTS = _known(
    "the file is empty",
    "it has {size} MB, more than the {most} MB allowed",
    "it is {kind}, which is not read here",
    "its content is no image of a kind that is read here, or is damaged",
    "it is an animation of more than {frames} frames",
    "it has {size} megapixels, more than the {most} allowed",
    "it is {width} x {height} pixels, which shows nothing",
    "it is a JPEG of more than {scans} scans, made to keep a computer busy",
    "it is cut short: {share} of the picture is missing",
    "it unpacks to far more pixels than so small a file holds, as decompression bombs do",
    "it has more pixels than can be read safely",
    "it needs more memory than there is",
    "it is damaged or cut short and cannot be decoded",
    "a PDF document",
    "a Photoshop document",
    "a PostScript drawing",
    "a ZIP archive or an office document",
    "an icon",
    "a JPEG XL picture",
    "a JPEG 2000 picture",
    "a camera raw file",
    "a video",
    "a web page",
    "an SVG drawing",
    "an XML text",
    "Use a smaller copy of the photo",
    "Choose a larger copy of the photo",
    "Copy the file from its source again, or export the photo anew",
    "Save one frame as a photo",
    "Choose a photo in {formats}",
    "Export the photo as {formats}",
    "{formats} or BMP",
    "The file is cut short: {what}.",
    "{share} of the picture is missing",
    "fine detail may be missing",
    "The camera's notes are damaged and were ignored.",
    "The colour profile cannot be used and was ignored: colours may be off.",
    "is no model on this machine",
    "Models in {folder}: {models}",
    "cannot be read ({why})",
    "is no valid model card ({faults})",
    "has SHA-256 {found}, the card says {expected}",
    "no place that the model considers agrees with it",
    "Say less, or draw a larger box",
    "its south lies north of its north",
    "Correct the box",
    "says nothing",
    "Name a continent, a country, a box or a city",
    "a box has four edges",
    "Fill in all four edges, or none",
    "Restore the folder from the repository, or make it anew with `{command}`",
    "Install the model anew with `{command}`",
    "is needed by the worldwide model and is not installed",
    "Install the packages of the worldwide model: {command}",
    "holds no usable preprocessing ({why})",
    "holds no usable CLIP ({why})",
    "lacks fitting weights for {names}",
    "does not fit the network ({why})",
    "its card does not name its files ({faults})",
    "is being installed by another process",
    "Wait for it to end",
    "cannot be written ({why})",
    "Free the disk or name another folder in TRIOVISION_MODELS, and give the same command again",
    "Free the disk or name another folder in TRIOVISION_MODELS",
    "has {free} GB free, and {needed} GB are still to come",
    "the server answers {status}",
    "the server answers with another part than asked for",
    "the connection failed ({why})",
    "it has more than the {most} MB allowed",
    "does not have the SHA-256 that the card names, and was thrown away",
    "Give the same command again; if it happens again, the server gives out another file: use another one",
    "Check the network, or name a mirror in HF_ENDPOINT, and give the same command again: it goes on where it stopped. "
    "The embedded model keeps working meanwhile",
    "ended with an error ({why})",
    "Try again",
)


def report(error: TrioVisionError, say: Translator) -> str:
    """An error as Markdown: the thing in bold, the reason, the remedy."""
    reason, remedy = (plain(in_words(text, say), 400) for text in (error.reason, error.remedy))
    return f"**{plain(error.subject, 200)}**: {reason}. {remedy}."


def in_words(text: str, say: Translator) -> str:
    """A text of the library in the reader's language; in English where the catalogues do not know it."""
    for msgid, pattern in _patterns():
        found = pattern.fullmatch(text)
        if found:
            return say(msgid, **{name: in_words(value, say) for name, value in found.groupdict().items()})
    return text


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    def pattern(msgid: str) -> re.Pattern[str]:
        return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(msgid)), re.DOTALL)

    return tuple((msgid, pattern(msgid)) for msgid in TEXTS)
