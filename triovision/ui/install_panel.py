"""Installation of the worldwide model on the models page: offer, progress and result."""

from __future__ import annotations

import shutil

import streamlit as st

from triovision.errors import ModelError
from triovision.ui.installation import Installation, Progress, Step, shared_installation
from triovision.ui.messages import report
from triovision.ui.owner import SWITCH, is_owner
from triovision.ui.translation import Translator, plain

_RUNNING_S, _IDLE_S = 1.0, 5.0


def render_installation(t: Translator) -> None:
    """Draw the installation in a fragment that refreshes itself, so that the rest of the page does not rerun."""
    now = shared_installation().progress
    fragment = st.fragment(_render_progress, run_every=_RUNNING_S if now.running else _IDLE_S)
    fragment(now.step, t)


def _render_progress(step: Step, t: Translator) -> None:
    """Draw the present step. `step` is the one for which the rest of the page was drawn."""
    installation = shared_installation()
    now = installation.progress
    if now.step is not step:
        st.rerun()  # the whole page: a model may be new, and the fragment refreshes at another rate
    if now.running:
        _render_running(installation, now, t)
        return
    if not is_owner():
        _render_state(t)
        st.info(
            t(
                "Only the owner of this server can install or repair it: on the server with `{command}`, or here after "
                "a start with `{switch}`.",
                command="triovision models install geoclip",
                switch=f"{SWITCH}=1",
            )
        )
        return
    if now.error is not None:
        st.error(t("The installation failed.") + "\n\n" + report(now.error, t))
    if now.step is Step.CANCELLED:
        st.info(t("Cancelled. Downloaded data are kept, and the installation can be resumed."))
    _render_offer(installation, now.step, t)


def _render_state(t: Translator) -> bool:
    """Write whether the model is installed, and return it."""
    from triovision.inference.geoclip import release  # noqa: PLC0415 - imports PyTorch
    from triovision.inference.registry import found_models  # noqa: PLC0415

    card = release.released_card()
    name, installed = f"**{plain(card.id)}**", card.id in found_models()
    if installed:
        st.write(t("{model} is installed.", model=name))
    else:
        st.write(t("{model} is not installed yet.", model=name) + " " + plain(t.of_card(card.summary), 300))
    return installed


def _render_offer(installation: Installation, step: Step, t: Translator) -> None:
    from triovision.inference.geoclip import release  # noqa: PLC0415 - imports PyTorch

    installed = _render_state(t)
    if not installed:
        card = release.released_card()
        st.caption(_download_size(sum(file.size_bytes for file in release.release_of(card).files), t))
    try:
        release.package_folder()
    except ModelError as error:  # reported before the download
        st.warning(report(error, t))
        return
    label = t("Check and repair its files") if installed else t("Download and install")
    if step in {Step.CANCELLED, Step.FAILED}:
        label = t("Resume")
    st.button(label, key="install", type="secondary" if installed else "primary", on_click=installation.start)


def _download_size(needed_bytes: int, t: Translator) -> str:
    """Text with the size of the download and the free disk space."""
    from triovision.inference.registry import install_folder  # noqa: PLC0415 - imports PyTorch

    folder = install_folder()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return t(
        "To download: {needed} from the public hub, once. Free in {folder}: {free}.",
        needed=t.size(needed_bytes),
        folder=plain(str(folder), 200),
        free=t.size(shutil.disk_usage(existing).free),
    )


def _render_running(installation: Installation, now: Progress, t: Translator) -> None:
    fraction = min(1.0, now.done / now.total) if now.total else 0.0
    st.progress(fraction, _progress_text(now, t))
    if is_owner():
        st.button(t("Cancel"), key="cancel", disabled=now.stopping, on_click=installation.cancel)
    st.caption(t("It continues while you use other pages, and if you close this one."))


def _progress_text(now: Progress, t: Translator) -> str:
    if now.stopping:
        return t("Stopping…")
    if now.step is Step.PREPARING:
        if not now.total:
            return t("Looking up the countries of the positions, once…")
        return t("Preparing: {done} of {total} positions", done=t.number(now.done), total=t.number(now.total))
    return _download_text(now, t)


def _download_text(now: Progress, t: Translator) -> str:
    if not now.total:
        return t("Checking existing files…")
    if now.done >= now.total:
        return t("Checking the SHA-256 of the downloaded files…")
    progress = t("{done} of {total}", done=t.size(now.done), total=t.size(now.total))
    left = now.seconds_left
    if left is None:
        return progress + " · " + t("no data at the moment; retrying")
    speed = t("{size} a second", size=t.size(now.per_second))
    time_left = t("{time} left", time=t.duration(left))
    return f"{progress} · {speed} · {time_left}"
