"""Example photos with photographer, licence and true place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from triovision.bundle import ASSETS
from triovision.errors import Message

_WIDTH_PX: Final = 1280  # one of the sizes that Wikimedia keeps ready; networks see 448 px
_LICENCES: Final = "https://creativecommons.org/licenses/"


@dataclass(frozen=True, slots=True)
class Place:
    """The place that an example shows.

    Attributes:
        name: Name of the place.
        lat_deg: Latitude in degrees WGS 84.
        lon_deg: Longitude in degrees WGS 84.
    """

    name: Message
    lat_deg: float
    lon_deg: float


@dataclass(frozen=True, slots=True)
class CommonsPhoto:
    """A photo on Wikimedia Commons.

    Attributes:
        file: File name on Wikimedia Commons, without `File:`.
        author: Photographer.
        licence: Short name of the licence.
        licence_url: Address of the licence; empty for the public domain.
        place: Where the photo was taken.
    """

    file: str
    author: str
    licence: str
    licence_url: str
    place: Place

    @property
    def url(self) -> str:
        """Address that redirects to a copy of the file, 1280 px wide."""
        return f"https://commons.wikimedia.org/wiki/Special:FilePath/{quote(self._title)}?width={_WIDTH_PX}"

    @property
    def credit(self) -> str:
        """Photographer and licence in Markdown, with their links."""
        page = f"https://commons.wikimedia.org/wiki/File:{quote(self._title)}"
        licence = f"[{self.licence}]({self.licence_url})" if self.licence_url else self.licence
        return f"[{self.author}]({page}), {licence}"

    @property
    def _title(self) -> str:
        return self.file.replace(" ", "_")


#: Photo of the Summer Palace near Beijing, which is part of the package.
EXAMPLE: Final = ASSETS / "examples" / "china.jpg"
EXAMPLE_CREDIT: Final = (
    f"[danielbuechele](https://www.flickr.com/photos/danielbuechele/6061409035/), [CC BY 2.0]({_LICENCES}by/2.0/)"
)
EXAMPLE_PLACE: Final = Place(Message("Summer Palace, Beijing"), 39.9988, 116.2746)

#: Photos that are fetched when the reader asks for one.
COMMONS_PHOTOS: Final = (
    CommonsPhoto(
        "Colosseo 2020.jpg",
        "FeaturedPics",
        "CC BY-SA 4.0",
        f"{_LICENCES}by-sa/4.0/",
        Place(Message("Colosseum, Rome"), 41.8902, 12.4922),
    ),
    CommonsPhoto(
        "80 - Machu Picchu - Juin 2009 - edit.jpg",
        "Martin St-Amant (S23678)",
        "CC BY-SA 3.0",
        f"{_LICENCES}by-sa/3.0/",
        Place(Message("Machu Picchu, Peru"), -13.1633, -72.5456),
    ),
    CommonsPhoto(
        "Taj Mahal (Edited).jpeg",
        "Yann, Jim Carter",
        "CC BY-SA 4.0",
        f"{_LICENCES}by-sa/4.0/",
        Place(Message("Taj Mahal, Agra"), 27.1750, 78.0422),
    ),
    CommonsPhoto(
        "Moraine Lake 17092005.jpg",
        "Gorgo",
        "Public domain",
        "",
        Place(Message("Moraine Lake, Canada"), 51.3217, -116.1861),
    ),
)
