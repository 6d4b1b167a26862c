"""Rendering of self-contained HTML pages: no network, light and dark theme, figures, sortable tables."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from triovision.geo import country_flag, country_name
from triovision.geo.continents import CONTINENTS
from triovision.train.evaluation.compare import duration


def render_page(
    template: str,
    light: Mapping[str, go.Figure],
    dark: Mapping[str, go.Figure],
    **values: Any,  # noqa: ANN401 - a template takes any value
) -> str:
    """Render a page with its figures in both themes.

    Args:
        template: File name of the template in this package.
        light: Figures for the light theme by their id in the template.
        dark: The same figures for the dark theme.
        **values: Other variables of the template; texts are escaped.
    """
    environment = _environment()
    both = {name: [json.loads(theme[name].to_json()) for theme in (light, dark)] for name in light}
    script, plotly, css = _source("page.js"), get_plotlyjs(), _source("page.css")
    # The content security policy allows these two scripts only, whatever a file name or a recipe contains.
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
        loader=PackageLoader("triovision.reporting"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {
        "percent": lambda fraction: "\N{EN DASH}" if fraction is None else f"{fraction:.1%}",
        "decimals": lambda value: "\N{EN DASH}" if value is None else f"{value:.3f}",
        "complement": lambda fraction: None if fraction is None else 1 - fraction,
        "country": country_name,
        "flag": country_flag,
        "continent": lambda code: CONTINENTS.get(code, code),
        "duration": lambda seconds: "not recorded" if seconds is None else duration(seconds),
    }
    return environment


def _source(name: str) -> str:
    source, _, _ = PackageLoader("triovision.reporting").get_source(_environment(), name)
    return source
