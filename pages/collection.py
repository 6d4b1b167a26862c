"""Collection page: many photos or archives, with a table, a map, filters, corrections and exports."""

import streamlit as st

from triovision.ui.collection_corrections import render_corrections, render_fusion
from triovision.ui.collection_exports import render_exports
from triovision.ui.collection_intake import render_intake
from triovision.ui.collection_state import collection
from triovision.ui.collection_table import render_filters, render_table
from triovision.ui.leaflet import render_collection_map
from triovision.ui.navigation import require_app_frame
from triovision.ui.service import model_or_error, where_photos_stay
from triovision.ui.translation import current_translator

LATEST = 50

require_app_frame()
t = current_translator()
st.title(t("Many photos"), anchor=False)
st.write(t("Drop many photos or ZIP archives: all are placed on one map, and the answers can be downloaded."))

with model_or_error(t) as model:
    upload, table = st.container(key="collection-intake"), st.empty()

    def draw_table() -> None:
        """Draw the latest rows, the newest first: a whole table after each batch would grow heavy."""
        with table.container():
            render_table(list(collection().entries.values())[: -LATEST - 1 : -1], t)

    with upload, st.container(key=None if collection().entries else "welcome"):
        render_intake(model, draw_table, t)
    calibration = model.card.calibration

entries = list(collection().entries.values())
if entries:
    table.empty()
    stored = collection().stored_count
    if stored > len(entries):
        st.caption(t("The collection holds {count} photos; this page shows the first ones.", count=stored))
    render_fusion(calibration, t)
    shown = render_filters(list(collection().entries.values()), t)
    st.caption(t("{shown} of {count} photos", shown=len(shown), count=len(entries)))
    if shown:
        render_collection_map(shown, t, key="collection-map")
        chosen = render_table(shown, t, key="collection-table")
        render_corrections(chosen, t)
        st.subheader(t("Downloads"), anchor=False)
        render_exports(shown, t)
else:
    st.caption(where_photos_stay(t))
