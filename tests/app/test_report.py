"""Report of a photo on the Details tab."""

import streamlit as st

LABEL = "Download the report"


def test_the_report_is_made_on_demand_and_shows_what_the_reader_chose(app, china, monkeypatch):
    made, draw = {}, st.download_button

    def noted(label, data, **options):
        made[label] = data
        return draw(label, data, **options)

    monkeypatch.setattr("triovision.ui.report.st.download_button", noted)
    app.run().session_state["tab"] = "Details"
    app.file_uploader[0].set_value([("<b>china.jpg", china, "image/jpeg")])
    assert not app.run().exception
    assert LABEL in {button.label for button in app.get("download_button")}
    page = made[LABEL]().decode()
    assert "Peru" in page
    assert "&lt;b&gt;china.jpg" in page
    assert page.count("<img") == 1  # no heat map was looked at
    assert "Position in the file" not in page
    facts = next(pills for pills in app.get("button_group") if pills.label == "Also show what the camera wrote")
    facts.set_value(["position"])
    assert not app.run().exception
    assert "Position in the file" in made[LABEL]().decode()
