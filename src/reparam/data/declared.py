"""What the user says of a source."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

from reparam.data.raw import FOUND_OUT, Declared, Raw
from reparam.data.records import Axes, Values
from reparam.errors import DataError


def said(axes: Axes, values: Values) -> Declared:
    """What the user says of a source.

    Raises:
        DataError: if it is no word we know.
    """
    for name, given, known in (("axes", axes, get_args(Axes)), ("values", values, get_args(Values))):
        if not isinstance(given, str) or given not in known:
            raise DataError(f"{name}={given!r}; expected {', '.join(known)}.")
    return Declared(axes, values)


def with_said(raw: Raw, declared: Declared) -> Raw:
    """A source with what the user says of it.

    Raises:
        DataError: if it says itself what it is.
    """
    if raw.scale is not None:
        require_nothing_said(declared, raw.name)
    return replace(raw, declared=declared)


def require_nothing_said(declared: Declared, source: Any) -> None:
    """Checks that data which say themselves what they are are taken as they are.

    Raises:
        DataError: if the user says what they are.
    """
    if declared != FOUND_OUT:
        raise DataError(f"{source} says itself what its axes and values are. Leave axes and values at auto.")
