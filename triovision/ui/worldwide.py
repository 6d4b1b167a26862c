"""The worldwide model: offered, on its way, or here."""

from __future__ import annotations

import shutil

import streamlit as st

from triovision.errors import ModelError
from triovision.ui.installing import Installation, Progress, Step, shared_installation
from triovision.ui.reports import report
from triovision.ui.translation import Translator, plain

_RUNNING_S, _AT_REST_S = 1.0, 5.0


def show_installation(say: Translator) -> None:
    """Draw it in a part of the page that looks again by itself, so that nothing else reloads."""
    now = shared_installation().progress
    part = st.fragment(_show_progress, run_every=_RUNNING_S if now.running else _AT_REST_S)
    part(now.step, say)


def _show_progress(step: Step, say: Translator) -> None:
    """Draw one state; `step` is what the rest of the page was drawn for."""
    installation = shared_installation()
    now = installation.progress
    if now.step is not step:
        st.rerun()  # the page: another model may be here, and the part looks more often or less
    if now.running:
        _show_running(installation, now, say)
        return
    if now.error is not None:
        st.error(f"{say('The installation stopped.')}\n\n{report(now.error, say)}")
    if now.step is Step.CANCELLED:
        st.info(say("Cancelled. What has arrived is kept, and the installation goes on from there."))
    _show_offer(installation, now.step, say)


def _show_offer(installation: Installation, step: Step, say: Translator) -> None:
    from triovision.inference.geoclip import release  # noqa: PLC0415 - brings in PyTorch
    from triovision.inference.registry import found_models  # noqa: PLC0415

    card = release.released_card()
    name, installed = f"**{plain(card.id)}**", card.id in found_models()
    if installed:
        st.write(say("{model} is on this machine.", model=name))
    else:
        st.write(say("{model} is not on this machine yet.", model=name) + " " + plain(card.summary, 300))
        st.caption(_room(sum(file.size_bytes for file in release.release_of(card).files), say))
    try:
        release.package_folder()
    except ModelError as error:  # said before anything is downloaded
        st.warning(report(error, say))
        return
    label = say("Check and mend its files") if installed else say("Download and install")
    if step in {Step.CANCELLED, Step.FAILED}:
        label = say("Go on")
    st.button(label, key="install", type="secondary" if installed else "primary", on_click=installation.start)


def _room(needed_bytes: int, say: Translator) -> str:
    """How much is to come, and how much room there is for it."""
    from triovision.inference.registry import install_folder  # noqa: PLC0415 - brings in PyTorch

    folder = install_folder()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return say(
        "To download: {needed} from the public hub, once. Free in {folder}: {free}.",
        needed=say.size(needed_bytes),
        folder=plain(str(folder), 200),
        free=say.size(shutil.disk_usage(there).free),
    )


def _show_running(installation: Installation, now: Progress, say: Translator) -> None:
    share = min(1.0, now.done / now.total) if now.total else 0.0
    st.progress(share, _words(now, say))
    st.button(say("Cancel"), key="cancel", disabled=now.stopping, on_click=installation.cancel)
    st.caption(say("It goes on while you use other pages, and when you close this one."))


def _words(now: Progress, say: Translator) -> str:
    if now.stopping:
        return say("Stopping…")
    if now.step is Step.PREPARING:
        if not now.total:
            return say("Looking up the countries of its positions, once…")
        return say("Preparing: {done} of {total} positions", done=say.number(now.done), total=say.number(now.total))
    return _download_words(now, say)


def _download_words(now: Progress, say: Translator) -> str:
    if not now.total:
        return say("Looking at what is here already…")
    if now.done >= now.total:
        return say("Comparing what has arrived with the SHA-256 of its card…")
    arrived = say("{done} of {total}", done=say.size(now.done), total=say.size(now.total))
    left = now.seconds_left
    if left is None:
        return arrived + " · " + say("nothing comes at present; it is tried again by itself")
    speed = say("{size} a second", size=say.size(now.per_second))
    return f"{arrived} · {speed} · {say('{time} left', time=say.duration(left))}"
