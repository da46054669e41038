"""What is printed, and where: answers on standard output; progress, logs and complaints on standard error."""

from __future__ import annotations

import json
import math
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from reparam.showing import log_console

COMMAND: ContextVar[str] = ContextVar("command", default="reparam")
_PIPE_WIDTH = 120


def say(text: str) -> None:
    """One line for people, on standard error."""
    log_console().print(text, markup=False)


def complain(sentence: str, shown: BaseException | None = None) -> None:
    """What went wrong, each line with our name before it, after the traceback where that is asked for."""
    if shown is not None:
        traceback.print_exception(shown)
    for line in sentence.splitlines() or [""]:
        say(f"reparam: {line}")


def plain(value: Any) -> Any:
    """A value as JSON knows it: NaN and infinity become null, everything unknown its text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)


def print_json(answer: Mapping[str, Any]) -> None:
    """The answer as one JSON object on standard output."""
    sys.stdout.write(json.dumps(plain(answer), allow_nan=False, ensure_ascii=False) + "\n")


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = (), stderr: bool = False
) -> None:
    """A table for people.

    Args:
        columns: Headings.
        rows: Texts.
        numbers: Columns that are set flush right.
        stderr: Print it there, because standard output is taken by JSON.
    """
    console = Console(stderr=stderr, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = max(console.width, _PIPE_WIDTH)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for position, column in enumerate(columns):
        table.add_column(column, justify="right" if position in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(text.replace("[", "\\[") for text in row))
    console.print(table)


def print_line(text: str, *, stderr: bool = False) -> None:
    """One line of an answer for people."""
    Console(stderr=stderr, highlight=False, emoji=False, soft_wrap=True).print(text, markup=False)
