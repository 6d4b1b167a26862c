"""Texts about the methods of explanation: their names, what each one shows, and how long it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triovision.ui.translation import Translator

if TYPE_CHECKING:
    from triovision.explain.methods import Kind


def method_name(method: str, t: Translator) -> str:
    """Name of a method in the language of the reader; most are the same in every language."""
    return {
        "Gradient-weighted attention": t("Gradient-weighted attention"),
        "Integrated gradients": t("Integrated gradients"),
    }.get(method, method)


def kind_name(kind: Kind, t: Translator) -> str:
    """What a kind of method reads."""
    return {
        "class activation": t("last layer"),
        "attention": t("attention"),
        "perturbation": t("covered parts"),
        "gradient": t("pixels"),
    }[kind]


def reading(method: str, t: Translator) -> str:
    """How to read the map of a method; empty for one that this page does not know."""
    return {
        "LayerCAM": t(
            "Each cell of the last layer counts as much as it raises the score: the strongest cells hold what the "
            "network found most telling."
        ),
        "Grad-CAM": t(
            "Each channel of the last layer, a detector of one kind of pattern, counts as much as it raises the score "
            "on average: read regions, not edges."
        ),
        "Grad-CAM++": t(
            "Like Grad-CAM, but a thing that appears several times counts each time: the map shows all its places."
        ),
        "Score-CAM": t(
            "Each channel of the last layer, a detector of one kind of pattern, is tried as a mask, and counts as much "
            "as the score that the photo behind it gets: the strongest regions are enough on their own."
        ),
        "Gradient-weighted attention": t(
            "The strongest patches are those that the network attends to and that raise the score."
        ),
        "Occlusion": t(
            "A window of the photo's mean colour covers one part after the other: the stronger the colour, the more "
            "the score changes when this part is covered. Things smaller than the window are smeared."
        ),
        "LIME": t(
            "The photo is cut into segments of similar colour. Random sets of them are covered, and a linear model "
            "learns the scores: the colour of a segment is its weight in that model. Compare whole segments."
        ),
        "KernelSHAP": t(
            "The photo is cut into segments of similar colour. The score is shared out among them as a prize among "
            "players (Shapley values): the colour of a segment is its share, and all shares make up the whole gain. "
            "Compare whole segments."
        ),
        "GradientSHAP": t(
            "Gradients are averaged at random points between plain pictures and the photo: read groups of pixels, one "
            "pixel alone means nothing."
        ),
        "Integrated gradients": t(
            "Gradients are added up on the way from the photo's mean colour to the photo: read groups of pixels; all "
            "pixels together make up the gain of the score."
        ),
    }.get(method, "")


def elapsed_time(elapsed_ms: float, t: Translator) -> str:
    """A measured time in milliseconds, in seconds from one of them."""
    if elapsed_ms < 1000:
        return f"{t.number(elapsed_ms)} ms"
    return f"{t.number(elapsed_ms / 1000, 1 if elapsed_ms < 10_000 else 0)} s"


def about_time(estimate_ms: float, t: Translator) -> str:
    """An estimated time in whole seconds, in minutes from two of them."""
    seconds = estimate_ms / 1000
    if seconds < 1:
        return t("less than 1 s")
    if seconds < 120:
        return t("about {seconds} s", seconds=t.number(seconds))
    return t("about {duration}", duration=t.duration(seconds))
