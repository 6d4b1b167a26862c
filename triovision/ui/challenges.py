"""Photos of a game: uploads with an EXIF position, photos of the session, the examples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import streamlit as st

from triovision.duel import Challenge
from triovision.errors import PhotoError
from triovision.photo import decoder_pool, read_photo
from triovision.ui.examples import COMMONS_PHOTOS, EXAMPLE, EXAMPLE_CREDIT, EXAMPLE_PLACE, CommonsPhoto
from triovision.ui.messages import report
from triovision.ui.photo_sources import fetch_example
from triovision.ui.session import PhotoResult, current
from triovision.ui.translation import Translator, plain

_COMMONS: Final = "play-commons-photos"


def example_challenge() -> Challenge:
    """The bundled example."""
    position = EXAMPLE_PLACE.lat_deg, EXAMPLE_PLACE.lon_deg
    return Challenge.of(read_photo(EXAMPLE.read_bytes(), EXAMPLE.name), position, EXAMPLE_CREDIT)


def render_commons_challenges(t: Translator) -> list[Challenge]:
    """Draw the button that fetches the photos of the gallery, and return those that this session has fetched."""
    fetched: dict[str, Challenge] = st.session_state.setdefault(_COMMONS, {})
    missing = [photo for photo in COMMONS_PHOTOS if photo.file not in fetched]
    if missing:
        label = t.plural(
            "Add {number} photo from Wikimedia Commons", "Add {number} photos from Wikimedia Commons", len(missing)
        )
        hint = t("Photos on Wikimedia Commons, fetched from there when you ask.")
        if st.button(label, key="play-commons", icon=":material/photo_library:", help=hint):
            _fetch_missing(missing, fetched, t)
    if fetched:
        st.caption(
            t.plural(
                "{number} photo from Wikimedia Commons is in the game.",
                "{number} photos from Wikimedia Commons are in the game.",
                len(fetched),
            )
        )
    return list(fetched.values())


def _fetch_missing(missing: Sequence[CommonsPhoto], fetched: dict[str, Challenge], t: Translator) -> None:
    """Fetch photos until one fails: without a network, every further one would wait in vain."""
    for photo in missing:
        try:
            file = fetch_example(photo, t)
            position = photo.place.lat_deg, photo.place.lon_deg
            fetched[photo.file] = Challenge.of(decoder_pool().read(file.data, file.name), position, file.credit)
        except PhotoError as error:
            st.warning(report(error, t) + "\n\n" + t("You can play without these photos."))
            return
    st.rerun()


def located_results() -> list[PhotoResult]:
    """Photos of the session whose camera wrote a position."""
    return [result for result in current().results.values() if result.stored.camera.position is not None]


def as_challenges(drawn: Iterable[Challenge | PhotoResult]) -> list[Challenge]:
    """Challenges in the same order; a photo of the session is decoded only now.

    Raises:
        PhotoError: If no decoder process is free.
    """
    challenges = []
    for one in drawn:
        if isinstance(one, Challenge):
            challenges.append(one)
        elif (position := one.stored.camera.position) is not None:
            challenges.append(Challenge.of(one.photo, position, one.credit))
    return challenges


def uploaded_challenges(files: Iterable[tuple[str, bytes]], t: Translator) -> list[Challenge]:
    """Read photos; one that is unreadable or has no position is named on the page and left out."""
    challenges = []
    for name, data in files:
        try:
            photo = decoder_pool().read(data, name)
        except PhotoError as error:
            st.warning(report(error, t))
            continue
        if photo.camera.position is None:
            reason = t(
                "**{photo}** has no position in its EXIF data, so nobody could judge an answer. Choose an original "
                "file of a camera that writes its position.",
                photo=plain(name),
            )
            st.warning(reason)
        else:
            challenges.append(Challenge.of(photo, photo.camera.position))
    return challenges
