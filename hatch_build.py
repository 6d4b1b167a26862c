"""Build hook that puts the files beside the code into the wheel, below `triovision/_bundle`.

`pyproject.toml` lists them. `triovision/bundle.py` finds them again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class BundleHook(BuildHookInterface[BuilderConfig]):
    """Adds `files`, which must be there, and what matches `npm-files`, which `make assets` fetches."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files to add, each with its place.

        Args:
            version: `standard` or `editable`.
            build_data: What the build adds to the archive.
        """
        if version == "editable":  # it reads all of them from the checkout
            return
        root = Path(self.root)
        files = [path.relative_to(root).as_posix() for glob in self.config["npm-files"] for path in root.glob(glob)]
        if not files:
            self.app.display_warning("node_modules is empty: the map will load its scripts from a public server.")
        folder = ""  # of a source archive, which has the other files in any case
        if self.target_name == "wheel":
            files += self.config["files"]
            folder = "triovision/_bundle/"
        build_data["force_include"] |= {file: folder + file for file in files}
