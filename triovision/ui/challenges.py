"""Photos of a game: uploads with an EXIF position, photos of the session, the bundled example."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from triovision.duel import Challenge
from triovision.errors import PhotoError
from triovision.photo import decoder_pool, read_photo
from triovision.ui.examples import EXAMPLE, EXAMPLE_CREDIT, EXAMPLE_PLACE
from triovision.ui.messages import report
from triovision.ui.session import current
from triovision.ui.translation import Translator, plain


def example_challenge() -> Challenge:
    """The bundled example."""
    position = EXAMPLE_PLACE.lat_deg, EXAMPLE_PLACE.lon_deg
    return Challenge.of(read_photo(EXAMPLE.read_bytes(), EXAMPLE.name), position, EXAMPLE_CREDIT)


def session_challenges() -> list[Challenge]:
    """Photos of the session whose camera wrote a position."""
    results = current().results.values()
    return [
        Challenge.of(result.photo, position, result.credit)
        for result in results
        if (position := result.photo.camera.position) is not None
    ]


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
