"""Commands `triovision models list|show|install|verify|calibrate|index`."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from tqdm import tqdm

from triovision.cli.formats import FORMAT, print_rows
from triovision.cli.landmark_index import index
from triovision.cli.terminal import CANCELLED, one_line

if TYPE_CHECKING:
    from triovision.inference import ModelCard
    from triovision.inference.geoclip.release import OnProgress


@click.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List, show, install, check and calibrate models; without a command, list them."""
    if context.invoked_subcommand is None:
        context.invoke(list_, form="table")


models.add_command(index)


@models.command(name="list")
@FORMAT
def list_(form: str) -> None:
    """List the models on this machine, the default marked with a star, and those that can be installed.

    \b
    Examples:
      triovision models list
      triovision models list --format json
    """  # noqa: D301 - click reads the escape
    if form != "table":
        print_rows(_rows(), form)
        return
    for row in _rows():
        mark = "*" if row["default"] else " " if row["installed"] else "-"
        click.echo(f"{mark} {row['model']}: {one_line(' '.join(filter(None, (row['summary'], row['remedy']))))}")


def _rows() -> Iterator[dict[str, Any]]:
    """One row for each model; `remedy` says what is needed before it can be used."""
    from triovision.inference import registry  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.inference.geoclip.release import EXTRA, missing_packages, released_card  # noqa: PLC0415

    cards, offered = {card.id: card for card in registry.list_models()}, released_card()
    for model_id, card in (cards | {offered.id: offered}).items():
        remedy = ""
        if model_id not in cards:
            remedy = f"Not installed: `triovision models install {_short(card)}`."
        elif model_id == offered.id and (missing := missing_packages()):
            remedy = f"It cannot be used without {', '.join(missing)}. {EXTRA}."
        yield {
            "model": model_id,
            "default": model_id == registry.default_model(),
            "installed": model_id in cards,
            "summary": card.summary,
            "remedy": remedy,
        }


@models.command()
@click.argument("model_id", metavar="MODEL")
def show(model_id: str) -> None:
    """Print the card of MODEL as JSON, also before the model is installed.

    `calibration` is the one in force, and `calibration_from` says where it is: in the card, or in the file that
    `triovision models calibrate` wrote.

    \b
    Examples:
      triovision models show tf_efficientnet_lite0
      triovision models show geoclip | grep licence
    """  # noqa: D301 - click reads the escape
    from triovision.inference.registry import calibrated, install_folder  # noqa: PLC0415 - `--help` must not wait
    from triovision.inference.stored_calibration import calibration_path  # noqa: PLC0415

    card = _card(model_id)
    path = calibration_path(install_folder(), card.id)
    shown = calibrated(card).model_dump(mode="json") | {"calibration_from": str(path) if path.exists() else "card"}
    click.echo(json.dumps(shown, ensure_ascii=False, indent=2))


@models.command()
@click.argument("model_id", metavar="MODEL")
def install(model_id: str) -> None:
    """Download MODEL from the public hub and prepare it. Ctrl-C cancels; the same command resumes.

    HF_ENDPOINT names another hub, TRIOVISION_MODELS another folder. Exit status: 130 if cancelled.

    \b
    Examples:
      triovision models install geoclip
      TRIOVISION_MODELS=/data/models triovision models install geoclip
    """  # noqa: D301 - click reads the escape
    from triovision.inference import registry  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.inference.geoclip.installation import install as install_model  # noqa: PLC0415
    from triovision.inference.geoclip.release import EXTRA, missing_packages, released_card  # noqa: PLC0415

    card = released_card()
    if model_id not in {card.id, _short(card)}:
        raise click.UsageError(f"Only {_short(card)} can be installed; other models come with the repository.")
    try:
        with _bar("download", "B") as on_progress, _log_retries():
            folder = install_model(card, registry.install_folder(), on_progress)
        click.echo(f"{card.id} is in {folder}")
        if missing := missing_packages():
            click.echo(f"It cannot be used yet without {', '.join(missing)}. {EXTRA}.")
            return
        _prepare(card)
    except KeyboardInterrupt:
        click.echo("Cancelled. Run the same command again to resume.", err=True)
        sys.exit(CANCELLED)


@models.command()
@click.argument("model_ids", metavar="[MODEL]...", nargs=-1)
def verify(model_ids: tuple[str, ...]) -> None:
    """Compare every file of each MODEL (by default of all models) with the hash in its card.

    Exit status: 0 if all files are whole, 1 if one is not.

    \b
    Examples:
      triovision models verify
      triovision models verify resnetgps_v1.places10k
    """  # noqa: D301 - click reads the escape
    from triovision.inference import registry  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.inference.card import read_card  # noqa: PLC0415

    folders = registry.found_models()
    selected = [known_model(model_id, folders) for model_id in model_ids] or list(folders)
    damaged = 0
    for name in selected:
        faults = list(registry.file_faults(folders[name], read_card(folders[name], name)))
        click.echo(f"{name}: {f'{len(faults)} of its files are not right' if faults else 'whole'}")
        for fault in faults:
            click.echo(f"  {one_line(fault)}", err=True)
        damaged += bool(faults)
    sys.exit(1 if damaged else 0)


def _prepare(card: ModelCard) -> None:
    """Compute the cached arrays now, so that the first prediction need not."""
    from triovision.inference.geoclip.loading import load_gallery, position_embeddings  # noqa: PLC0415
    from triovision.inference.registry import found_models  # noqa: PLC0415

    click.echo("Looking up the countries of the positions and embedding them, once.")
    gallery, _ = load_gallery(found_models()[card.id], card)
    with _bar("positions", "") as on_progress:
        position_embeddings(card, gallery, on_progress)
    click.echo(f"Ready: {card.id} answers from now on, unless TRIOVISION_MODEL names another model.")


@contextmanager
def _bar(description: str, unit: str) -> Iterator[OnProgress]:
    with tqdm(desc=description, unit=unit, unit_scale=True, disable=None) as bar:

        def on_progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield on_progress


@contextmanager
def _log_retries() -> Iterator[None]:
    """Print each retry of a download with its reason."""
    from stamina.instrumentation import RetryDetails, set_on_retry_hooks  # noqa: PLC0415 - `--help` must not wait

    from triovision.transfer import root_cause  # noqa: PLC0415

    def on_retry(details: RetryDetails) -> None:
        with tqdm.external_write_mode(file=sys.stderr):
            click.echo(f"Trying again in {details.wait_for:.0f} s: {root_cause(details.caused_by)}", err=True)

    set_on_retry_hooks([on_retry])
    try:
        yield
    finally:
        set_on_retry_hooks(None)


def _card(model_id: str) -> ModelCard:
    from triovision.inference.card import read_card  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.inference.geoclip.release import released_card  # noqa: PLC0415
    from triovision.inference.registry import found_models  # noqa: PLC0415

    offered, folders = released_card(), found_models()
    if model_id in {offered.id, _short(offered)} and offered.id not in folders:
        return offered
    known = known_model(model_id, folders)
    return read_card(folders[known], known)


def known_model(model_id: str, known_ids: Collection[str]) -> str:
    """Return the full id of a model on this machine; an unambiguous architecture is enough."""
    matches = [known for known in known_ids if model_id in {known, known.partition(".")[0]}]
    if model_id in known_ids or len(matches) == 1:
        return model_id if model_id in known_ids else matches[0]
    raise click.UsageError(f"{model_id} is not installed. Installed models: {', '.join(known_ids) or 'none'}.")


def _short(card: ModelCard) -> str:
    return card.id.partition(".")[0]
