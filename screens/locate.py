"""The main page: a photo in, an answer out."""

import streamlit as st

from triovision.ui.answer import photo_picker, show_answer
from triovision.ui.asking import bring_up_to_date, offer_the_rest
from triovision.ui.details import show_details
from triovision.ui.intake import drop_zone
from triovision.ui.known import ask_what_is_known, offer_box, show_known
from triovision.ui.leaflet import show_map
from triovision.ui.probabilities import show_probabilities
from triovision.ui.service import model_of, model_or_remedy
from triovision.ui.session import Answer, current
from triovision.ui.translation import Translator, words
from triovision.ui.why import show_why


@st.fragment
def show_tabs(answer: Answer, say: Translator) -> None:
    """Draw the open tab. A click inside reruns this part of the page and no other, and asks the model nothing again."""
    model = model_of(answer, say)
    labels = [say("Map"), say("Probabilities"), say("Why"), say("Details")]
    if st.session_state.get("tab") not in labels:  # another language, or back from another page
        st.session_state["tab"] = labels[st.session_state.get("tab-number", 0)]
    tabs = places, charts, reasons, facts = st.tabs(labels, key="tab", on_change="rerun")
    st.session_state["tab-number"] = [bool(tab.open) for tab in tabs].index(True)
    with places:  # always drawn, so that the map keeps its zoom while another tab is open
        box = show_map(answer.prediction, answer.photo.camera, say, key=f"map-{answer.id}")
        offer_box(answer, box, model, say)
    if charts.open:
        with charts:
            show_probabilities(answer, model, say)
    if reasons.open:
        with reasons:
            show_why(answer, model, say)
    if facts.open:
        with facts:
            show_details(answer, model, say)


say = words()
st.title(say("Where was this photo taken?"), anchor=False)
if current().answers:
    drop_zone(say)
    answer = photo_picker(say)
    with model_or_remedy(say) as model:
        bring_up_to_date([answer], model, say)
        offer_the_rest(model, say)
        show_answer(answer, say)
        show_known(answer, say)
        ask_what_is_known(answer, model, say)
    show_tabs(answer, say)
else:
    st.write(say("Drop a photo: TrioVision names the most probable countries, maps them and says how sure it is."))
    with st.container(key="welcome"):
        drop_zone(say)
    st.caption(say("Photos stay in the memory of the computer that runs this page, and are never written to disk."))
    with model_or_remedy(say) as model:  # loads it while the reader looks for a photo
        countries = say.number(len(model.card.labels))
        st.caption(
            say("The model knows {count} countries. Elsewhere it is meant to say that it is not sure.", count=countries)
        )
