"""Command `triovision` with its commands, and their errors in one line."""

from __future__ import annotations

import click

from triovision import __version__
from triovision.cli.app import app
from triovision.cli.calibrate import calibrate
from triovision.cli.commands import Commands
from triovision.cli.completion import completion
from triovision.cli.doctor import doctor
from triovision.cli.evaluate import evaluate
from triovision.cli.model_figures import figures, studies
from triovision.cli.models import models
from triovision.cli.organise import organise
from triovision.cli.predict import predict
from triovision.cli.report import report
from triovision.cli.serve import serve
from triovision.cli.train import train


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(__version__)
def main() -> None:
    """Where was this photo taken?

    Exit status of all commands: 0 when all went well, 1 when some photos or files were not right, 2 for wrong usage or
    an error that is printed in one line, 130 after Ctrl-C.
    """


for command in (app, completion, doctor, evaluate, models, organise, predict, report, serve, train):
    main.add_command(command)
for command in (calibrate, figures, studies):
    models.add_command(command)
