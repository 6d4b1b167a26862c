"""Queries of a posterior over 5,000 places, as a ratio to one pass of distances of the same size.

Target: below 20 ms for all queries together.
"""

from __future__ import annotations

import numpy as np

from benchmarks.timing import in_turn
from triovision.geo import Box, Evidence, WeightedPlaces, distance_km

PLACES = 5000
COUNTRIES = ("DE", "FR", "GB", "GR", "IT", "JP", "MX", "PE", "TR", "US")
ROUNDS = 50


def random_posterior() -> WeightedPlaces:
    """Return random positions around sixty cities, with weights as uneven as those of a model."""
    random = np.random.default_rng(0)
    cities = random.normal(size=(60, 3))
    city = random.integers(0, len(cities), PLACES)
    xyz = cities[city] / np.linalg.norm(cities, axis=1)[city, None] + 0.05 * random.normal(size=(PLACES, 3))
    x, y, z = xyz.T
    return WeightedPlaces(
        lat_deg=np.degrees(np.arctan2(z, np.hypot(x, y))),
        lon_deg=np.degrees(np.arctan2(y, x)),
        weight=random.dirichlet(np.full(PLACES, 0.3)),
        countries=np.array(COUNTRIES)[city % len(COUNTRIES)],
    )


def fresh(places: WeightedPlaces) -> WeightedPlaces:
    """Return a copy without cached values, like the posterior of a new photo."""
    return WeightedPlaces(
        lat_deg=places.lat_deg, lon_deg=places.lon_deg, weight=places.weight, countries=places.countries
    )


def everything(places: WeightedPlaces) -> None:
    """Compute countries, place, radii, best point, density, and the posterior conditioned on a box."""
    new = fresh(places)
    first = next(iter(new.by_country()))
    new.locate(first, 20)
    new.best_point()
    new.density()
    new.condition(Evidence(box=Box(south_deg=-60, north_deg=60, west_deg=100, east_deg=40)))


def main() -> None:
    """Print one line per query."""
    places = random_posterior()
    first = next(iter(places.by_country()))
    times = in_turn(
        {
            "one pass of distances": lambda: distance_km(48.9, 2.4, places.lat_deg, places.lon_deg),
            "by country": lambda: fresh(places).by_country(),
            "place and radii": lambda: fresh(places).locate(first, 20),
            "best point, distance": lambda: fresh(places).best_point(),
            "best point, GeoScore": lambda: fresh(places).best_point("geo_score"),
            "density": lambda: fresh(places).density(),
            "everything": lambda: everything(places),
        },
        ROUNDS,
    )
    limit = times["one pass of distances"]
    print(f"{PLACES} places")
    for name, ms in times.items():
        print(f"{name:24} {ms:8.2f} ms   {ms / limit:6.1f} times one pass")


if __name__ == "__main__":
    main()
