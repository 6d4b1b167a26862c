"""Folders of the files that are installed with the code: page scripts, models, assets, style sheets, Leaflet.

They lie at the top of the repository. `hatch_build.py` puts them into the wheel, below `triovision/_bundle`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent

#: The checkout, or the folder of an installed wheel that stands in for it.
BUNDLE: Final = _PACKAGE / "_bundle" if (_PACKAGE / "_bundle").is_dir() else _PACKAGE.parent

#: Script of the page; Streamlit reads `.streamlit/config.toml` beside it.
APP: Final = BUNDLE / "app.py"

#: One folder for each model that comes with the project.
MODELS: Final = BUNDLE / "models"

#: Icon, example photos, translations.
ASSETS: Final = BUNDLE / "assets"

#: Style sheets of the page.
STYLES: Final = BUNDLE / "styles"

#: Leaflet, its plugins, flags, the player of animations, country outlines. Absent where `make assets` has not run.
NODE_MODULES: Final = BUNDLE / "node_modules"
