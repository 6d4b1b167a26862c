"""Small Lottie animations of the page: loading, analysing, success."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any, Literal

import streamlit as st

from triovision.bundle import ASSETS

Animation = Literal["loading", "analysing", "success"]


def render_animation(name: Animation, key: str, size_px: int = 64) -> None:
    """Draw an animation beside the text that says the same.

    Readers who prefer reduced motion see a still picture of it: the style sheet shows one of both.

    Args:
        name: The animation; "success" plays once, the others play until their container is emptied.
        key: Widget key.
        size_px: Width and height.
    """
    from streamlit_lottie import st_lottie  # noqa: PLC0415 - declares a component, which needs a server

    with st.container(key=f"animation-{key}", width=size_px, height=size_px, border=False):
        st.html(f'<img alt="" width="{size_px}" height="{size_px}" src="{_still(name)}">')  # it allows no <svg>
        st_lottie(_drawing(name), loop=name != "success", height=size_px, width=size_px, key=key)


@cache
def _drawing(name: Animation) -> dict[str, Any]:
    drawing: dict[str, Any] = json.loads((ASSETS / "animations" / f"{name}.json").read_text(encoding="utf-8"))
    return drawing


@cache
def _still(name: Animation) -> str:
    drawing = (ASSETS / "animations" / f"{name}.svg").read_bytes()
    return "data:image/svg+xml;base64," + base64.b64encode(drawing).decode("ascii")
