"""Photos with positions: selection, nearest cities and splits for position runs."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from triovision.errors import ManifestError, RecipeError
from triovision.geo.city_metadata import city_metadata, nearest_city
from triovision.inference.standardisation import Floats, Standardisation, fit_standardisation
from triovision.train.data.array_store import ArrayStore
from triovision.train.data.manifest import Manifest
from triovision.train.data.splits import marked_rows
from triovision.train.recipes.position_recipe import PositionRecipe

log = logging.getLogger(__name__)
_NAMED = 5


@dataclass(frozen=True, slots=True)
class LocatedPhotos:
    """The photos of a manifest that have a position.

    Attributes:
        manifest: Those photos, in their order.
        without_position: Number of photos without any.
        impossible: Files whose position is half there or no place on Earth, and which are left out for it.
    """

    manifest: Manifest
    without_position: int
    impossible: tuple[str, ...]

    @property
    def lat_deg(self) -> NDArray[np.float64]:
        """Latitude of each photo in degrees, shape `(n,)`."""
        return np.asarray(self.manifest.table["lat"], np.float64)

    @property
    def lon_deg(self) -> NDArray[np.float64]:
        """Longitude of each photo in degrees, shape `(n,)`."""
        return np.asarray(self.manifest.table["lon"], np.float64)


def located(manifest: Manifest) -> LocatedPhotos:
    """Choose the photos that have a whole, possible position; log the files that have another.

    Raises:
        ManifestError: If no photo has one.
    """
    lat_deg = manifest.table["lat"].to_numpy(np.float64)
    lon_deg = manifest.table["lon"].to_numpy(np.float64)
    none = np.isnan(lat_deg) & np.isnan(lon_deg)
    possible = (np.abs(lat_deg) <= 90) & (np.abs(lon_deg) <= 180)  # false for what is no number
    impossible = tuple(manifest.table["file"][~none & ~possible])
    if impossible:
        named = ", ".join(impossible[:_NAMED]) + (" …" if len(impossible) > _NAMED else "")
        log.warning("left out %d photos whose position is half there or impossible: %s", len(impossible), named)
    if not possible.any():
        remedy = "Give a manifest with `lat` and `lon` in degrees"
        raise ManifestError("The manifest", f"has no photo with a position, of {len(manifest)}", remedy)
    return LocatedPhotos(manifest.where(possible), int(none.sum()), impossible)


Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """The photos of a run, by their number among those with a position.

    Attributes:
        photos: Photos with a position.
        city: Metadata of the city nearest to each of them, as `city_metadata` gives it, shape `(n, m)`.
        training: Numbers of the photos to learn from.
        validation: Numbers of the held-out photos by the name of their split; splits without any are left out.
        city_scaling: Of the metadata, by the training photos.
        target_scaling: Of latitude and longitude, by the training photos.
    """

    photos: LocatedPhotos
    city: Floats
    training: Rows
    validation: dict[str, Rows]
    city_scaling: Standardisation
    target_scaling: Standardisation

    @property
    def position(self) -> Floats:
        """Latitude and longitude of each photo in degrees, shape `(n, 2)`."""
        return np.column_stack([self.photos.lat_deg, self.photos.lon_deg])

    def readable(self, store: ArrayStore) -> Task:
        """The same without the photos that have no array in the store."""

        def there(rows: Rows) -> Rows:
            return rows[store.has(rows.astype(np.int64))]

        kept = {name: there(rows) for name, rows in self.validation.items()}
        validation = {name: rows for name, rows in kept.items() if len(rows)}
        return replace(self, training=there(self.training), validation=validation)


def make_task(manifest: Manifest, recipe: PositionRecipe) -> Task:
    """Look up the photos' cities and measure the training photos.

    Args:
        manifest: Photos with the recipe's validation columns.
        recipe: Names the columns.

    Raises:
        ManifestError: If no photo has a position.
        RecipeError: If fewer than two photos can be learnt from, or none is held out.
    """
    photos = located(manifest)
    learnt, held_out = marked_rows(photos.manifest, recipe.data.validation_splits)
    training = np.flatnonzero(learnt)
    validation = {name: np.flatnonzero(rows) for name, rows in held_out.items() if rows.any()}
    if len(training) < 2:
        remedy = "Add photos with `lat` and `lon` to the training part"
        raise RecipeError(recipe.name, f"{len(training)} photos with a position can be learnt from", remedy)
    if not validation:
        columns = ", ".join(recipe.data.validation_splits)
        remedy = "Make splits with `triovision train split`"
        raise RecipeError(recipe.name, f"no photo with a position is `val` in {columns}", remedy)
    city = city_metadata(nearest_city(photos.lat_deg, photos.lon_deg))
    position = np.column_stack([photos.lat_deg, photos.lon_deg])
    return Task(
        photos=photos,
        city=city,
        training=training,
        validation=validation,
        city_scaling=fit_standardisation(city[training]),
        target_scaling=fit_standardisation(position[training]),
    )
