"""Evidence about the place of a photo, known to a person: continent, country, box, city, clues, shadow."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from triovision.errors import EvidenceError, Message
from triovision.geo.clues import Clue
from triovision.geo.continents import CONTINENTS, continent_code
from triovision.geo.countries import is_country
from triovision.geo.distances import distance_km
from triovision.geo.sun import ShadowBand


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Area between two parallels and two meridians, edges included; it may cross the date line.

    Attributes:
        south_deg: Southern edge.
        north_deg: Northern edge.
        west_deg: Western edge, from -180 to 180; it lies east of `east_deg` when the box crosses the date line.
        east_deg: Eastern edge, from -180 to 180.

    Raises:
        EvidenceError: If an edge lies nowhere, or south lies north of north.
    """

    south_deg: float
    north_deg: float
    west_deg: float
    east_deg: float

    def __post_init__(self) -> None:
        """Check the edges."""
        if not all(-180 <= lon_deg <= 180 for lon_deg in (self.west_deg, self.east_deg)):
            raise EvidenceError(str(self), Message("west and east must lie within ±180°"), Message("Correct the box"))
        if not (-90 <= self.south_deg <= 90 and -90 <= self.north_deg <= 90):
            raise EvidenceError(str(self), Message("south and north must lie within ±90°"), Message("Correct the box"))
        if self.south_deg > self.north_deg:
            raise EvidenceError(str(self), Message("its south lies north of its north"), Message("Correct the box"))

    def contains(self, lat_deg: NDArray[np.float64], lon_deg: NDArray[np.float64]) -> NDArray[np.bool_]:
        """True for the positions that lie in the box."""
        # -180 and 180 are one meridian.
        east_of_west = (lon_deg - self.west_deg) % 360
        return (lat_deg >= self.south_deg) & (lat_deg <= self.north_deg) & (east_of_west <= self.width_deg)

    @property
    def width_deg(self) -> float:
        """Degrees from west to east, up to 360."""
        all_round = self.east_deg - self.west_deg == 360
        return 360.0 if all_round else (self.east_deg - self.west_deg) % 360

    def __str__(self) -> str:
        """South, west, north and east in degrees."""
        return f"{self.south_deg:g}, {self.west_deg:g}, {self.north_deg:g}, {self.east_deg:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """Area within a distance of a city.

    Raises:
        EvidenceError: If the radius is no positive number.
    """

    name: str
    lat_deg: float
    lon_deg: float
    radius_km: float

    def __post_init__(self) -> None:
        """Check the radius."""
        if not 0 < self.radius_km < math.inf:
            raise EvidenceError(
                self.name, Message("the distance from it must be above 0 km"), Message("Correct the distance")
            )


_FIELDS: Final = ("continent", "country", "box", "near", "shadow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Evidence about a photo's place. All fields and all clues hold together; None is no evidence.

    Attributes:
        continent: GeoNames code, a key of `CONTINENTS`.
        country: ISO 3166-1 alpha-2 code.
        box: Area between parallels and meridians.
        near: Area around a city.
        clues: Things seen in the photo; a country must agree with each.
        shadow: Height, and perhaps direction, of the sun at an instant.

    Raises:
        EvidenceError: If there is no such continent or country, or the evidence is empty.
    """

    continent: str | None = None
    country: str | None = None
    box: Box | None = None
    near: Near | None = None
    clues: tuple[Clue, ...] = ()
    shadow: ShadowBand | None = None

    def __post_init__(self) -> None:
        """Check the codes, and that at least one field is given."""
        if self.continent is not None and self.continent not in CONTINENTS:
            raise EvidenceError(
                self.continent,
                Message("is not a continent"),
                Message("Choose one of {choices}", choices=", ".join(CONTINENTS)),
            )
        if self.country is not None and not is_country(self.country):
            raise EvidenceError(
                self.country, Message("is not a country"), Message("Give its code of two letters, such as FR")
            )
        if not self.clues and all(getattr(self, name) is None for name in _FIELDS):
            raise EvidenceError(
                "evidence", Message("is empty"), Message("Name a continent, a country, a box, a city or a clue")
            )

    def contains(
        self, lat_deg: NDArray[np.float64], lon_deg: NDArray[np.float64], countries: NDArray[np.str_]
    ) -> NDArray[np.bool_]:
        """True for the positions, each in one of `countries`, that agree with every field."""
        agrees = np.ones(len(countries), dtype=np.bool_)
        if self.continent is not None:
            inside = [code for code in set(countries.tolist()) if continent_code(code) == self.continent]
            agrees &= np.isin(countries, inside)
        if self.country is not None:
            agrees &= countries == self.country
        if self.box is not None:
            agrees &= self.box.contains(lat_deg, lon_deg)
        if self.near is not None:
            agrees &= distance_km(self.near.lat_deg, self.near.lon_deg, lat_deg, lon_deg) <= self.near.radius_km
        for clue in self.clues:
            agrees &= np.isin(countries, sorted(clue.countries))
        if self.shadow is not None:
            agrees &= self.shadow.contains(lat_deg, lon_deg)
        return agrees

    def pieces(self) -> tuple[Evidence, ...]:
        """The evidence cut into pieces of one field or one clue, which hold together."""
        given = {name: value for name in _FIELDS if (value := getattr(self, name)) is not None}
        fields = tuple(Evidence(**{name: value}) for name, value in given.items())
        return fields + tuple(Evidence(clues=(clue,)) for clue in self.clues)

    def without(self, piece: Evidence) -> Evidence | None:
        """The evidence without the fields and clues that a piece gives, or None if nothing is left."""
        fields = {name: getattr(self, name) for name in _FIELDS if getattr(piece, name) is None}
        clues = tuple(clue for clue in self.clues if clue not in piece.clues)
        if not clues and all(value is None for value in fields.values()):
            return None
        return Evidence(**fields, clues=clues)

    def to_dict(self) -> dict[str, Any]:
        """The given fields as JSON values; each clue with its countries."""
        fields = {name: value for name, value in asdict(self).items() if value is not None and name != "clues"}
        if self.shadow is not None:
            fields["shadow"] = self.shadow.to_dict()
        if self.clues:
            fields["clues"] = [asdict(clue) | {"countries": sorted(clue.countries)} for clue in self.clues]
        return fields

    def __str__(self) -> str:
        """The given fields in codes and numbers."""
        box = self.box and str(self.box)
        near = self.near and f"{self.near.name} ±{self.near.radius_km:g} km"
        shadow = self.shadow and str(self.shadow)
        parts = (self.continent, self.country, box, near, *map(str, self.clues), shadow)
        return " · ".join(part for part in parts if part)
