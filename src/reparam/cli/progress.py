"""Progress on standard error: a bar in a terminal, a line now and then elsewhere, and log.txt in the run folder."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from reparam.cli.console import COMMAND
from reparam.runs.record import LOG
from reparam.showing import TrainingDisplay, clock, log_console

_QUIET_S = 10.0


class TrainingProgress:
    """Shows a training, and keeps what is said at each validation in log.txt.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.display = folder, TrainingDisplay(folder)
        self._logging = False

    def __enter__(self) -> Self:
        self.display.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.display.__exit__(kind, error, at)

    def __call__(self, row: Mapping[str, Any], total: int) -> None:
        """Takes a row of metrics and the number of steps in all."""
        if line := self.display(row, total):
            log(self.folder, line if self._logging else f"$ {COMMAND.get()}\n{line}")
            self._logging = True


def log(folder: Path, text: str) -> None:
    """Adds a line, or some, to log.txt."""
    with (folder / LOG).open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


class CountingProgress:
    """Shows how many items are done: a bar in a terminal, elsewhere a line every ten seconds."""

    def __init__(self) -> None:
        self.console = log_console()
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("items"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self.tasks: dict[str, TaskID] = {}
        self.said = self.started = time.monotonic()

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.bar.stop()

    def __call__(self, name: str, done: int, total: int) -> None:
        """Takes what is counted, how many are done, and how many there are."""
        if name not in self.tasks:
            self.tasks[name] = self.bar.add_task(name, total=total)
        self.bar.update(self.tasks[name], completed=done)
        now = time.monotonic()
        if not self.console.is_terminal and done < total and now - self.said > _QUIET_S:
            self.said = now
            left = clock((now - self.started) / done * (total - done))
            self.console.print(f"{name}: {done:,} of {total:,} items, {left} left", markup=False)
