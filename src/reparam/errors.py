"""Every error that Reparam raises on purpose.

The tree (each leaf is also the builtin a caller would expect)::

    ReparamError
    ├── PartError            (ValueError)          a part was built or called with values it cannot take
    │   └── ShapeError                             two shapes that must agree do not
    ├── ConfigError          (ValueError)          a setting is unknown or has a wrong value   exit code 2
    ├── UnknownNameError     (KeyError)            a name is not in a table                    exit code 2
    ├── DataError            (ValueError)          the data cannot be read or used
    │   └── DataNotFoundError (FileNotFoundError)  there is no such data
    ├── RunError             (RuntimeError)        a run folder cannot be read, written or continued
    │   └── RunNotFoundError (FileNotFoundError)   there is no such run
    ├── NotFiniteError       (ArithmeticError)     a term of the objective became NaN or infinite
    ├── RefusedError         (RuntimeError)        the model has no answer to this question, for a mathematical reason
    └── MissingExtraError    (ImportError)         an optional package is not installed
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ReparamError(Exception):
    """Root of all errors of this package; ``exit_code`` is what the command line leaves with."""

    exit_code = 1

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class PartError(ReparamError, ValueError):
    """A part was built or called with values it cannot take."""


class ShapeError(PartError):
    """Two shapes that must agree do not."""


class ConfigError(ReparamError, ValueError):
    """A setting is unknown or has a wrong value."""

    exit_code = 2


class UnknownNameError(ReparamError, KeyError):
    """A name is not in a table; the message names the nearest one that is."""

    exit_code = 2


class DataError(ReparamError, ValueError):
    """The data cannot be read or used."""


class DataNotFoundError(DataError, FileNotFoundError):
    """There is no such data."""


class RunError(ReparamError, RuntimeError):
    """A run folder cannot be read, written or continued."""


class RunNotFoundError(RunError, FileNotFoundError):
    """There is no such run."""


class NotFiniteError(ReparamError, ArithmeticError):
    """A term of the objective became NaN or infinite."""


class RefusedError(ReparamError, RuntimeError):
    """The model has no answer to this question, for a mathematical reason."""


class MissingExtraError(ReparamError, ImportError):
    """An optional package is not installed."""

    def __init__(self, purpose: str, package: str, extra: str = "") -> None:
        how = f'Run: pip install "reparam[{extra}]"' if extra else "No extra of reparam has it."
        super().__init__(f"{purpose} needs {package}, which is not installed. {how}")


def nearest(name: str, known: Iterable[str]) -> str:
    """Says which known name is meant: ``Did you mean 'vae'?`` or the list of what there is."""
    names = sorted(known)
    return meant(name, names) or f"There are: {', '.join(names)}."


def meant(name: str, known: Iterable[str]) -> str:
    """``Did you mean 'vae'?`` where a known name is near; else nothing."""
    close = difflib.get_close_matches(str(name), sorted(known), n=1, cutoff=0.6)
    return f"Did you mean {close[0]!r}?" if close else ""
