"""Queue that takes the items of several clients in turn and always keeps room for a newcomer."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Waiting items by client, one of each client after another. The caller holds a lock around every call.

    A client may have at most as many items waiting as there are free places (dynamic thresholds, Choudhury and Hahne,
    1998): one alone fills half of the queue, the next one half of the rest.

    Args:
        capacity: Most items of all clients together.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"`capacity` must be at least 1, got {capacity}")
        self._capacity = capacity
        self._waiting: OrderedDict[str, deque[T]] = OrderedDict()  # the client whose turn is next comes first
        self._count = 0

    def __len__(self) -> int:
        """Number of waiting items."""
        return self._count

    def largest(self) -> int:
        """Most items that a client may put at once into the empty queue."""
        return (self._capacity + 1) // 2

    def has_room(self, client: str, count: int) -> bool:
        """Whether a client may put so many more items."""
        own = len(self._waiting.get(client, ()))
        return own + count <= self._capacity - self._count - count + (self._capacity % 2)

    def put(self, client: str, item: T) -> None:
        """Add an item behind those of its client, whether or not there is room."""
        self._waiting.setdefault(client, deque()).append(item)
        self._count += 1

    def take(self, most: int, kind: Callable[[T], Hashable]) -> list[T]:
        """Take the next items in turn, all of the kind of the first one.

        Args:
            most: Most items to take.
            kind: Kind of an item. A client whose next item is of another kind keeps its turn.
        """
        taken: list[T] = []
        while len(taken) < most:
            client = next(
                (one for one, row in self._waiting.items() if not taken or kind(row[0]) == kind(taken[0])), None
            )
            if client is None:
                break
            taken.append(self._waiting[client].popleft())
            self._count -= 1
            self._end_turn(client)
        return taken

    def remove(self, client: str, item: T) -> bool:
        """Remove a waiting item; False if it is not here."""
        try:
            self._waiting[client].remove(item)
        except (KeyError, ValueError):
            return False
        self._count -= 1
        if not self._waiting[client]:
            del self._waiting[client]
        return True

    def _end_turn(self, client: str) -> None:
        if self._waiting[client]:
            self._waiting.move_to_end(client)
        else:
            del self._waiting[client]
