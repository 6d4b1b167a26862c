"""About page: purpose, how it works, responsible use, privacy, model card, sources and licences."""

import streamlit as st

from triovision.ui.about import render_pipeline
from triovision.ui.details import render_card
from triovision.ui.examples import EXAMPLE_CREDIT
from triovision.ui.navigation import require_app_frame
from triovision.ui.service import is_remote, model_or_error, where_photos_stay
from triovision.ui.translation import current_translator

require_app_frame()
t = current_translator()
st.title(t("About TrioVision"), anchor=False)

st.header(t("Purpose"), anchor=False)
st.write(
    t(
        "TrioVision guesses where a photo was taken from what can be seen in it. It is made for learning how such "
        "models work, for sorting travel photos, and as one hint among others when the origin of an image is checked."
    )
)

st.header(t("How it works"), anchor=False)
render_pipeline(t)

st.header(t("Responsible use"), anchor=False)
st.write(
    t(
        "Do not use it to find out where private persons live, work or stay, to follow anybody, or as evidence. "
        "A prediction is a guess with a probability, not a proof: check it with other sources before you act on it."
    )
)

st.header(t("Your photos"), anchor=False)
st.write(
    t(
        "Photos are read in the memory of the computer that runs this page. They are not written to disk and not sent "
        "on, and they leave memory when you press Clear or when your session ends. The position in a photo's file is "
        "shown to you and never to the model. Images that you download contain no camera data."
    )
)

if is_remote():
    st.write(where_photos_stay(t))

st.header(t("Map tiles"), anchor=False)
st.write(
    t(
        "The layers “Streets”, “Satellite”, “Terrain” and “Ocean” are pictures from the servers of Esri, which see the "
        "region that you look at and the address of your network. Nothing is sent until you choose one of them."
    )
)

st.header(t("Model in use"), anchor=False)
with model_or_error(t) as model:
    render_card(model.card, t)

st.header(t("Sources and licences"), anchor=False)
st.markdown(
    "\n".join(
        f"- {line}"
        for line in (
            t("TrioVision: Apache-2.0"),
            t("Cities: {source}", source="[GeoNames](https://www.geonames.org/), CC BY 4.0"),
            t("Names of countries: {source}", source="[Unicode CLDR](https://cldr.unicode.org/)"),
            t("Country outlines: {source}", source="[Natural Earth](https://www.naturalearthdata.com/)"),
            t("Example photo: {source}", source=EXAMPLE_CREDIT),
        )
    )
)
