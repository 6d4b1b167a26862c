"""Small Lottie animations of the page: loading, analysing, success."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any, Final, Literal

import streamlit as st
from streamlit.components.v1 import declare_component

from triovision.bundle import ASSETS, NODE_MODULES

Animation = Literal["loading", "analysing", "success"]

#: Player of the drawings, from npm; without it they stand still.
PLAYER: Final = NODE_MODULES / "lottie-web" / "build" / "player" / "lottie_light.min.js"

_FOLDER: Final = ASSETS / "animations"
_HTML: Final = '<img alt=""><div aria-hidden="true"></div>'
_CSS: Final = """
img, div { position: absolute; inset: 0; width: 100%; height: 100%; }
img[hidden] { display: none; }
"""


def render_animation(name: Animation, key: str, size_px: int = 64) -> None:
    """Draw an animation beside the text that says the same.

    Readers who prefer reduced motion see a still picture of it.

    Args:
        name: The animation; "success" plays once, the others play until their container is emptied.
        key: Widget key; the style sheet knows it as `animation-{key}`.
        size_px: Width and height.
    """
    _component()(
        data={"player": _player(), "drawing": _drawing(name), "still": _still(name), "loop": name != "success"},
        key=f"animation-{key}",
        width=size_px,
        height=size_px,
    )


def _player() -> str | None:
    """Address of the player, relative to the page; None if it is not installed."""
    if not PLAYER.is_file():
        return None
    component = declare_component("player", path=str(PLAYER.parent))  # Streamlit serves the folder of a component
    return f"component/{component.name}/{PLAYER.name}"


@cache
def _component() -> Any:  # noqa: ANN401 - Streamlit's type is not public
    script = (_FOLDER / "play.js").read_text(encoding="utf-8")
    return st.components.v2.component("triovision_animation", html=_HTML, css=_CSS, js=script)


@cache
def _drawing(name: Animation) -> dict[str, Any]:
    drawing: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return drawing


@cache
def _still(name: Animation) -> str:
    drawing = (_FOLDER / f"{name}.svg").read_bytes()
    return "data:image/svg+xml;base64," + base64.b64encode(drawing).decode("ascii")
