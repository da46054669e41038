"""Progress on standard error: a bar in a terminal, a line now and then elsewhere, and log.txt in the run folder."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from reparam.cli.console import COMMAND, log_console
from reparam.runs.record import LOG

_QUIET_S = 10.0
OF_GAMES = (
    "distortion",
    "rate",
    "information",
    "style",
    "pairs",
    "critic_features",
    "class_features",
    "convincing",
    "critic_accuracy",
)


class TrainingProgress:
    """Shows a training: steps, speed, time left, and the ELBO with its terms, as trained and as last validated.

    Args:
        folder: The run folder, where log.txt keeps what is said at each validation.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.console = log_console()
        self.rows: dict[str, Mapping[str, Any]] = {}
        self.bar = Progress(
            BarColumn(), MofNCompleteColumn(), TextColumn("steps  {task.fields[pace]}"), console=self.console
        )
        self.task = self.bar.add_task("", total=None, pace="getting ready")
        self.live = Live(console=self.console, get_renderable=self._shown, refresh_per_second=8)
        self._first: Mapping[str, Any] | None = None
        self._logging = False

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.live.stop()

    def __call__(self, row: Mapping[str, Any], total: int) -> None:
        """Takes a row of metrics and the number of steps in all."""
        if self._first is None:
            self._first = row
            self.console.print(f"training into {self.folder}", markup=False)
        self.rows[row["split"]] = row
        self.bar.update(self.task, completed=row["step"], total=total, pace=self._pace(row, total))
        if row["split"] != "validation":
            return
        line = (
            f"step {row['step']:,}/{total:,}  epoch {row['epoch']:.4g}  {self._terms('  ')}  {self._pace(row, total)}"
        )
        if not self.console.is_terminal:
            self.console.print(line, markup=False)
        self._log(line)

    def _shown(self) -> Group:
        return Group(self.bar, Text(self._terms("\n")))

    def _terms(self, between: str) -> str:
        there = [split for split in ("train", "validation") if split in self.rows]
        return between.join(f"{split} {terms(self.rows[split])}" for split in there)

    def _pace(self, row: Mapping[str, Any], total: int) -> str:
        first = self._first or row
        seconds, steps = row["wall_s"] - first["wall_s"], row["step"] - first["step"]
        if first["step"] < 2 or not steps:  # too early to leave the first steps, which are slow, out
            seconds, steps = row["wall_s"], row["step"]
        if seconds <= 0:
            return ""
        speed = steps / seconds
        return f"{speed:,.0f} steps/s  {clock((total - row['step']) / speed)} left"

    def _log(self, line: str) -> None:
        head = "" if self._logging else f"$ {COMMAND.get()}\n"
        self._logging = True
        log(self.folder, f"{head}{line}")


def log(folder: Path, text: str) -> None:
    """Adds a line, or some, to log.txt."""
    with (folder / LOG).open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def terms(row: Mapping[str, Any]) -> str:
    """The ELBO of a row and its two terms; of one without a rate, what there is to minimise; of a game, its terms."""
    if "critic_accuracy" in row:
        there = [f"{name.replace('_', ' ')} {row[name]:,.3g}" for name in OF_GAMES if name in row]
        return f"loss {row['loss']:,.3g} ({', '.join(there)})"
    if "distortion" not in row:
        return "no step was finite"
    if "elbo" not in row or not row.get("rate"):
        return f"distortion {row['distortion']:,.2f}"
    return f"ELBO {row['elbo']:,.2f} (distortion {row['distortion']:,.2f}, rate {row['rate']:,.2f}) nats"


def clock(seconds: float) -> str:
    """Seconds as ``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


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
