"""Import of timm and torchvision without `torch._dynamo`, the compiler of torch.

Both import the compiler when they are imported themselves: torchvision for `roi_align`, timm to mark functions that the
compiler must skip. That takes a quarter of the start-up time, and no network of ours is compiled.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

import torch

_UTILS: Final = "torch._dynamo.utils"


class _LazyUtils(ModuleType):
    """Stand-in for `torch._dynamo.utils` that imports the real module when a name other than a known one is read."""

    @staticmethod
    def is_compile_supported(device_type: str) -> bool:
        """Call the real function; `roi_align` reads this name at import and calls it at run time."""
        return bool(importlib.import_module(_UTILS).is_compile_supported(device_type))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any name of the real module
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(_UTILS) is self:
            del sys.modules[_UTILS]
        return getattr(importlib.import_module(_UTILS), name)


@contextmanager
def compiler_on_demand() -> Iterator[None]:
    """Defer the import of `torch._dynamo`, for the imports inside the block, to the first call that needs it."""
    if "torch._dynamo" in sys.modules:
        yield
        return
    disable = torch.compiler.disable
    utils = sys.modules[_UTILS] = _LazyUtils(_UTILS)
    torch.compiler.disable = functools.partial(_disable_on_call, disable)
    try:
        yield
    finally:
        torch.compiler.disable = disable
        if sys.modules.get(_UTILS) is utils:
            del sys.modules[_UTILS]


def _disable_on_call(
    disable: Callable[..., Any],
    fn: Callable[..., Any] | None = None,
    recursive: bool = True,
    *,
    reason: str | None = None,
) -> Callable[..., Any]:
    """Do the same as `torch.compiler.disable`, and import the compiler when the function is called first."""
    if fn is None:
        return functools.partial(_disable_on_call, disable, recursive=recursive, reason=reason)
    disabled = functools.cache(lambda: disable(fn, recursive, reason=reason))

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - those of the function
        return disabled()(*args, **kwargs)

    return call
