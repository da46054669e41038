"""Checks the shapes that signatures promise, and nothing else: other wrong arguments meet the package's own errors."""

import typing
from collections.abc import Callable
from typing import Any

from beartype import beartype
from jaxtyping import AbstractArray


def has_shape(hint: object) -> bool:
    """True for ``Float[Tensor, "K B"]`` and for whatever contains one."""
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return True
    return any(has_shape(part) for part in typing.get_args(hint))


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with a check of the annotations that have shapes."""
    function.__annotations__ = {name: hint for name, hint in function.__annotations__.items() if has_shape(hint)}
    return beartype(function)
