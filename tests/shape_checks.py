"""Checks the shapes that signatures promise, and nothing else: other wrong arguments meet the package's own errors."""

import gc
import typing
from collections.abc import Callable
from types import FunctionType
from typing import Any

from beartype import beartype
from jaxtyping import AbstractArray

_WITH_SHAPES: set[tuple[str, str]] = set()


def has_shape(hint: object) -> bool:
    """True for ``Float[Tensor, "K B"]`` and for whatever contains one."""
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return True
    return any(has_shape(part) for part in typing.get_args(hint))


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with a check of the annotations that have shapes."""
    shapes = {name: hint for name, hint in function.__annotations__.items() if has_shape(hint)}
    if not shapes:
        return function
    _WITH_SHAPES.add((function.__module__, function.__qualname__))
    function.__annotations__ = shapes
    return beartype(function)


def spare_the_others() -> None:
    """Lets calls of functions without shapes through at once: they are two of three, and binding arguments is slow."""
    for function in gc.get_objects():
        if type(function) is FunctionType and (function.__module__ or "").startswith("reparam"):
            own = getattr(function, "__wrapped__", None)
            if type(own) is FunctionType and (own.__module__, own.__qualname__) not in _WITH_SHAPES:
                own.__no_type_check__ = True  # type: ignore[attr-defined]
