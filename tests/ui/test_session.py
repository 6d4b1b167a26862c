import numpy as np

from triovision.results import Explanation
from triovision.ui import session
from triovision.ui.session import Session


def explanation(country):
    return Explanation(
        photo="a.jpg",
        model="tiny.test",
        country=country,
        method="LayerCAM",
        layer="blocks",
        heatmap_hw=np.zeros((1, 1), np.float32),
        box=(0, 0, 1, 1),
        elapsed_ms=1.0,
    )


def test_the_explanation_used_longest_ago_goes_first(monkeypatch):
    monkeypatch.setattr(session, "_MAX_EXPLANATIONS", 2)
    memory = Session()
    memory.keep(("a", "FR", "LayerCAM"), explanation("FR"))
    memory.keep(("a", "IT", "LayerCAM"), explanation("IT"))
    assert memory.explanation(("a", "FR", "LayerCAM")).country == "FR"
    memory.keep(("a", "ES", "LayerCAM"), explanation("ES"))
    assert memory.explanation(("a", "IT", "LayerCAM")) is None
    assert [key[1] for key in memory.explanations] == ["FR", "ES"]
