"""Country and place guesses with their probabilities, and the checks of positions and probabilities."""

from __future__ import annotations

from dataclasses import dataclass


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


def check_position(lat_deg: float, lon_deg: float) -> None:
    """Raise ValueError unless the point lies on Earth (NaN does not)."""
    if not (-90 <= lat_deg <= 90 and -180 <= lon_deg <= 180):
        raise ValueError(f"`lat_deg`, `lon_deg` must lie within ±90 and ±180, got {lat_deg}, {lon_deg}")


def check_probability(probability: float) -> None:
    """Raise ValueError unless the value lies in [0, 1], a rounding error aside."""
    if not 0 <= probability <= 1 + 1e-6:
        raise ValueError(f"`probability` must lie in [0, 1], got {probability}")
