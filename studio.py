"""Frame of every page: configuration, theme, navigation, notices. `app.py` serves it."""

import streamlit as st

from triovision.bundle import ASSETS
from triovision.ui.address import read_address, write_address
from triovision.ui.login import may_enter, render_entrance, render_logout
from triovision.ui.navigation import navigate
from triovision.ui.notices import render_notices
from triovision.ui.theme import apply_style, follow_system_theme
from triovision.ui.translation import current_translator, render_language_switch

st.set_page_config(page_title="TrioVision", page_icon=str(ASSETS / "icon.svg"), layout="wide")
read_address()
t = current_translator()
apply_style(t)
follow_system_theme()
admitted = may_enter()
page = navigate(t, menu=admitted)
bar = render_language_switch(t)
write_address()
if admitted:
    render_logout(bar, t)
    render_notices(t)
    page.run()
else:
    render_entrance(t)
