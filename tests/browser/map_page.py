"""A page with nothing but the map of a prediction made by hand, and two widgets to make it run again."""

from dataclasses import replace

import streamlit as st

from triovision.results import CameraFacts, CountryGuess, PlaceGuess, Prediction
from triovision.ui.leaflet import show_map
from triovision.ui.words import speak

HOSTILE = "</script><script>alert(1)</script>`${alert(2)}`<img src=x onerror=alert(3)>\"'"
PARIS = Prediction(
    photo=HOSTILE,
    model="made by hand",
    countries=(CountryGuess("FR", 0.7), CountryGuess("DE", 0.2), CountryGuess("CA", 0.1)),
    country_set=("FR", "DE"),
    place=PlaceGuess("Paris", "FR", 48.8566, 2.3522, 0.4),
    radius_km=330,
    places=(
        PlaceGuess("Paris", "FR", 48.8566, 2.3522, 0.4),
        PlaceGuess("Lyon", "FR", 45.764, 4.8357, 0.2),
        PlaceGuess("Villeurbanne", "FR", 45.7719, 4.8902, 0.1),
        PlaceGuess(HOSTILE, "DE", 52.52, 13.405, 0.2),
        PlaceGuess("Montréal", "CA", 45.5017, -73.5673, 0.1),
    ),
    abstained=False,
    elapsed_ms=12.0,
    device="cpu",
    precision="float32",
)
SUVA = replace(
    PARIS,
    place=PlaceGuess("Suva", "FJ", -18.1416, 178.4419, 0.6),
    radius_km=900,
    places=(
        PlaceGuess("Suva", "FJ", -18.1416, 178.4419, 0.6),
        PlaceGuess("Neiafu", "TO", -18.6509, -173.9839, 0.4),
    ),
    abstained=True,
)

st.set_page_config("Map", layout="wide")
photo = st.query_params.get("photo", "paris")
prediction, camera = (SUVA, None) if photo == "suva" else (PARIS, CameraFacts(lat_deg=43.2965, lon_deg=5.3698))
st.button("Run again")
runs = st.session_state["runs"] = st.session_state.get("runs", 0) + 1
st.caption(f"run {runs}")
elsewhere, here = st.tabs(["Elsewhere", "Map"]) if "hidden" in st.query_params else (None, st.container())
with here:
    show_map(prediction, camera, speak("en"), key="map")
