"""Self-contained HTML pages about training runs: they need no network and follow the reader's light or dark theme."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from triovision.geo import country_flag, country_name
from triovision.geo.continents import CONTINENTS
from triovision.metrics.country import RunMetrics
from triovision.viz import comparison_figures, run_figures
from triovision.viz.palette import DARK, LIGHT, Palette

Cell = tuple[str | float | None, str]


@dataclass(frozen=True, slots=True)
class PageTable:
    """A table of a page: each cell is the value to sort by and the text to show."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def run_page(run: RunMetrics, pictures: Mapping[str, bytes]) -> str:
    """The report of one run.

    Args:
        run: Its figures.
        pictures: JPEG copies of photos by the name of their file; the page names the others only.
    """

    def figures(palette: Palette) -> dict[str, go.Figure]:
        found = {
            "loss": run_figures.loss_curves(run.epochs, palette),
            "accuracy": run_figures.accuracy_curves(run.epochs, palette),
        }
        for n, split in enumerate(run.splits.values()):
            found[f"recall{n}"] = run_figures.recall_by_photos(split.countries, palette)
            found[f"confusion{n}"] = run_figures.confusion_matrix(split, palette)
            if split.before is not None:
                found[f"reliability{n}"] = run_figures.reliability_diagram(split.before, split.after, palette)
            if split.risk_coverage:
                found[f"risk{n}"] = run_figures.risk_coverage_curve(split, palette)
        return found

    blocks = {}
    for name, split in run.splits.items():
        rows = len(run_figures.confusion_order(split))
        blocks[name] = [("the whole world", 0, rows - 1), *run_figures.continent_blocks(split)]
    return _render(
        "run.html.j2",
        figures(LIGHT),
        figures(DARK),
        run=run,
        rows=[("training sample", run.overfitting.training), *((k, v.scores) for k, v in run.splits.items())],
        blocks=blocks,
        pictures={name: "data:image/jpeg;base64," + base64.b64encode(jpeg).decode() for name, jpeg in pictures.items()},
        recipe=json.dumps(run.recipe, indent=2, ensure_ascii=False),
    )


def comparison_page(
    runs: Mapping[str, RunMetrics],
    groups: Mapping[str, Sequence[str]],
    tables: Sequence[PageTable],
    warnings: Sequence[str],
) -> str:
    """Several runs side by side; two runs are also compared country by country.

    Args:
        runs: Figures by the name of the run.
        groups: Names of the runs that differ in their seed alone, by the name of their recipe.
        tables: Tables to show.
        warnings: What makes the runs hard to compare, in words.
    """
    splits = list(dict.fromkeys(name for run in runs.values() for name in run.splits))

    def figures(palette: Palette) -> dict[str, go.Figure]:
        found = {}
        for n, split in enumerate(splits):
            having = {name: run for name, run in runs.items() if split in run.splits}
            for figure, field in (("top1", "top1"), ("recall", "macro_recall")):
                values = {
                    group: [
                        v
                        for m in members
                        if m in having
                        if (v := getattr(having[m].splits[split].scores, field)) is not None
                    ]
                    for group, members in groups.items()
                }
                title = field.replace("_", " ").replace("top1", "top-1 accuracy")
                some = {group: seeds for group, seeds in values.items() if seeds}
                found[f"{figure}_{n}"] = comparison_figures.seed_bars(some, palette, title)
            curves = {name: run.epochs for name, run in having.items()}
            found[f"curves_{n}"] = comparison_figures.overlaid_accuracy(curves, split, palette)
            if len(runs) == len(having) == 2:
                (old, first), (new, second) = having.items()
                both = first.splits[split].countries, second.splits[split].countries
                found[f"difference_{n}"] = comparison_figures.country_difference(*both, (old, new), palette)
        return found

    light = figures(LIGHT)
    return _render(
        "comparison.html.j2",
        light,
        figures(DARK),
        names=list(runs),
        splits=splits,
        tables=[(table.caption, table.columns, table.rows) for table in tables],
        warnings=warnings,
        drawn=set(light),
    )


def _render(template: str, light: Mapping[str, go.Figure], dark: Mapping[str, go.Figure], **values: Any) -> str:  # noqa: ANN401 - a template takes any value
    environment = _environment()
    both = {name: [json.loads(theme[name].to_json()) for theme in (light, dark)] for name in light}
    script, plotly, css = _source("page.js"), get_plotlyjs(), _source("page.css")
    # Only these two scripts run, whatever a file name or a recipe's words may try.
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in (plotly, script)
    )
    return environment.get_template(template).render(
        **values,
        figures=htmlsafe_json_dumps(both),
        script_hashes=hashes,
        script=Markup(script),  # noqa: S704 - our own file
        plotly=Markup(plotly),  # noqa: S704 - the library's own file
        css=Markup(css),  # noqa: S704 - our own file
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("triovision.viz"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {
        "percent": lambda share: "\N{EN DASH}" if share is None else f"{share:.1%}",
        "decimals": lambda value: "\N{EN DASH}" if value is None else f"{value:.3f}",
        "complement": lambda share: None if share is None else 1 - share,
        "country": country_name,
        "flag": country_flag,
        "continent": lambda code: CONTINENTS.get(code, code),
        "duration": lambda seconds: "a time that it did not record" if seconds is None else duration(seconds),
    }
    return environment


def duration(seconds: float) -> str:
    """A time for people, such as `"1 h 05 min"`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min {rest:02d} s"


def _source(name: str) -> str:
    source, _, _ = PackageLoader("triovision.viz").get_source(_environment(), name)
    return source
