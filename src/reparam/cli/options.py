"""The options that every verb takes, and the words that several verbs share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter, Token

from reparam.errors import ConfigError

_SHARED = Group("Every verb", sort_key=100)

LARGEST = 10**18


def whole_number(_: Any, tokens: Sequence[Token]) -> int:
    """A whole number, written as one or as ``1e3``; what is none is refused and never rounded.

    Raises:
        ValueError: if it is none; the parser says which option it was.
    """
    text = tokens[0].value
    try:
        number = Decimal(text)
        if abs(number) < LARGEST and number == int(number):
            return int(number)
    except (ArithmeticError, ValueError):
        pass
    raise ValueError(f"expected a whole number (got {text!r}).")


_WHOLE = Parameter(converter=whole_number)
Whole = Annotated[int, _WHOLE]
MaybeWhole = Annotated[int | None, _WHOLE]
RunPath = Annotated[Path, Parameter(name="RUN", help="A run folder, or a model folder.")]
Source = Annotated[str, Parameter(name="SOURCE", help="A data name, or a path.")]
OwnData = Annotated[
    str | None,
    Parameter(
        name="--data", help="Where its data are now, where they were moved or given from Python: a name or a path."
    ),
]
SplitName = Annotated[
    Literal["all", "train", "validation", "test"],
    Parameter(name="--split", help="Which part of the source; all is every item, also those that it was trained on."),
]
OutPath = Annotated[Path | None, Parameter(name="--out")]


@dataclass(frozen=True)
class Reporting:
    """What every verb takes."""

    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], Parameter(group=_SHARED)] = "auto"
    """Where to compute; auto takes a GPU where there is one."""

    seed: Annotated[int | None, Parameter(group=_SHARED, converter=whole_number)] = None
    """Every draw follows from it. The default is 0."""

    debug: Annotated[bool, Parameter(group=_SHARED, negative="")] = False
    """Show the traceback of an error."""

    trust_code: Annotated[bool, Parameter(group=_SHARED, negative="")] = False
    """Import classes that a configuration or a run names as package.module:Class, which runs their code."""

    json: Annotated[bool, Parameter(group=_SHARED, negative="")] = False
    """Print one JSON object on standard output and nothing else there."""

    @property
    def draws(self) -> int:
        """The seed, 0 where none is given."""
        return self.seed or 0


Reports = Annotated[Reporting, Parameter(name="*")]
REPORTING = Reporting()


def numbers_in(text: str, option: str) -> list[int]:
    """``0,4,7`` as whole numbers.

    Raises:
        ConfigError: if it is anything else.
    """
    try:
        return [int(part) for part in words_in(text, option)]
    except ValueError:
        raise ConfigError(f"{option} {text!r}: expected whole numbers such as 0,4,7.") from None


def words_in(text: str, option: str) -> list[str]:
    """``nll, elbo`` as words.

    Raises:
        ConfigError: if there is none.
    """
    words = [part.strip() for part in text.split(",") if part.strip()]
    if not words:
        raise ConfigError(f"{option} {text!r}: expected at least one word.")
    return words


def require_positive(option: str, value: float) -> None:
    """Checks that a number is above 0.

    Raises:
        ConfigError: if it is not.
    """
    if not 0 < value < math.inf:
        raise ConfigError(f"{option} {value}: expected a number above 0.")
