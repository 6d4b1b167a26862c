from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triovision.geo import WeightedPlaces
from triovision.geo.mixture import mix


def places(rows: list[tuple[float, float, float, str]], names: tuple[str, ...] = (), km: float = 0) -> WeightedPlaces:
    lat, lon, weight, countries = zip(*rows, strict=True)
    return WeightedPlaces(
        lat_deg=np.array(lat),
        lon_deg=np.array(lon),
        weight=np.array(weight),
        countries=np.array(countries),
        names=names,
        resolution_km=km,
    )


PARIS_LYON = places([(49, 2, 0.6, "FR"), (46, 5, 0.2, "FR"), (36, 140, 0.2, "JP")], ("Paris", "Lyon", "Tokyo"), 25)
NICE = places([(44, 7, 0.5, "FR"), (35, 136, 0.25, "JP"), (34, 132, 0.25, "JP")])
BERN = places([(47, 7, 1.0, "CH")], ("Bern",), 10)


def test_the_mixture_by_hand() -> None:
    mixed = mix([PARIS_LYON, NICE], np.array([0.75, 0.25]), {"FR": 0.4, "JP": 0.6})
    # Within France the first says Paris 3 : Lyon 1, the second Nice; within Japan Tokyo, and Kyoto 1 : Hiroshima 1.
    expected = [0.4 * 0.75 * 0.75, 0.4 * 0.75 * 0.25, 0.6 * 0.75, 0.4 * 0.25, 0.6 * 0.25 / 2, 0.6 * 0.25 / 2]
    np.testing.assert_allclose(mixed.weight, expected)
    assert mixed.countries.tolist() == ["FR", "FR", "JP", "FR", "JP", "JP"]
    assert mixed.lat_deg.tolist() == [49, 46, 36, 44, 35, 34]
    assert list(mixed.names) == ["Paris", "Lyon", "Tokyo", "", "", ""]
    assert np.unique(mixed.resolution_km).tolist() == [0, 25]


def test_a_country_where_one_member_has_no_place_falls_to_the_other() -> None:
    mixed = mix([BERN, NICE], np.array([1.0, 0.0]), {"FR": 0.3, "CH": 0.7, "US": 0.0})
    np.testing.assert_allclose(mixed.weight, [0.7, 0.3])
    assert mixed.countries.tolist() == ["CH", "FR"]
    assert np.asarray(mixed.resolution_km).tolist() == [10, 0]


def test_a_country_without_any_place_is_refused() -> None:
    with pytest.raises(ValueError, match="no member has a place in US"):
        mix([BERN, NICE], np.array([0.5, 0.5]), {"FR": 0.3, "US": 0.7})


def test_one_member_with_its_own_countries_is_itself() -> None:
    mixed = mix([NICE], np.array([1.0]), NICE.by_country())
    np.testing.assert_allclose(mixed.weight, NICE.weight)
    assert mixed.names == ()
    assert not np.any(mixed.resolution_km)


def test_equal_members_are_the_member_whatever_their_shares() -> None:
    mixed = mix([PARIS_LYON, PARIS_LYON], np.array([0.9, 0.1]), PARIS_LYON.by_country())
    np.testing.assert_allclose(mixed.weight[:3] + mixed.weight[3:], PARIS_LYON.weight)
    alone, both = PARIS_LYON.locate("FR", 5), mixed.locate("FR", 5)
    assert both.place.name == alone.place.name == "Paris"
    assert both.radius_90_km == alone.radius_90_km
    assert [place.name for place in both.places] == [place.name for place in alone.places]


SOME_PLACES = st.lists(
    st.tuples(st.floats(-90, 90), st.floats(-180, 180), st.floats(0, 1), st.sampled_from(["FR", "JP", "US"])),
    min_size=1,
    max_size=8,
).filter(lambda rows: sum(row[2] for row in rows) > 0.1)


def scaled(rows: list[tuple[float, float, float, str]]) -> WeightedPlaces:
    total = sum(row[2] for row in rows)
    return places([(lat, lon, weight / total, country) for lat, lon, weight, country in rows])


def test_a_tiny_weight_has_an_inverse() -> None:
    smallest = places([(0, 0, 1.0, "JP"), (10, 10, 5e-324, "FR")])
    mixed = mix([smallest], np.array([5e-324]), {"JP": 0.5, "FR": 0.5})
    assert mixed.by_country() == {"JP": 0.5, "FR": 0.5}


@settings(deadline=None, max_examples=60)
@given(members=st.lists(SOME_PLACES, min_size=1, max_size=3), shares=st.tuples(*[st.floats(0, 1)] * 3), data=st.data())
def test_the_marginal_by_country_is_what_was_asked_for_and_the_order_does_not_matter(
    members: list[list[tuple[float, float, float, str]]], shares: tuple[float, ...], data: st.DataObject
) -> None:
    posteriors = [scaled(rows) for rows in members]
    held = sorted({country for one in posteriors for country, p in one.by_country().items() if p > 0})
    wanted = np.array(data.draw(st.lists(st.floats(0.01, 1), min_size=len(held), max_size=len(held))))
    asked = dict(zip(held, (wanted / wanted.sum()).tolist(), strict=True))
    share = np.array(shares[: len(posteriors)])
    mixed = mix(posteriors, share, asked)
    assert mixed.by_country() == pytest.approx(asked)
    turned = mix(posteriors[::-1], share[::-1], asked)
    assert sorted(turned.weight) == pytest.approx(sorted(mixed.weight))
