"""Play page: a duel with the model, five photos to find on the map."""

import streamlit as st

from triovision.ui.game import current_duel, render_round, render_score, render_start, render_summary, render_truth
from triovision.ui.navigation import require_app_frame
from triovision.ui.translation import current_translator

require_app_frame()
t = current_translator()
st.title(t("Play against the model"), anchor=False)
duel = current_duel()
if duel is None:
    st.write(
        t(
            "Where was each photo taken? Choose a point on the map; then the model's answer and the true place appear. "
            "A perfect guess earns 5,000 points, and 1,000 km off about 2,560."
        )
    )
    render_start(t)
elif duel.over:
    render_summary(duel, t)
else:
    render_score(duel, t)
    if duel.revealed:
        render_truth(duel, t)
    else:
        render_round(duel, t)
