"""Landmark index: one small vector for each photo of a known landmark, searched exactly."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator
from safetensors import SafetensorError
from safetensors.numpy import load, save
from scipy.special import expit, log_softmax

from triovision.errors import Message, ModelError, faults
from triovision.geo import distance_km, is_country
from triovision.inference.card import RESTORE

Vectors = NDArray[np.float32]

INDEX: Final = "landmarks.safetensors"

#: Landmarks nearer than this are one place to a reader; a position within it counts as right.
SAME_PLACE_KM: Final = 1.0
#: Number of the next best landmarks whose mean score a match is compared with.
_CROWD: Final = 10
_INT8: Final = 127


class Landmark(BaseModel):
    """A landmark of an index.

    Attributes:
        name: Name for people, such as "Sagrada Família, Barcelona".
        country: ISO 3166-1 alpha-2 code.
        lat_deg: Latitude in degrees WGS 84.
        lon_deg: Longitude in degrees WGS 84.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    country: str
    lat_deg: float = Field(ge=-90, le=90)
    lon_deg: float = Field(ge=-180, le=180)

    @field_validator("country")
    @classmethod
    def _is_country(cls, country: str) -> str:
        if not is_country(country):
            raise ValueError(f"{country!r} is no ISO 3166-1 alpha-2 code")
        return country


_LANDMARKS: Final = TypeAdapter(tuple[Landmark, ...])


@dataclass(frozen=True, slots=True)
class Match:
    """The landmark with the highest score for a photo.

    Attributes:
        landmark: The landmark.
        score: Cosine similarity to its most similar photo, plus the landmark's prior.
        margin: Score less that of the best landmark more than a kilometre away.
        lead: Score less the mean of those of the ten best ones more than a kilometre away.
    """

    landmark: Landmark
    score: float
    margin: float
    lead: float

    @property
    def evidence(self) -> tuple[float, float, float]:
        """Inputs of the landmark's probability: score, margin and lead."""
        return self.score, self.margin, self.lead


@dataclass(frozen=True, eq=False)
class LandmarkIndex:
    """Vectors of photos, the landmark that each photo shows, and the projection from features to vectors.

    Attributes:
        projection: Matrix from image features to vectors, shape `(n_features, d)`.
        vectors: Unit vectors, shape `(n, d)`.
        landmark_of: Index of the landmark of each vector, ascending, shape `(n,)`.
        landmarks: The landmarks; each has a vector.
    """

    projection: Vectors
    vectors: Vectors
    landmark_of: NDArray[np.int32]
    landmarks: tuple[Landmark, ...]

    def embed(self, features_nc: Vectors) -> Vectors:
        """Project image features `(n, n_features)` to unit vectors `(n, d)`."""
        return unit_rows(product(features_nc, self.projection))

    def prior(self, logits_nl: Vectors, labels: Sequence[str], country_weight: float, photos_weight: float) -> Vectors:
        """Return what each landmark's score has besides similarity, shape `(n, n_landmarks)`.

        Args:
            logits_nl: Country logits of n photos.
            labels: Countries of the columns, those of all landmarks among them.
            country_weight: Weight of the logarithm of the probability of the landmark's country.
            photos_weight: Weight of the logarithm of the landmark's number of photos, which is negative where many
                photos find a similar one by chance.
        """
        column = {label: i for i, label in enumerate(labels)}
        of_country = log_softmax(logits_nl, axis=1)[:, [column[one.country] for one in self.landmarks]]
        return np.asarray(country_weight * of_country + photos_weight * self._log_photos, np.float32)

    def match(self, vector: Vectors, prior: Vectors) -> Match:
        """Find the best landmark for a unit vector, shape `(d,)`, with the landmarks' prior, shape `(n_landmarks,)`."""
        return self.matches(vector[None], prior[None])[0]

    def matches(self, vectors: Vectors, priors: Vectors) -> list[Match]:
        """Find the best landmark for each unit vector, shape `(n, d)`; see `prior`."""
        similarity = np.maximum.reduceat(product(vectors, self.vectors.T), self._starts, axis=1)
        return [self._match(row) for row in similarity + priors]

    def with_photos(self, vectors: Vectors, landmarks: Sequence[Landmark]) -> LandmarkIndex:
        """Return an index with more photos.

        Args:
            vectors: Unit vectors, shape `(m, d)`.
            landmarks: Landmark of each vector.
        """
        vectors = np.concatenate([self.vectors, vectors])
        return build_index(self.projection, vectors, [*self.landmark_of_photo, *landmarks])

    def to_bytes(self) -> bytes:
        """Serialise as safetensors: the projection in half precision, vectors as int8."""
        largest = np.abs(self.vectors).max(axis=1, keepdims=True)
        tensors = {
            "projection": self.projection.astype(np.float16),
            "vectors": np.rint(self.vectors / largest * _INT8).astype(np.int8),
            "landmark_of": self.landmark_of,
        }
        rows = [landmark.model_dump() for landmark in self.landmarks]
        return save(tensors, {"landmarks": json.dumps(rows, ensure_ascii=False)})

    @property
    def landmark_of_photo(self) -> list[Landmark]:
        """Landmark of each vector."""
        return [self.landmarks[i] for i in self.landmark_of.tolist()]

    @cached_property
    def _starts(self) -> NDArray[np.intp]:
        return np.searchsorted(self.landmark_of, np.arange(len(self.landmarks)))

    @cached_property
    def _log_photos(self) -> NDArray[np.float64]:
        return np.log(np.bincount(self.landmark_of))

    @cached_property
    def _positions(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        lat_deg, lon_deg = zip(*((one.lat_deg, one.lon_deg) for one in self.landmarks), strict=True)
        return np.array(lat_deg, np.float64), np.array(lon_deg, np.float64)

    def _match(self, score: Vectors) -> Match:
        first, best = int(score.argmax()), float(score.max())
        landmark = self.landmarks[first]
        away = distance_km(landmark.lat_deg, landmark.lon_deg, *self._positions) > SAME_PLACE_KM
        # An index of one landmark has nothing to compare with.
        others = np.sort(score[away])[::-1][:_CROWD] if away.any() else np.zeros(1)
        return Match(landmark, best, best - float(others[0]), best - float(others.mean()))


def build_index(projection: Vectors, vectors: Vectors, landmarks: Sequence[Landmark]) -> LandmarkIndex:
    """Build an index.

    Args:
        projection: Matrix from features to vectors, shape `(n_features, d)`.
        vectors: Unit vectors of photos, shape `(n, d)`, n at least 1.
        landmarks: Landmark of each photo, `n` of them.
    """
    distinct = sorted(set(landmarks), key=lambda one: (one.name, one.country, one.lat_deg, one.lon_deg))
    number = {landmark: i for i, landmark in enumerate(distinct)}
    landmark_of = np.array([number[landmark] for landmark in landmarks], np.int32)
    order = np.argsort(landmark_of, kind="stable")
    return LandmarkIndex(projection, vectors[order], landmark_of[order], tuple(distinct))


def match_probability(
    evidence: NDArray[np.float64], coefficients: Sequence[float], intercept: float
) -> NDArray[np.float64]:
    """Return the probability that a photo was taken within a kilometre of its match, by logistic regression.

    Args:
        evidence: Score, margin and lead of matches, shape `(..., 3)`.
        coefficients: Their weights.
        intercept: Constant of the logit.
    """
    return np.asarray(expit(evidence @ np.array(coefficients) + intercept))


def read_index(content: bytes, name: str) -> LandmarkIndex:
    """Read a serialised index.

    Args:
        content: Bytes of `LandmarkIndex.to_bytes`.
        name: Name of the file, for the error.

    Raises:
        ModelError: If the bytes are no index.
    """
    try:
        tensors = load(content)
        projection, vectors, landmark_of = (tensors[key] for key in ("projection", "vectors", "landmark_of"))
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        landmarks = _LANDMARKS.validate_json(header["__metadata__"]["landmarks"])
    except ValidationError as exc:
        raise ModelError(name, Message("is no landmark index ({faults})", faults=faults(exc)), RESTORE) from exc
    except (SafetensorError, KeyError, TypeError, ValueError) as exc:
        raise ModelError(name, Message("is no landmark index ({faults})", faults=str(exc)), RESTORE) from exc
    whole = (
        projection.ndim == vectors.ndim == 2
        and projection.shape[1] == vectors.shape[1]
        and landmark_of.shape == (len(vectors),)
        and np.array_equal(np.unique(landmark_of), np.arange(len(landmarks)))
        and bool((np.diff(landmark_of) >= 0).all())
        and np.isfinite(projection).all()
    )
    if not whole:
        reason = Message("is no landmark index ({faults})", faults="its tensors do not fit each other")
        raise ModelError(name, reason, RESTORE)
    return LandmarkIndex(projection.astype(np.float32), unit_rows(vectors.astype(np.float32)), landmark_of, landmarks)


def product(left: Vectors, right: Vectors) -> Vectors:
    """Return the matrix product; for one row without BLAS.

    The threads of a BLAS wait in a busy loop afterwards, which makes the network's pass on the next photo two or three
    times as slow, and for one row there is nothing to gain.
    """
    return (right.T * left).sum(axis=1)[None] if len(left) == 1 else left @ right


def unit_rows(vectors: Vectors) -> Vectors:
    """Scale rows, shape `(n, d)`, to length 1; a row of zeros stays."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, np.finfo(np.float32).tiny), np.float32)
