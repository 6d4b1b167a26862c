"""Mixtures of several posteriors over places, and of a posterior with one more point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from triovision.geo.posterior import WeightedPlaces
from triovision.guesses import PlaceGuess


def mix(
    members: Sequence[WeightedPlaces], shares: NDArray[np.float64], country_probability: Mapping[str, float]
) -> WeightedPlaces:
    """The mixture, within each country, of several posteriors, with given probabilities of the countries.

    A point x of member m in country c gets the weight P(c) · λ(m, c) · π(m, x) / π(m, c), where P(c) is the given
    probability, π(m, x) the member's weight of the point, π(m, c) that of all its points in the country, and λ(m, c)
    the member's share among the members that have a place there: λ(m) / Σ λ(j), or equal shares where all of these have
    a share of zero. Summed over x and m that is P(c) (test: the marginal by country is the argument). Points without
    weight are left out.

    Args:
        members: Posteriors; their weights by country need not agree.
        shares: Weight λ(m) of each member, not negative, shape `(n_members,)`.
        country_probability: P(c) by ISO 3166-1 alpha-2 code, summing to one.

    Raises:
        ValueError: If a country has a probability and no member has a place there.
    """
    columns = {country: i for i, country in enumerate(country_probability)}
    target = np.array(list(country_probability.values()))
    # Points of a country that is not asked for fall into a last column, which has no probability.
    of_point = [_columns(member, columns) for member in members]
    total = np.array(
        [np.bincount(c, m.weight, len(target) + 1)[:-1] for c, m in zip(of_point, members, strict=True)], np.float64
    )
    has = total > 0
    if without := [country for country, i in columns.items() if target[i] > 0 and not has[:, i].any()]:
        raise ValueError(f"no member has a place in {', '.join(without)}")
    share = np.where(has, np.asarray(shares, np.float64)[:, None], 0)
    share = np.where(share.sum(axis=0) > 0, share, has)
    part = np.divide(share, share.sum(axis=0), out=np.zeros_like(total), where=has) * target
    # Of the country first: the inverse of a tiny total would be infinite.
    total, part = np.pad(np.where(has, total, 1), ((0, 0), (0, 1)), constant_values=1), np.pad(part, ((0, 0), (0, 1)))
    weights = [m.weight / t[c] * p[c] for m, t, p, c in zip(members, total, part, of_point, strict=True)]
    return _joined(members, weights)


def with_point(posterior: WeightedPlaces, point: PlaceGuess, resolution_km: float) -> WeightedPlaces:
    """The mixture of a posterior with one more point, whose probability the other points give up in equal parts.

    Args:
        posterior: Posterior that holds where the point is not the answer.
        point: The point and its probability.
        resolution_km: The point stands for everything within this distance.
    """
    n = len(posterior.weight)
    return WeightedPlaces(
        lat_deg=np.append(posterior.lat_deg, point.lat_deg),
        lon_deg=np.append(posterior.lon_deg, point.lon_deg),
        weight=np.append(posterior.weight * (1 - point.probability), point.probability),
        countries=np.append(posterior.countries, point.country),
        names=[*(posterior.names or [""] * n), point.name],
        resolution_km=np.append(np.broadcast_to(posterior.resolution_km, n), resolution_km),
    )


def _columns(member: WeightedPlaces, columns: Mapping[str, int]) -> NDArray[np.intp]:
    codes, index = member.country_index
    return np.array([columns.get(code, len(columns)) for code in codes.tolist()], np.intp)[index]


def _joined(members: Sequence[WeightedPlaces], weights: Sequence[NDArray[np.float64]]) -> WeightedPlaces:
    kept = [weight > 0 for weight in weights]
    parts = list(zip(members, kept, strict=True))
    named = any(member.names for member in members)
    names = [name for m, k in parts for name in compress(m.names or [""] * len(k), k.tolist())] if named else ()
    return WeightedPlaces(
        lat_deg=np.concatenate([member.lat_deg[k] for member, k in parts]),
        lon_deg=np.concatenate([member.lon_deg[k] for member, k in parts]),
        weight=np.concatenate([weight[k] for weight, k in zip(weights, kept, strict=True)]),
        countries=np.concatenate([member.countries[k] for member, k in parts]),
        names=names,
        resolution_km=np.concatenate([np.broadcast_to(member.resolution_km, len(k))[k] for member, k in parts]),
    )
