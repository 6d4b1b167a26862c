"""Verify page: what a file says about a photo against what the picture says, clues, shadows and links."""

import streamlit as st

from triovision.ui.evidence import render_box_button, render_evidence_form, unconditioned
from triovision.ui.headline import render_headline
from triovision.ui.leaflet import render_map
from triovision.ui.navigation import require_app_frame
from triovision.ui.predictions import refresh_predictions
from triovision.ui.service import model_or_error
from triovision.ui.translation import current_translator
from triovision.ui.upload import render_upload_and_choice
from triovision.ui.verify_claim import render_claim, render_sun
from triovision.ui.verify_links import render_place_links, render_search_links
from triovision.ui.verify_pieces import render_pieces
from triovision.ui.verify_shadow import render_shadow_form
from triovision.ui.verify_verdict import render_file_facts, render_verdict

require_app_frame()

t = current_translator()
st.title(t("Is the photo really from there?"), anchor=False)
result = render_upload_and_choice(
    t("Drop a photo: this page compares what its file says with what the picture shows."), t
)
with model_or_error(t) as model:
    refresh_predictions([result], model, t)
camera, calibration = result.photo.camera, model.card.calibration
render_headline(result, calibration.fitted_on, t)

st.subheader(t("The file and the picture"), anchor=False)
render_file_facts(result, t)
st.subheader(t("Claimed place and time"), anchor=False)
claim = render_claim(result, t)
render_verdict(unconditioned(result), claim.position, calibration.conformal_coverage, t)
render_sun(claim, camera, t)

st.subheader(t("What you know"), anchor=False)
render_pieces(result, model, claim.position, t)
render_evidence_form(result, model, t)
with st.expander(t("A shadow in the photo"), key="shadow-open"):
    shadow = render_shadow_form(result, claim.at, model, t)
claimed = None if claim.position == camera.position else claim.position
box = render_map(result.prediction, camera, t, key=f"verify-map-{result.id}", claim=claimed, shadow=shadow)
render_box_button(result, box, model, t)

st.subheader(t("Look around"), anchor=False)
place = result.prediction.place
places = {t("Predicted place"): (place.lat_deg, place.lon_deg)}
if claim.position:
    places[t("Claimed place")] = claim.position
render_place_links(places, t)
st.subheader(t("Has the photo been published before?"), anchor=False)
render_search_links(t)
