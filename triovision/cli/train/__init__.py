"""`triovision train ...`: reproduce a model, one command a step."""

from __future__ import annotations

import click

from triovision.cli.train.benchmarks import benchmark
from triovision.cli.train.datasets import leakage, split, statistics
from triovision.cli.train.ensembles import ensemble
from triovision.cli.train.frozen import frozen
from triovision.cli.train.gldv2 import gldv2
from triovision.cli.train.gps import gps
from triovision.cli.train.manifests import manifest
from triovision.cli.train.models import baselines, export
from triovision.cli.train.reports import compare, report
from triovision.cli.train.runs import recipes, run
from triovision.cli.train.studies import cv, evaluate, search, tune
from triovision.extras import require


class _Commands(click.Group):
    """Checks the packages of the extra before a command starts, so that none fails for one after hours."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        if set(ctx.help_option_names).isdisjoint(ctx.args):
            require("train")
        return super().invoke(ctx)


@click.group(cls=_Commands)
def train() -> None:
    """Reproduce the models that the app shows."""


for command in (
    manifest,
    split,
    leakage,
    statistics,
    recipes,
    run,
    baselines,
    export,
    gldv2,
    report,
    compare,
    cv,
    tune,
    search,
    evaluate,
    ensemble,
    gps,
    frozen,
    benchmark,
):
    train.add_command(command)
