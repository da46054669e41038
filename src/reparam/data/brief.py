"""How a record of data is written where somebody looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from torch import Tensor

_FEW = 10


def brief(record: Any) -> str:
    """A record by those of its fields that are not as by default; of tensors the shape, of long fields the beginning.

    Args:
        record: Of a dataclass.
    """
    said = []
    for field in fields(record):
        value = getattr(record, field.name)
        made = field.default_factory() if field.default_factory is not MISSING else field.default
        if isinstance(value, Tensor) or made is MISSING or value != made:
            said.append(f"{field.name}={_short(value)}")
    return f"{type(record).__name__}({', '.join(said)})"


def _short(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_short(one)}" for name, one in value.items()) + "}"
    if isinstance(value, tuple) and len(value) > _FEW:
        return f"({', '.join(map(_short, value[:3]))}, ... {len(value):,} in all)"
    return repr(value)
