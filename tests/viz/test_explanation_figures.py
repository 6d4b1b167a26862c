from types import SimpleNamespace

import numpy as np
import pytest

from triovision.languages import get_translator
from triovision.viz.explanation_figures import faithfulness_figure
from triovision.viz.palette import DARK, LIGHT

MEASURED = SimpleNamespace(
    fraction=np.array([0.0, 0.5, 1.0]),
    deletion=np.array([0.8, 0.2, 0.1]),
    insertion=np.array([0.1, 0.7, 0.8]),
    random_deletion=np.array([0.8, 0.4, 0.1]),
    random_insertion=np.array([0.1, 0.3, 0.8]),
)


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_the_curves_are_beside_those_of_a_random_order_in_grey(palette):
    figure = faithfulness_figure(MEASURED, palette, get_translator("en"))
    lines = {line.name: line for line in figure.data}
    assert list(lines["strongest hidden first"].y) == [0.8, 0.2, 0.1]
    assert list(lines["strongest shown first"].y) == [0.1, 0.7, 0.8]
    assert list(lines["random order, hidden"].y) == [0.8, 0.4, 0.1]
    assert list(lines["random order, shown"].y) == [0.1, 0.3, 0.8]
    assert {tuple(line.x) for line in figure.data} == {(0.0, 0.5, 1.0)}
    colours = {name: line.line.color for name, line in lines.items()}
    assert colours["random order, hidden"] == colours["random order, shown"] == palette.muted
    assert len(set(colours.values())) == 3
    assert len({line.line.dash for line in figure.data}) == 4


def test_the_curves_speak_french():
    figure = faithfulness_figure(MEASURED, LIGHT, get_translator("fr"))
    assert figure.layout.xaxis.ticktext == ("0\u202f%", "25\u202f%", "50\u202f%", "75\u202f%", "100\u202f%")
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == (
        "part de la photo cachée ou montrée",
        "probabilité",
    )
    assert figure.data[2].text[1] == "50\u202f% · 20\u202f%"
