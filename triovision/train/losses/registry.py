"""Registry of losses by the name that a recipe gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from triovision.errors import RecipeError

T = TypeVar("T")


class LossRegistry(Generic[T]):
    """Losses by name; iterates over the names in the order of registration.

    Args:
        target: What the losses are for, in messages: `country` or `position`.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._losses: dict[str, type[T]] = {}

    def register(self, name: str) -> Callable[[type[T]], type[T]]:
        """Class decorator that registers a loss.

        Raises:
            ValueError: If the name is taken.
        """
        if name in self._losses:
            raise ValueError(f"`name` must be new, but {name!r} is {self._losses[name].__name__}")

        def add(loss: type[T]) -> type[T]:
            self._losses[name] = loss
            return loss

        return add

    def __getitem__(self, name: str) -> type[T]:
        """Class of a loss.

        Raises:
            RecipeError: If no loss has the name.
        """
        if name not in self._losses:
            reason = f"{name!r} is no registered {self._target} loss"
            raise RecipeError("`loss.name`", reason, f"Give one of {', '.join(self)}")
        return self._losses[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the registered names."""
        return iter(self._losses)
