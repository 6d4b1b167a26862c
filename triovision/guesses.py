"""Country, place and area guesses with their probabilities, and the checks of positions and probabilities."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

AreaKind = Literal["landmark", "place", "region", "country", "part_of_world", "unknown"]


@dataclass(frozen=True, slots=True)
class CountryGuess:
    """A country (ISO 3166-1 alpha-2) with its calibrated probability."""

    country: str
    probability: float

    def __post_init__(self) -> None:
        """Check the country code and the probability."""
        if len(self.country) != 2 or not self.country.isupper():
            raise ValueError(f"`country` must be an ISO 3166-1 alpha-2 code, got {self.country!r}")
        check_probability(self.probability)


@dataclass(frozen=True, slots=True)
class PlaceGuess:
    """A point on Earth (degrees WGS 84) with the probability that the posterior gives it."""

    name: str
    country: str
    lat_deg: float
    lon_deg: float
    probability: float

    def __post_init__(self) -> None:
        """Check the position and the probability."""
        check_position(self.lat_deg, self.lon_deg)
        check_probability(self.probability)

    def to_dict(self) -> dict[str, Any]:
        """The place as JSON values, degrees with five decimals."""
        return {
            "name": self.name,
            "country": self.country,
            "lat_deg": round(self.lat_deg, 5),
            "lon_deg": round(self.lon_deg, 5),
            "probability": round(self.probability, 6),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """The smallest area that a model can vouch for.

    Attributes:
        kind: Size of the area, from a landmark to the whole Earth ("unknown").
        probability: Probability that the photo was taken in the area; 1 for "unknown".
        name: Name of the landmark, or of the city of a place or region; empty for a larger area.
        city: City that a landmark lies in; empty for other areas and for a landmark outside cities.
        country: ISO 3166-1 alpha-2 code; empty for a part of the world and "unknown".
        part_of_world: UN M49 code, a key of `triovision.geo.PARTS_OF_WORLD`; empty for other areas.
        radius_km: Radius around a landmark or city; None for a larger area.
    """

    kind: AreaKind
    probability: float
    name: str = ""
    city: str = ""
    country: str = ""
    part_of_world: str = ""
    radius_km: float | None = None

    def __post_init__(self) -> None:
        """Check the probability."""
        check_probability(self.probability)

    def to_dict(self) -> dict[str, Any]:
        """The area as JSON values; a field that the kind does not use is null."""
        radius_km = None if self.radius_km is None else round(self.radius_km, 3)
        named = {name: None if value == "" else value for name, value in asdict(self).items()}
        return named | {"radius_km": radius_km, "probability": round(self.probability, 6)}


def check_position(lat_deg: float, lon_deg: float) -> None:
    """Raise ValueError unless the point lies on Earth (NaN does not)."""
    if not (-90 <= lat_deg <= 90 and -180 <= lon_deg <= 180):
        raise ValueError(f"`lat_deg`, `lon_deg` must lie within ±90 and ±180, got {lat_deg}, {lon_deg}")


def check_probability(probability: float) -> None:
    """Raise ValueError unless the value lies in [0, 1], a rounding error aside."""
    if not 0 <= probability <= 1 + 1e-6:
        raise ValueError(f"`probability` must lie in [0, 1], got {probability}")
