"""Engine of ensembles: pooled countries and mixed places of several models."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from triovision.errors import ModelError
from triovision.geo.mixture import mix
from triovision.inference.calibration import probabilities
from triovision.inference.card import ModelCard
from triovision.inference.faults import check_finite, worded_faults
from triovision.inference.integrity import REFIT, HashedFile
from triovision.inference.model import GeoModel
from triovision.inference.pooling import log_pool, union
from triovision.inference.prediction import build_prediction_fields, check_top_k, rank_countries
from triovision.results import Photo, Prediction


class EnsembleEngine:
    """Members that run one after another.

    The country probabilities are the members' weighted log-linear pool (see `pooling`) at the card's temperature. The
    places are the members' mixture within each country (see `geo.mixture`), so that they sum to the pooled countries.

    Args:
        card: Card of the ensemble.
        members: Models that the card names, in its order.

    Raises:
        ModelError: If the card names no members, or its labels are not those of the members together.
    """

    sections: ClassVar[frozenset[str]] = frozenset({"ensemble"})

    def __init__(self, card: ModelCard, members: Sequence[GeoModel]) -> None:
        self.card = card
        self.members = tuple(members)
        if card.ensemble is None:
            raise ModelError(card.id, "is no ensemble", "Choose a model whose card names members")
        self._country_weight = np.array([member.country_weight for member in card.ensemble.members])
        self._place_weight = np.array([member.place_weight for member in card.ensemble.members])
        if card.labels != union([member.card.labels for member in members]):
            raise ModelError(card.id, "has other labels than its members together", REFIT)
        self._index = {label: i for i, label in enumerate(card.labels)}
        self._known = np.array([np.isin(card.labels, member.card.labels) for member in members])

    @classmethod
    def open(cls, folder: Path, card: ModelCard, device: torch.device, members: Sequence[GeoModel]) -> Self:  # noqa: ARG003
        """Join the loaded members; see `Engine`."""
        return cls(card, members)

    @classmethod
    def files(cls, folder: Path, card: ModelCard) -> Iterable[HashedFile]:  # noqa: ARG003
        """Return no file: an ensemble has those of its members only."""
        return ()

    @property
    def devices(self) -> tuple[str, ...]:
        """Devices of the members, each once."""
        return tuple(dict.fromkeys(device for member in self.members for device in member.devices))

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of all members together, in alphabetical order."""
        return self.card.labels

    @property
    def members_by_weight(self) -> tuple[GeoModel, ...]:
        """Members by descending country weight; the first one explains the ensemble's predictions."""
        return tuple(self.members[i] for i in np.argsort(-self._country_weight, kind="stable"))

    def predict(self, photos: Sequence[Photo], top_k: int = 5) -> list[Prediction]:
        """Return one prediction per photo, in order; its time is that of all members together.

        Args:
            photos: Decoded photos.
            top_k: Number of countries in each prediction, most probable first; at most the number of labels.

        Raises:
            ValueError: If `top_k` is below 1.
            ModelFailure: If a member fails, whatever the reason, or the pool is not finite.
        """
        check_top_k(top_k)
        by_member = [member.predict(photos, len(member.card.labels)) for member in self.members]
        with worded_faults(self.card.id):
            return [self._prediction(of_photo, top_k) for of_photo in zip(*by_member, strict=True)]

    def country_similarity(self, countries: Sequence[str]) -> NDArray[np.float32]:
        """Return the mean of the members' similarities by their country weight, shape `(k, k)`.

        The mean of a pair is over the members that know both countries; it is zero where no member does.

        Raises:
            ValueError: If a country is no label of the ensemble.
        """
        if unknown := set(countries) - set(self.labels):
            raise ValueError(f"no labels of {self.card.id}: {', '.join(sorted(unknown))}")
        total = np.zeros((2, len(countries), len(countries)))
        # A member of weight zero still counts for the countries that it alone knows, as in the pool.
        for member, weight in zip(self.members, np.maximum(self._country_weight, 1e-9), strict=True):
            own = [i for i, country in enumerate(countries) if country in member.card.labels]
            if own:
                similarity = member.country_similarity([countries[i] for i in own])
                total[np.ix_([0, 1], own, own)] += weight * np.stack([similarity, np.ones_like(similarity)])
        weighted, weight_sum = total
        return np.divide(weighted, weight_sum, out=np.zeros_like(weighted), where=weight_sum > 0).astype(np.float32)

    def _prediction(self, by_member: Sequence[Prediction], top_k: int) -> Prediction:
        start = time.perf_counter()
        pooled = self._pool(by_member)
        check_finite(self.card.id, pooled)
        posterior = mix(
            [prediction.posterior for prediction in by_member],
            self._place_weight,
            dict(zip(self.labels, pooled.tolist(), strict=True)),
        )
        ranking = rank_countries(self.labels, pooled)
        fields = build_prediction_fields(ranking, posterior, self.card.calibration, top_k)
        own_ms = (time.perf_counter() - start) * 1000
        return Prediction(
            photo=by_member[0].photo,
            model=self.card.id,
            **fields,
            elapsed_ms=sum(prediction.elapsed_ms for prediction in by_member) + own_ms,
            device=", ".join(dict.fromkeys(prediction.device for prediction in by_member)),
            precision=", ".join(dict.fromkeys(prediction.precision for prediction in by_member)),
        )

    def _pool(self, by_member: Sequence[Prediction]) -> NDArray[np.float64]:
        """Return the probability of each label, shape `(n_labels,)`; zero where no member has a place."""
        probability = np.zeros((len(by_member), 1, len(self.labels)))
        for row, prediction in zip(probability[:, 0], by_member, strict=True):
            for guess in prediction.countries:
                row[self._index[guess.country]] = guess.probability
        with_place = {code for one in by_member for code, weight in one.posterior.by_country().items() if weight > 0}
        logits = log_pool(probability, self._known, self._country_weight)
        pooled = probabilities(logits, self.card.calibration.temperature)[0]
        pooled = pooled * np.isin(self.labels, list(with_place))
        return np.asarray(pooled / pooled.sum())
