"""Weighs a model before it takes memory: a description on disk may ask for anything."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from reparam.errors import PartError, ReparamError
from reparam.trust import trusted

T = TypeVar("T")

MOST_TENSORS = 5_000
BYTES_PER_WEIGHT = 4
LONGEST_SENTENCE = 1000
FILLING = {Tensor.normal_, Tensor.uniform_, Tensor.zero_, Tensor.fill_}
# What Python and torch say of arguments of wrong types, and of sizes beyond their integers.
FAULTS = (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)


def memory_bytes() -> int:
    """What this machine has; a generous guess where it does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows
        return 32 << 30


class _Undrawn(TorchFunctionMode):
    """Leaves out drawing first values, which takes long on the meta device and gives nothing there."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in FILLING or getattr(func, "__module__", "") == nn.init.__name__:
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


@contextmanager
def at_most(weights: int) -> Iterator[None]:
    """Stops a model, while it is built within the block, as soon as it has more weights.

    Raises:
        PartError: if it has.
    """
    left, tensors, builder = weights, MOST_TENSORS, threading.get_ident()

    def count(module: nn.Module, name: str, weight: nn.Parameter | None) -> None:
        nonlocal left, tensors
        if weight is None or threading.get_ident() != builder:
            return
        left, tensors = left - weight.numel(), tensors - 1
        if left < 0 or tensors < 0:
            raise PartError(
                f"The model has more than {weights:,} weights, or more than {MOST_TENSORS:,} tensors of them. "
                "Make its layers fewer or narrower."
            )

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


def _require_room(built: object, most: int) -> None:
    """Counts all that a model keeps, tables that are no weights too.

    Raises:
        PartError: if that is more numbers than allowed.
    """
    kept = built.state_dict() if isinstance(built, nn.Module) else {}
    if sum(tensor.numel() for tensor in kept.values()) > most:
        raise PartError(f"The model keeps more than {most:,} numbers. Make its tables smaller.")


def affordable(build: Callable[[], T], weights: int | None = None) -> T:
    """Builds a model, if it has no more weights than allowed.

    Args:
        build: Builds it; called first on torch's meta device, which takes no memory.
        weights: How many it may have; None allows what the machine's memory holds.

    Raises:
        PartError: if it has more, or cannot be built.
    """
    most = memory_bytes() // BYTES_PER_WEIGHT if weights is None else weights
    try:
        with torch.device("meta"), _Undrawn(), at_most(most):
            _require_room(build(), most)
    except ReparamError as error:
        if len(str(error)) > LONGEST_SENTENCE:
            raise PartError(f"{str(error)[:LONGEST_SENTENCE]}...") from None
        raise
    except FAULTS as error:
        if not trusted():  # code of the user's own may read values, which the meta device has not
            raise unbuilt(error) from error
    try:
        return build()
    except ReparamError:
        raise
    except FAULTS as error:
        raise unbuilt(error) from error


def unbuilt(error: Exception) -> PartError:
    """What Python and torch said, in one sentence."""
    reason = " ".join(str(error).split())[:200]
    return PartError(f"The model cannot be built ({type(error).__name__}: {reason}).")
