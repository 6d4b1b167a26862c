"""Countries and places of a model card in the reader's language."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from triovision.geo import country_name
from triovision.ui.translation import Translator

if TYPE_CHECKING:
    from triovision.inference import ModelCard

# As the export writes them.
_KNOWS: Final = re.compile(
    r"\d+ countries: (?P<countries>.+ \(\d+ photos?\))\. "
    r"Places with (?P<least>\d+) training photos or more, by the[^:]+: (?P<places>.+)\. For [^.]+\."
)
_COUNTRY: Final = re.compile(r"(.+?) \((\d+) photos?\)(?:, |$)")


def known_countries(card: ModelCard, t: Translator) -> str:
    """Countries and places that a model knows, as its card lists them; the card's own text if it has another form.

    Args:
        card: Model card.
        t: Language of the reader.
    """
    codes = {country_name(code): code for code in card.labels}
    found = _KNOWS.fullmatch(card.knows)
    countries = _COUNTRY.findall(found["countries"]) if found else []
    if t.language == "en" or found is None or not all(name in codes for name, _ in countries):
        return t.of_card(card.knows)
    names = (
        f"{country_name(codes[name], t.language)} ({t.plural('{number} photo', '{number} photos', int(photos))})"
        for name, photos in countries
    )
    return t(
        "{countries}: {names}. Places with {least} training photos or more, by their names in the data: {places}. "
        "For all other photos it should abstain.",
        countries=t.plural("{number} country", "{number} countries", len(countries)),
        names=", ".join(names),
        least=found["least"],
        places=found["places"],
    )
