"""Game against the model: start, round, truth, score and summary."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd
import streamlit as st

from triovision.duel import ROUNDS, Answer, Challenge, Duel, Position, duel_csv, duel_json, shuffled
from triovision.geo import country_name
from triovision.geo.city_search import FoundCity, city_index, find_cities
from triovision.ui.challenges import (
    as_challenges,
    example_challenge,
    located_results,
    render_commons_challenges,
    uploaded_challenges,
)
from triovision.ui.leaflet import clicked_position, render_click_map, render_places
from triovision.ui.messages import photo_or_error
from triovision.ui.predictions import predict
from triovision.ui.service import model_by_id, model_or_error
from triovision.ui.session import MAX_PHOTO_MB, PhotoResult, current
from triovision.ui.translation import Translator, plain
from triovision.viz.overlays import jpeg_bytes, shown_photo
from triovision.viz.places_map import PIN_COLOURS, MarkedPlace

_DUEL: Final = "play-duel"
_LAT, _LON, _CITY, _FOUND = "play-lat", "play-lon", "play-city", "play-found"
_SEEN: Final = "play-seen-click"


def current_duel() -> Duel | None:
    """Game of this session; None before it is started. It stays when the reader visits another page."""
    duel: Duel | None = st.session_state.get(_DUEL)
    return duel if duel is not None and duel.challenges else None  # none are left after a time without use


def render_start(t: Translator) -> None:
    """Draw the choice of the photos and the button that starts the game."""
    uploads = st.file_uploader(
        t("Your photos with a position in their EXIF data"),
        accept_multiple_files=True,
        key="play-upload",
        max_upload_size=MAX_PHOTO_MB,
        help=t("Neither you nor the model sees the position or the file name before the answer."),
    )
    uploaded = uploaded_challenges([(upload.name, upload.getvalue()) for upload in uploads], t)
    others: list[Challenge | PhotoResult] = [*uploaded, *located_results(), *render_commons_challenges(t)]
    with_example = st.checkbox(t("Add the example photo"), value=True, key="play-example") if others else True
    challenges = others + ([example_challenge()] if with_example else [])
    count = min(ROUNDS, len(challenges))
    if not others:
        st.caption(t("Without other photos, the game has one round: the example photo."))
    label = t.plural("Start: {number} round", "Start: {number} rounds", count)
    if st.button(label, type="primary", key="play-start"):
        with model_or_error(t) as model:
            _begin(Duel(_drawn(challenges, t), model.card.id))
            city_index()  # now, so that the first search does not wait for it
        _forget_answer()
        st.rerun()


def _drawn(candidates: Sequence[Challenge | PhotoResult], t: Translator) -> list[Challenge]:
    with photo_or_error(t):
        return as_challenges(shuffled(candidates, random.SystemRandom()))


def _begin(duel: Duel) -> None:
    st.session_state[_DUEL] = duel
    current().pages[_DUEL] = _PhotosOfDuel(duel)


@dataclass(frozen=True, slots=True)
class _PhotosOfDuel:
    duel: Duel

    def empty(self) -> bool:
        """Remove the photos of the game after a time without use."""
        had_photos = bool(self.duel.challenges)
        self.duel.challenges, self.duel.rounds = (), []
        return had_photos


def render_score(duel: Duel, t: Translator) -> None:
    """Draw the round, both scores and the button for a new game."""
    player, model = duel.scores
    count = len(duel.challenges)
    with st.container(horizontal=True, vertical_alignment="center", gap="large", key="play-score"):
        st.metric(t("Round"), f"{duel.number} / {count}", width="content")
        st.metric(t("You"), t.number(player), width="content")
        st.metric(t("Model"), t.number(model), width="content")
        _new_game_button(t)
    st.caption(t("Model: {model}", model=plain(duel.model)))


def render_round(duel: Duel, t: Translator) -> None:
    """Draw the photo and the inputs: map, city search, coordinates; confirm records both answers."""
    map_key = f"play-map-{duel.number}"
    click = clicked_position(map_key)
    if click is not None and click != st.session_state.get(_SEEN):
        st.session_state[_SEEN] = click
        _choose(click)
    left, right = st.columns(2, gap="medium")
    with left:
        alt = t("Photo of round {number}", number=duel.number)
        st.image(jpeg_bytes(shown_photo(duel.challenge.photo)), output_format="JPEG", width="stretch", alt=alt)
        if duel.challenge.credit:
            st.caption(t("The photographer is named after your answer."))
    with right:
        _render_city_search(t)
        confirmed = _render_coordinates(t)
        chosen = _chosen()
        render_click_map(chosen, t, map_key)
    if not confirmed:
        return
    if chosen is None:
        st.warning(t("Choose a point first: click the map, name a city, or enter latitude and longitude."))
        return
    model = model_by_id(duel.model, t)  # the opponent stays the same, whatever model is selected meanwhile
    with st.spinner(t("The model is looking at the photo…")):
        place = predict(model, duel.challenge.photo).place
    duel.answer(chosen, (place.lat_deg, place.lon_deg))
    _forget_answer()
    st.rerun()


def _render_city_search(t: Translator) -> None:
    """Draw the search; Enter puts the pin on the largest city of that name, and others can be chosen."""
    name = st.text_input(t("City"), key=_CITY, on_change=_take_first_city, placeholder=t("Type a city, then Enter"))
    found = find_cities(name)
    if name and not found:
        st.warning(t("No city of 15,000 inhabitants or more is called {name}.", name=plain(name)))
    if len(found) > 1:
        st.selectbox(
            t("Cities of that name"),
            found,
            format_func=lambda city: _city_label(city, t),
            key=_FOUND,
            on_change=_take_chosen_city,
        )
    elif found:
        st.caption(_city_label(found[0], t))


def _city_label(city: FoundCity, t: Translator) -> str:
    return f"{city.name}, {country_name(city.country, t.language)}"


# The browser may send a field once more after its round: then the session holds no value for it.
def _take_first_city() -> None:
    st.session_state.pop(_FOUND, None)
    if found := find_cities(st.session_state.get(_CITY) or ""):
        _choose((found[0].lat_deg, found[0].lon_deg))


def _take_chosen_city() -> None:
    city: FoundCity | None = st.session_state.get(_FOUND)
    if city is not None:
        _choose((city.lat_deg, city.lon_deg))


def _render_coordinates(t: Translator) -> bool:
    """Draw both coordinates and the button; Enter in a field confirms too."""
    with st.form("play-answer", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        for key, label, bound in ((_LAT, t("Latitude (°)"), 90.0), (_LON, t("Longitude (°)"), 180.0)):
            st.session_state.setdefault(key, None)
            st.number_input(label, -bound, bound, key=key, step=1.0, format="%.4f", width=150)
        return st.form_submit_button(t("Confirm"), type="primary", key="play-confirm")


def _choose(position: Position) -> None:
    st.session_state[_LAT], st.session_state[_LON] = position


def _chosen() -> Position | None:
    lat_deg, lon_deg = st.session_state.get(_LAT), st.session_state.get(_LON)
    return None if lat_deg is None or lon_deg is None else (float(lat_deg), float(lon_deg))


def _forget_answer() -> None:
    for key in (_LAT, _LON, _CITY, _FOUND, _SEEN):
        st.session_state.pop(key, None)


def render_truth(duel: Duel, t: Translator) -> None:
    """Draw the result of the answered round: both distances and scores, and the map with the truth."""
    one = duel.rounds[-1]
    if one.player.score == one.model.score:
        st.subheader(t("A draw in this round."), anchor=False)
    elif one.player.score > one.model.score:
        st.subheader(t("This round is yours."), anchor=False)
    else:
        st.subheader(t("This round goes to the model."), anchor=False)
    left, right = st.columns(2, gap="medium")
    with left:
        image = shown_photo(one.challenge.photo)
        st.image(jpeg_bytes(image), output_format="JPEG", width="stretch", alt=one.challenge.name)
        st.caption(plain(one.challenge.name))
        if one.challenge.credit:
            st.caption(t("Photo:") + " " + one.challenge.credit)
    with right:
        st.write(_answer_sentence(t("You"), one.player, t))
        st.write(_answer_sentence(t("Model"), one.model, t))
        last = len(duel.rounds) == len(duel.challenges)
        st.button(
            t("To the summary") if last else t("Next round"), type="primary", key="play-next", on_click=duel.advance
        )
        render_places(_places(duel, t), t, key=f"play-truth-{len(duel.rounds)}", lines_from=0)


def _answer_sentence(who: str, answer: Answer, t: Translator) -> str:
    return t(
        "**{who}**: {distance} off, {score} points",
        who=who,
        distance=t.km(answer.distance_km),
        score=t.number(answer.score),
    )


def _places(duel: Duel, t: Translator) -> list[MarkedPlace]:
    one = duel.rounds[-1]
    rows = (
        ("★", t("True place"), one.challenge.truth, PIN_COLOURS[2]),
        (t("You")[0], t("You"), one.player.position, PIN_COLOURS[1]),
        ("M", t("Model"), one.model.position, PIN_COLOURS[0]),
    )
    return [
        MarkedPlace(lat_deg=lat, lon_deg=lon, sign=sign, title=title, name=f"{lat:.4f}, {lon:.4f}", colour=colour)
        for sign, title, (lat, lon), colour in rows
    ]


def render_summary(duel: Duel, t: Translator) -> None:
    """Draw the outcome, a table of the rounds, downloads and the button for a new game."""
    player, model = duel.scores
    values = {"player": t.number(player), "model": t.number(model)}
    if player == model:
        st.header(t("A draw: {player} points each.", **values), anchor=False)
    elif player > model:
        st.header(t("You win: {player} to {model} points.", **values), anchor=False)
    else:
        st.header(t("The model wins: {model} to {player} points.", **values), anchor=False)
    columns = [t("Round"), t("Photo"), t("You"), t("Model")]
    rows = [
        [str(number), plain(one.challenge.name)]
        + [
            t("{distance} km, {score} points", distance=t.number(who.distance_km), score=t.number(who.score))
            for who in (one.player, one.model)
        ]
        for number, one in enumerate(duel.rounds, start=1)
    ]
    st.table(pd.DataFrame(rows, columns=columns), border="horizontal", hide_index=True)
    st.caption(t("Model: {model}", model=plain(duel.model)))
    with st.container(horizontal=True):
        st.download_button(
            t("Game (JSON)"), lambda: duel_json(duel), file_name="duel.json", mime="application/json", on_click="ignore"
        )
        st.download_button(
            t("Game (CSV)"), lambda: duel_csv(duel), file_name="duel.csv", mime="text/csv", on_click="ignore"
        )
        _new_game_button(t)


def _new_game_button(t: Translator) -> None:
    def end() -> None:
        st.session_state.pop(_DUEL, None)
        current().pages.pop(_DUEL, None)
        _forget_answer()

    st.button(t("New game"), key="play-new", on_click=end)
