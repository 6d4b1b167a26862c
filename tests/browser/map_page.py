"""Test page: the map of a fixed prediction, and a button that reruns the script."""

from dataclasses import replace

import numpy as np
import streamlit as st

from triovision.geo import WeightedPlaces
from triovision.guesses import Area, CountryGuess, PlaceGuess
from triovision.results import CameraFacts, Prediction
from triovision.ui.leaflet import render_map
from triovision.ui.translation import get_translator

HOSTILE = "</script><script>alert(1)</script>`${alert(2)}`<img src=x onerror=alert(3)>\"'"
PARIS = Prediction(
    photo=HOSTILE,
    model="made by hand",
    countries=(CountryGuess("FR", 0.7), CountryGuess("DE", 0.2), CountryGuess("CA", 0.1)),
    country_set=("FR", "DE"),
    place=PlaceGuess("Paris", "FR", 48.8566, 2.3522, 0.4),
    radius_km=330,
    radius_90_km=5600,
    places=(
        PlaceGuess("Paris", "FR", 48.8566, 2.3522, 0.4),
        PlaceGuess("Lyon", "FR", 45.764, 4.8357, 0.2),
        PlaceGuess("Villeurbanne", "FR", 45.7719, 4.8902, 0.1),
        PlaceGuess(HOSTILE, "DE", 52.52, 13.405, 0.2),
        PlaceGuess("Montréal", "CA", 45.5017, -73.5673, 0.1),
    ),
    posterior=WeightedPlaces(
        lat_deg=np.array([48.8566, 45.764, 45.7719, 52.52, 45.5017]),
        lon_deg=np.array([2.3522, 4.8357, 4.8902, 13.405, -73.5673]),
        weight=np.array([0.4, 0.2, 0.1, 0.2, 0.1]),
        countries=np.array(["FR", "FR", "FR", "DE", "CA"]),
    ),
    area=Area(kind="country", probability=0.7, country="FR"),
    abstained=False,
    elapsed_ms=12.0,
    device="cpu",
    precision="float32",
)
SUVA = replace(
    PARIS,
    place=PlaceGuess("Suva", "FJ", -18.1416, 178.4419, 0.6),
    radius_km=900,
    radius_90_km=900,
    places=(
        PlaceGuess("Suva", "FJ", -18.1416, 178.4419, 0.6),
        PlaceGuess("Neiafu", "TO", -18.6509, -173.9839, 0.4),
    ),
    posterior=WeightedPlaces(
        lat_deg=np.array([-18.1416, -18.6509]),
        lon_deg=np.array([178.4419, -173.9839]),
        weight=np.array([0.6, 0.4]),
        countries=np.array(["FJ", "TO"]),
    ),
    area=Area(kind="unknown", probability=1),
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
    render_map(prediction, camera, get_translator("en"), key="map")
