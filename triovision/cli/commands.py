"""Command group that prints errors in one line, for `triovision` and for the examples."""

from __future__ import annotations

import errno
from typing import Final

import click

from triovision.cli.terminal import CANCELLED, one_line
from triovision.errors import TrioVisionError

_NO_ROOM: Final = {errno.ENOSPC, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)}  # Windows has no quota error
_MAKE_ROOM: Final = "Free some space, or name a folder that can be written, and run the same command again."
_NO_ACCESS: Final = {errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST}  # a file where a folder should be
_NAME_ANOTHER: Final = "Check the path and its permissions, or name another, and run the same command again."


class Commands(click.Group):
    """Command group that prints errors of TrioVision in one line on standard error, with exit status 2.

    So it does with a full disk and a forbidden path, which any command may meet in any file. Ctrl-C, where a command
    does not say what it leaves, ends with 130.
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
        except SystemExit as exc:
            if exc.code == CANCELLED or not isinstance(exc.__context__, KeyboardInterrupt):
                raise  # the command has said what it leaves, or was not interrupted
            click.echo("Cancelled. The same command goes on from the last checkpoint.", err=True)  # Lightning exits so
            ctx.exit(CANCELLED)
        except OSError as exc:
            if exc.errno in _NO_ROOM:
                reason, remedy = "cannot be written", _MAKE_ROOM
            elif exc.errno in _NO_ACCESS and exc.filename:
                reason, remedy = "cannot be read or written", _NAME_ANOTHER
            else:
                raise
            where = one_line(exc.filename or "the disk")
            click.echo(f"Error: {where}: {reason} ({exc.strerror}). {remedy}", err=True)
            ctx.exit(2)
