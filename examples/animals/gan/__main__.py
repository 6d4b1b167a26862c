"""Entry point of `python -m examples.animals.gan`."""

from __future__ import annotations

from examples.animals.gan.commands import gan

if __name__ == "__main__":
    gan()
