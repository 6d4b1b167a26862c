"""`triovision models ...`: what is on this machine, what could be, and whether it is whole."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from tqdm import tqdm

if TYPE_CHECKING:
    from triovision.inference import ModelCard
    from triovision.inference.geoclip.installation import Progress

_CANCELLED = 130  # what shells answer for Ctrl-C


@click.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List, show, install and check models; without a command, list them."""
    if context.invoked_subcommand is None:
        context.invoke(list_)


@models.command(name="list")
def list_() -> None:
    """List the models on this machine, the default marked with a star, and those that can be installed."""
    from triovision.inference import registry  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.inference.geoclip.release import EXTRA, missing_packages, released_card  # noqa: PLC0415

    cards = {card.id: card for card in registry.list_models()}
    for card in cards.values():
        click.echo(f"{'*' if card.id == registry.default_model() else ' '} {card.id}: {card.summary}")
    offered = released_card()
    if offered.id not in cards:
        click.echo(f"- {offered.id}: {offered.summary} Not installed: `triovision models install {_short(offered)}`.")
    elif missing := missing_packages():
        click.echo(f"{offered.id} cannot be used without {', '.join(missing)}. {EXTRA}.")


@models.command()
@click.argument("model_id", metavar="MODEL")
def show(model_id: str) -> None:
    """Print the card of MODEL as JSON; of one that is not installed, too."""
    click.echo(json.dumps(_card(model_id).model_dump(mode="json"), ensure_ascii=False, indent=2))


@models.command()
@click.argument("model_id", metavar="MODEL")
def install(model_id: str) -> None:
    """Download MODEL from the public hub and prepare it. Cancel with Ctrl-C; the same command goes on.

    HF_ENDPOINT names another hub, TRIOVISION_MODELS another folder. Exit status 130 when cancelled.
    """
    from triovision.inference import registry  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.inference.geoclip.installation import install as install_model  # noqa: PLC0415
    from triovision.inference.geoclip.release import EXTRA, missing_packages, released_card  # noqa: PLC0415

    card = released_card()
    if model_id not in {card.id, _short(card)}:
        raise click.UsageError(f"Only {_short(card)} can be installed; other models come with the repository.")
    try:
        with _bar("download", "B") as on_progress, _retries_told():
            folder = install_model(card, registry.install_folder(), on_progress)
        click.echo(f"{card.id} is in {folder}")
        if missing := missing_packages():
            click.echo(f"It cannot be used yet without {', '.join(missing)}. {EXTRA}.")
            return
        _prepare(card)
    except KeyboardInterrupt:
        click.echo("Cancelled. Give the same command again: it goes on where it stopped.", err=True)
        sys.exit(_CANCELLED)


@models.command()
@click.argument("model_ids", metavar="[MODEL]...", nargs=-1)
def verify(model_ids: tuple[str, ...]) -> None:
    """Compare every file of each MODEL (all by default) with the hash that its card names.

    Exit status 0 when all are whole, 1 when a file is not.
    """
    from triovision.inference import registry  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.inference.card import read_card  # noqa: PLC0415
    from triovision.inference.registry import file_faults  # noqa: PLC0415

    found = registry.found_models()
    wanted = [_known(model_id, found) for model_id in model_ids] or list(found)
    wrong = 0
    for name in wanted:
        seen = list(file_faults(found[name], read_card(found[name])))
        click.echo(f"{name}: {f'{len(seen)} of its files are not right' if seen else 'whole'}")
        for fault in seen:
            click.echo(f"  {fault}", err=True)
        wrong += bool(seen)
    sys.exit(1 if wrong else 0)


def _prepare(card: ModelCard) -> None:
    """Work out now what the first photo would otherwise wait for."""
    from triovision.inference.geoclip.loading import load_gallery, position_embeddings  # noqa: PLC0415
    from triovision.inference.registry import found_models  # noqa: PLC0415

    click.echo("Looking up the countries of its positions and embedding them, once.")
    gallery, _ = load_gallery(found_models()[card.id], card)
    with _bar("positions", "") as on_progress:
        position_embeddings(card, gallery, on_progress)
    click.echo(f"Ready: {card.id} answers from now on, unless TRIOVISION_MODEL names another model.")


@contextmanager
def _bar(what: str, unit: str) -> Iterator[Progress]:
    with tqdm(desc=what, unit=unit, unit_scale=True, disable=None) as bar:

        def on_progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield on_progress


@contextmanager
def _retries_told() -> Iterator[None]:
    """Say why nothing happens for a while."""
    from stamina.instrumentation import RetryDetails, set_on_retry_hooks  # noqa: PLC0415 - `--help` must not wait

    from triovision.transfer import root_cause  # noqa: PLC0415

    def on_retry(details: RetryDetails) -> None:
        with tqdm.external_write_mode(file=sys.stderr):
            click.echo(f"trying again in {details.wait_for:.0f} s: {root_cause(details.caused_by)}", err=True)

    set_on_retry_hooks([on_retry])
    try:
        yield
    finally:
        set_on_retry_hooks(None)


def _card(model_id: str) -> ModelCard:
    from triovision.inference.card import read_card  # noqa: PLC0415 - `--help` must not wait for torch
    from triovision.inference.geoclip.release import released_card  # noqa: PLC0415
    from triovision.inference.registry import found_models  # noqa: PLC0415

    offered, found = released_card(), found_models()
    if model_id in {offered.id, _short(offered)} and offered.id not in found:
        return offered
    return read_card(found[_known(model_id, found)])


def _known(model_id: str, found: Collection[str]) -> str:
    """The id of a model on this machine, which may be given without what it was trained on where that says enough."""
    fitting = [name for name in found if model_id in {name, name.partition(".")[0]}]
    if model_id in found or len(fitting) == 1:
        return model_id if model_id in found else fitting[0]
    raise click.UsageError(f"{model_id} is no model on this machine, which has {', '.join(found) or 'none'}.")


def _short(card: ModelCard) -> str:
    return card.id.partition(".")[0]
