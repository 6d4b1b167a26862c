"""Flags for the texts of the page: drawings that Streamlit serves, or emoji where they are not installed."""

from __future__ import annotations

from streamlit.components.v1 import declare_component

from triovision.geo import country_flag, country_name
from triovision.ui.translation import Translator, plain
from triovision.viz.flags import FLAGS, flag_file


def flag_address(country: str) -> str | None:
    """Address of the drawing of a flag, relative to the page; None if there is no drawing.

    Args:
        country: ISO 3166-1 alpha-2 code.
    """
    path = flag_file(country)
    if path is None:
        return None
    # Streamlit serves the folder of a component; a browser knows no flag emoji on Windows and on many a Linux.
    component = declare_component("flags", path=str(FLAGS))
    return f"component/{component.name}/{path.name}"


def flag_markdown(country: str, t: Translator) -> str:
    """Flag of a country for a Markdown text or label.

    Args:
        country: ISO 3166-1 alpha-2 code.
        t: Language of the alternative text.

    Returns:
        An image with the alternative text "Flag: France"; the emoji, if the drawings are not installed; an empty
        string, if the code is no country.
    """
    address = flag_address(country)
    if address is None:
        return country_flag(country)
    alternative = t("Flag: {country}", country=country_name(country, t.language))
    return f"![{plain(alternative)}]({address})"


def with_flag(country: str, text: str, t: Translator) -> str:
    """A Markdown text after the flag of a country; the text alone, if the code is no country."""
    return f"{flag_markdown(country, t)} {text}".strip()
