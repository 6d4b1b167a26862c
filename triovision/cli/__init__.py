"""Command line: `triovision predict`, `report`, `organise`, `serve`, `app`, `models`, `evaluate`, `train`, `doctor`."""

from __future__ import annotations

import errno
from typing import Final

import click

from triovision import __version__
from triovision.cli.app import app
from triovision.cli.calibrate import calibrate
from triovision.cli.completion import completion
from triovision.cli.doctor import doctor
from triovision.cli.evaluate import evaluate
from triovision.cli.model_figures import figures, studies
from triovision.cli.models import models
from triovision.cli.organise import organise
from triovision.cli.predict import predict
from triovision.cli.report import report
from triovision.cli.serve import serve
from triovision.cli.terminal import CANCELLED, one_line
from triovision.cli.train import train
from triovision.errors import TrioVisionError

_NO_ROOM: Final = {errno.ENOSPC, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)}  # Windows has no quota error
_MAKE_ROOM: Final = "Free some space, or name a folder that can be written, and run the same command again."


class _Commands(click.Group):
    """Command group that prints errors of TrioVision in one line on standard error, with exit status 2.

    So it does with a full disk, which any command may meet in any file. Ctrl-C, where a command does not say what it
    leaves, ends with 130.
    """

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except TrioVisionError as exc:
            click.echo(f"Error: {one_line(exc)}", err=True)
            ctx.exit(2)
        except KeyboardInterrupt:
            click.echo("Cancelled.", err=True)
            ctx.exit(CANCELLED)
        except OSError as exc:
            if exc.errno not in _NO_ROOM:
                raise
            where = one_line(exc.filename or "the disk")
            click.echo(f"Error: {where}: cannot be written ({exc.strerror}). {_MAKE_ROOM}", err=True)
            ctx.exit(2)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
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
