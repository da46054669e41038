"""Turns whatever went wrong into one sentence and an exit code: 1 failed, 2 wrong usage, 128 + n for a signal."""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from cyclopts import App, CycloptsError
from cyclopts.exceptions import (
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from reparam.errors import ReparamError, nearest


@dataclass(frozen=True)
class Failure:
    """What to tell the user, and what to leave with."""

    sentence: str
    exit_code: int


class Terminated(KeyboardInterrupt):
    """Somebody asked the process to end (SIGTERM); treated as Ctrl-C, with its own exit code."""


@contextmanager
def interrupts() -> Iterator[None]:
    """Makes SIGTERM an exception for a block, so that files are closed and the way on is printed."""

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    try:
        before = signal.signal(signal.SIGTERM, terminate)
    except ValueError:  # not in the main thread: signals are not ours to handle
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def resumable(folder: Path) -> Iterator[None]:
    """Says how to go on when a training in this folder is stopped."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if (folder / "config.yaml").exists():
            raise type(stop)(f"Go on with: reparam resume {folder}") from None
        raise type(stop)("Nothing was begun yet.") from None


def failure_of(error: BaseException, app: App) -> Failure:
    """The sentence about an error, and the exit code."""
    if isinstance(error, KeyboardInterrupt):
        number = signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT
        return Failure(" ".join(["stopped.", *map(str, error.args)]), 128 + number)
    if isinstance(error, ReparamError):
        return Failure(str(error), error.exit_code)
    if isinstance(error, CycloptsError):
        return Failure(_usage(error, app), 2)
    if isinstance(error, OSError):
        return Failure(_system(error), 1)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return Failure("There is not enough memory. Use a smaller --train.batch_size, --samples or --limit.", 1)
    reason = " ".join(str(error).split()) or "no message"
    return Failure(f"{type(error).__name__}: {reason}. This should not happen; run again with --debug.", 1)


def _system(error: OSError) -> str:
    reason = error.strerror or str(error)
    what = f"{error.filename}: {reason}." if error.filename else f"{reason}."
    if error.errno == errno.ENOSPC:
        return f"{what} Free some space, or write elsewhere with --out."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{what} Write elsewhere with --out, or change the permissions."
    return what


def _usage(error: CycloptsError, app: App) -> str:
    verb = " ".join(error.command_chain or ())
    see = f"See: reparam {verb} --help" if verb else "See: reparam --help"
    match error:
        case UnknownCommandError(unused_tokens=tokens) if tokens:
            if tokens[0].startswith("-"):
                return f"There is no option {tokens[0]!r}. {see}"
            return f"There is no verb {tokens[0]!r}. {nearest(tokens[0], (name for name in app if name[0] != '-'))}"
        case UnknownOptionError(token=token, argument_collection=known):
            given = (token.keyword or token.value).partition("=")[0]
            return f"{verb} has no option {given!r}. {_close(given, [n for a in known for n in a.names]) or see}"
        case UnusedCliTokensError(unused_tokens=tokens) if tokens:
            return f"{verb} takes no further word (got {tokens[0]!r}). {see}"
        case MissingArgumentError(argument=argument) if argument is not None:
            name = argument.name
            return f"{verb}: {name} needs a value. {see}" if name[0] == "-" else f"{verb} needs {name}. {see}"
    return f"{verb}: {' '.join(str(error).split())}"


def _close(given: str, known: list[str]) -> str:
    said = nearest(given, known)
    return said if said.startswith("Did") else ""
