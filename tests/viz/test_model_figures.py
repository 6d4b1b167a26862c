import pytest

from triovision.bundle import NODE_MODULES
from triovision.languages import ENGLISH
from triovision.metrics.country import ReliabilityBin, RiskPoint
from triovision.metrics.model_figures import ContinentCell, CountryRecall, ModelFigures
from triovision.viz.model_figures import continent_confusion, recall_map, reliability_figure, risk_coverage_figure
from triovision.viz.outlines import read_country_outlines
from triovision.viz.palette import DARK, LIGHT

ATLAS = NODE_MODULES / "world-atlas" / "countries-110m.json"


@pytest.fixture
def figures():
    return ModelFigures(
        model="tiny.photos",
        weights_sha256="a" * 64,
        measured_on="photos",
        command="command",
        photos=10,
        sources=3,
        top1=0.5,
        top1_low=0.4,
        top1_high=0.6,
        expected_calibration_error=0.1,
        reliability=(
            ReliabilityBin(photos=9, probability=0.3, accuracy=0.4),
            ReliabilityBin(photos=1, probability=0.8, accuracy=1.0),
        ),
        risk_coverage=(
            RiskPoint(threshold=0.8, coverage=0.1, risk=0.0),
            RiskPoint(threshold=0.3, coverage=1.0, risk=0.5),
        ),
        at_threshold=RiskPoint(threshold=0.5, coverage=0.1, risk=0.0),
        countries=(
            CountryRecall(country="FR", photos=8, right=8, sources=2, low=1.0, high=1.0),
            CountryRecall(country="JP", photos=2, right=0, sources=1, low=None, high=None),
        ),
        continents=(
            ContinentCell(truth="AS", answer="EU", photos=2),
            ContinentCell(truth="EU", answer="AF", photos=2),
            ContinentCell(truth="EU", answer="EU", photos=6),
        ),
    )


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_the_largest_bin_has_the_largest_dot(figures, palette):
    diagonal, bins = reliability_figure(figures, palette, ENGLISH).data
    assert list(diagonal.x) == list(diagonal.y) == [0, 1]
    assert list(bins.x) == [0.3, 0.8]
    assert list(bins.y) == [0.4, 1.0]
    assert bins.marker.size[0] > bins.marker.size[1]


def test_the_threshold_is_marked_only_where_it_answers(figures):
    curve, threshold = risk_coverage_figure(figures, LIGHT, ENGLISH).data
    assert list(curve.x) == [0.1, 1.0]
    assert list(threshold.x) == [0.1]
    silent = figures.model_copy(update={"at_threshold": RiskPoint(threshold=1.0, coverage=0.0, risk=None)})
    assert len(risk_coverage_figure(silent, LIGHT, ENGLISH).data) == 1


def test_rows_of_the_confusion_sum_to_one(figures):
    (heatmap,) = continent_confusion(figures, LIGHT, ENGLISH).data
    assert list(heatmap.y) == ["Asia (AS)", "Europe (EU)"]
    assert list(heatmap.x) == ["AF", "AS", "EU"]
    assert heatmap.hovertext[1][0] == "Europe (EU) placed in Africa (AF): 2 photos"
    assert heatmap.z.tolist() == [[0, 0, 1], [0.25, 0, 0.75]]


def test_countries_are_filled_by_their_recall(figures):
    square = [[0, 0], [1, 0], [1, 1], [0, 0]]
    outlines = {"FR": [square], "JP": [square, square], "BR": [square]}
    traces = {trace.name: trace for trace in recall_map(figures, outlines, LIGHT, ENGLISH).data if trace.fill}
    assert set(traces) == {"France: 100% of 8 photos", "Japan: 0% of 2 photos", ""}
    assert traces["France: 100% of 8 photos"].fillcolor == LIGHT.accent
    assert traces[""].fillcolor == LIGHT.background
    assert traces["Japan: 0% of 2 photos"].x == (0, 1, 1, 0, None, 0, 1, 1, 0, None)


@pytest.mark.skipif(not ATLAS.is_file(), reason="`make assets` fetches the outlines")
def test_countries_of_the_atlas_have_their_codes():
    outlines = read_country_outlines(ATLAS)
    assert {"FR", "JP", "BR", "XK", "FJ", "TW", "NO"} <= outlines.keys()
    lon = [point[0] for ring in outlines["JP"] for point in ring]
    assert 122 < min(lon) < max(lon) < 154
