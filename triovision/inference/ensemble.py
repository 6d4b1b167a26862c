"""Several models of this machine that answer together."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from triovision.errors import ModelError
from triovision.geo.mixture import mix
from triovision.inference.answer import answer, check_top_k, ranked
from triovision.inference.calibration import probabilities
from triovision.inference.card import CARD, Member, ModelCard, read_card
from triovision.inference.model import GeoModel
from triovision.inference.pooling import log_pool, union
from triovision.results import Photo, Prediction

FIT_ANEW: Final = "Restore what is missing or changed, or fit the ensemble anew with `triovision train ensemble`"


class EnsembleEngine:
    """Members behind the `GeoModel` protocol, asked one after another.

    Countries are the members' weighted log-linear pool (see `pooling`), at the card's temperature; places are the
    mixture of the members' within each country (see `geo.mixture`), so that they sum to the pooled countries.

    Args:
        card: Its card.
        members: The models that the card names, in its order.

    Raises:
        ModelError: If the card names no members, or other labels than the members have together.
    """

    def __init__(self, card: ModelCard, members: Sequence[GeoModel]) -> None:
        self.card = card
        self.members = tuple(members)
        named = _named_members(card)
        self._country_weight = np.array([member.country_weight for member in named])
        self._place_weight = np.array([member.place_weight for member in named])
        if card.labels != union([member.card.labels for member in members]):
            raise ModelError(card.id, "has other labels than its members together", FIT_ANEW)
        self._index = {label: i for i, label in enumerate(card.labels)}
        self._known = np.array([np.isin(card.labels, member.card.labels) for member in members])

    @property
    def labels(self) -> tuple[str, ...]:
        """Countries that some member knows, in alphabetical order."""
        return self.card.labels

    @property
    def members_by_weight(self) -> tuple[GeoModel, ...]:
        """Members, the one with the greatest weight for countries first: whose reasons stand for the ensemble's."""
        return tuple(self.members[i] for i in np.argsort(-self._country_weight, kind="stable"))

    def predict(self, photos: Sequence[Photo], top_k: int = 5) -> list[Prediction]:
        """One prediction a photo, in order; its time is that of all members together.

        Args:
            photos: Decoded photos.
            top_k: Countries in each prediction, the most probable first; at most the number of labels.

        Raises:
            ValueError: If `top_k` is below 1.
        """
        check_top_k(top_k)
        told = [member.predict(photos, len(member.card.labels)) for member in self.members]
        return [self._prediction(of_photo, top_k) for of_photo in zip(*told, strict=True)]

    def country_similarity(self, countries: Sequence[str]) -> NDArray[np.float32]:
        """Mean of the members' similarities, shape `(k, k)`, by their weight for countries.

        A pair counts for the members that know both; it is zero where none does.

        Raises:
            ValueError: If a country is no label of the ensemble.
        """
        if unknown := set(countries) - set(self.labels):
            raise ValueError(f"no labels of {self.card.id}: {', '.join(sorted(unknown))}")
        total = np.zeros((2, len(countries), len(countries)))
        # A member without weight still speaks for what it alone knows, as in the pool.
        for member, weight in zip(self.members, np.maximum(self._country_weight, 1e-9), strict=True):
            own = [i for i, country in enumerate(countries) if country in member.card.labels]
            if own:
                similarity = member.country_similarity([countries[i] for i in own])
                total[np.ix_([0, 1], own, own)] += weight * np.stack([similarity, np.ones_like(similarity)])
        weighted, weight_sum = total
        return np.divide(weighted, weight_sum, out=np.zeros_like(weighted), where=weight_sum > 0).astype(np.float32)

    def _prediction(self, told: Sequence[Prediction], top_k: int) -> Prediction:
        start = time.perf_counter()
        pooled = self._pooled(told)
        posterior = mix(
            [prediction.posterior for prediction in told],
            self._place_weight,
            dict(zip(self.labels, pooled.tolist(), strict=True)),
        )
        answered = answer(ranked(self.labels, pooled), posterior, self.card.calibration, top_k)
        own_ms = (time.perf_counter() - start) * 1000
        return Prediction(
            photo=told[0].photo,
            model=self.card.id,
            **answered,
            elapsed_ms=sum(prediction.elapsed_ms for prediction in told) + own_ms,
            device=", ".join(dict.fromkeys(prediction.device for prediction in told)),
            precision=", ".join(dict.fromkeys(prediction.precision for prediction in told)),
        )

    def _pooled(self, told: Sequence[Prediction]) -> NDArray[np.float64]:
        """Probability of each label; exactly zero where no member has a place."""
        said = np.zeros((len(told), 1, len(self.labels)))
        for row, prediction in zip(said[:, 0], told, strict=True):
            for guess in prediction.countries:
                row[self._index[guess.country]] = guess.probability
        held = {code for p in told for code, share in p.posterior.by_country().items() if share > 0}
        logits = log_pool(said, self._known, self._country_weight)
        pooled = probabilities(logits, self.card.calibration.temperature)[0] * np.isin(self.labels, list(held))
        return np.asarray(pooled / pooled.sum())


def member_folder(folder: Path, member: Member, found: Mapping[str, Path]) -> Path:
    """Where a member of an ensemble lies.

    Args:
        folder: The ensemble's folder.
        member: As its card names it.
        found: Folders of the models on this machine, by id.

    Raises:
        ModelError: If it is not there, is not the model that the ensemble was fitted with, or is an ensemble itself.
    """
    path = folder / CARD
    if member.id not in found:
        raise ModelError(str(path), f"has the member {member.id}, which is no model on this machine", FIT_ANEW)
    card = read_card(found[member.id])
    if card.ensemble is not None:
        raise ModelError(str(path), f"has the member {member.id}, which is an ensemble itself", FIT_ANEW)
    if card.weights_sha256 != member.weights_sha256:
        reason = f"was fitted with {member.id} of SHA-256 {member.weights_sha256[:12]}…"
        raise ModelError(
            str(path), f"{reason}, and {found[member.id]} holds {str(card.weights_sha256)[:12]}…", FIT_ANEW
        )
    return found[member.id]


def _named_members(card: ModelCard) -> tuple[Member, ...]:
    if card.ensemble is None:
        raise ModelError(card.id, "is no ensemble", "Choose a model whose card names members")
    return card.ensemble.members
