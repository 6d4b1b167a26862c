"""`triovision app`: the page, from a checkout or an installed wheel."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import click

from triovision.bundle import APP
from triovision.cli.train.options import FOLDER
from triovision.extras import require

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_NAMES = "STREAMLIT_SERVER_ALLOWED_HOSTS"
_EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - recognised, not bound


@click.command()
@click.option("--host", help="Address to listen on; 0.0.0.0 lets others in: docs/deploy.md.  [default: localhost]")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.  [default: the first free from 8501]")
@click.option("--model", "model_id", help="Model that answers; see `models`.")
@click.option("--collection", type=FOLDER, help="Folder of `organise --to`, shown on the page Many photos.")
@click.option("--no-browser", is_flag=True, help="Open no browser, as on a server.")
def app(host: str | None, port: int | None, model_id: str | None, collection: Path | None, no_browser: bool) -> None:
    """Start the page and open it in the browser. Stop it with Ctrl-C.

    \b
    Examples:
      triovision app
      triovision app --port 8600 --model tf_efficientnet_lite0.places10k
      triovision app --host 0.0.0.0 --no-browser
      triovision app --collection answers
    """  # noqa: D301 - click reads the escape
    require("")
    from streamlit.web.cli import main_run  # noqa: PLC0415 - `--help` must not wait for Streamlit

    if model_id is not None:
        from triovision.inference.registry import model_folder  # noqa: PLC0415 - torch

        os.environ["TRIOVISION_MODEL"] = model_folder(model_id).name
    if collection is not None:
        _open_collection(collection)
    opened = host is not None and host not in _LOOPBACK
    options = {
        "server.address": host,
        "server.port": port,
        "server.headless": no_browser or None,
        # Without a name to print, Streamlit would request its own address from a server of Amazon.
        "browser.serverAddress": socket.gethostname() if host in _EVERY_ADDRESS else None,
        # The configuration knows the names of this machine for itself; those for others, its owner.
        "server.allowedHosts": "*" if opened and not os.environ.get(_NAMES) else None,
    }
    flags = [f"--{name}={value}" for name, value in options.items() if value is not None]
    from triovision.ui.warm_start import start_thread  # noqa: PLC0415 - Streamlit

    start_thread()  # loads the model while the server starts
    # Streamlit reads the configuration beside the script, wherever the command is given.
    main_run.main([str(APP), *flags], prog_name="triovision app", standalone_mode=False)


def _open_collection(folder: Path) -> None:
    """Let every session of the page begin with a collection; one that cannot be read is an error now."""
    from triovision.collections.organiser.photos import stored_photos  # noqa: PLC0415 - pandas
    from triovision.ui.collection_state import COLLECTION_VARIABLE  # noqa: PLC0415 - Streamlit

    count = stored_photos(folder, 1).count
    os.environ[COLLECTION_VARIABLE] = str(folder.absolute())
    click.echo(f"The collection of {count} photos is on the page Many photos.")
