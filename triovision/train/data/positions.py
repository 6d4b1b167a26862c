"""Photos with a position: selection, nearest cities and splits of position runs."""

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
from triovision.train.data.splits import marked_rows, without_test
from triovision.train.recipes.position_recipe import PositionRecipe

log = logging.getLogger(__name__)
_MAX_LISTED = 5


@dataclass(frozen=True, slots=True)
class LocatedPhotos:
    """The photos of a manifest that have a position.

    Attributes:
        manifest: These photos.
        without_position: Number of photos without a position.
        impossible: Files with an incomplete or impossible position, which are left out.
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
    """Select the photos with a valid position; files with an incomplete or impossible one are logged.

    Raises:
        ManifestError: If no photo has one.
    """
    lat_deg = manifest.table["lat"].to_numpy(np.float64)
    lon_deg = manifest.table["lon"].to_numpy(np.float64)
    none = np.isnan(lat_deg) & np.isnan(lon_deg)
    possible = (np.abs(lat_deg) <= 90) & (np.abs(lon_deg) <= 180)  # false for NaN
    impossible = tuple(manifest.table["file"][~none & ~possible])
    if impossible:
        listed = ", ".join(impossible[:_MAX_LISTED]) + (" …" if len(impossible) > _MAX_LISTED else "")
        log.warning("left out %d photos with an incomplete or impossible position: %s", len(impossible), listed)
    if not possible.any():
        remedy = "Give a manifest with `lat` and `lon` in degrees"
        raise ManifestError("The manifest", f"has no photo with a position, of {len(manifest)}", remedy)
    return LocatedPhotos(manifest.where(possible), int(none.sum()), impossible)


Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class PositionData:
    """Photos, cities and splits of a position run; rows are indices among the photos with a position.

    Attributes:
        photos: Photos with a position.
        city: Metadata of the nearest city of each photo, see `city_metadata`, shape `(n, m)`.
        training: Rows of the training photos.
        validation: Rows of the held-out photos by split; empty splits are left out.
        city_scaling: Standardisation of the metadata, fitted on the training photos.
        target_scaling: Standardisation of latitude and longitude, fitted on the training photos.
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

    def readable(self, store: ArrayStore) -> PositionData:
        """Leave out the photos that have no array in the store."""

        def stored(rows: Rows) -> Rows:
            return rows[store.has(rows.astype(np.int64))]

        rows_by_split = {name: stored(rows) for name, rows in self.validation.items()}
        validation = {name: rows for name, rows in rows_by_split.items() if len(rows)}
        return replace(self, training=stored(self.training), validation=validation)


def build_position_data(manifest: Manifest, recipe: PositionRecipe) -> PositionData:
    """Look up the nearest cities and fit the standardisations.

    Args:
        manifest: Photos with the validation columns of the recipe; those marked `test` are left out.
        recipe: Position recipe.

    Raises:
        ManifestError: If no photo has a position.
        RecipeError: If there are fewer than two training photos, or no held-out photo.
    """
    photos = located(without_test(manifest))
    in_training, held_out = marked_rows(photos.manifest, recipe.data.validation_splits)
    training = np.flatnonzero(in_training)
    validation = {name: np.flatnonzero(rows) for name, rows in held_out.items() if rows.any()}
    if len(training) < 2:
        remedy = "Add photos with `lat` and `lon` to the training part"
        raise RecipeError(recipe.name, f"{len(training)} training photos have a position", remedy)
    if not validation:
        columns = ", ".join(recipe.data.validation_splits)
        remedy = "Make splits with `triovision train split`"
        raise RecipeError(recipe.name, f"no photo with a position is `val` in {columns}", remedy)
    city = city_metadata(nearest_city(photos.lat_deg, photos.lon_deg))
    position = np.column_stack([photos.lat_deg, photos.lon_deg])
    return PositionData(
        photos=photos,
        city=city,
        training=training,
        validation=validation,
        city_scaling=fit_standardisation(city[training]),
        target_scaling=fit_standardisation(position[training]),
    )
