import numpy as np

from triovision.results import Explanation
from triovision.ui import session
from triovision.ui.session import ExplanationKey, Session


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
    memory.keep(ExplanationKey("a", "FR", "LayerCAM"), explanation("FR"))
    memory.keep(ExplanationKey("a", "IT", "LayerCAM"), explanation("IT"))
    assert memory.explanation(ExplanationKey("a", "FR", "LayerCAM")).country == "FR"
    memory.keep(ExplanationKey("a", "ES", "LayerCAM"), explanation("ES"))
    assert memory.explanation(ExplanationKey("a", "IT", "LayerCAM")) is None
    assert [key.country for key in memory.explanations] == ["FR", "ES"]
