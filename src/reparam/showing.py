"""A training as people see it on standard error: a bar in a terminal, a line at each validation elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from reparam.launch import speaks

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


def log_console() -> Console:
    """Standard error as it is now."""
    return Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)


@contextmanager
def training_shown(
    progress: Callable[[dict[str, Any], int], object] | bool | None, folder: Path | None
) -> Iterator[Callable[[dict[str, Any], int], object]]:
    """What a training calls with its rows: the caller's own, or what shows them to people who watch, for a block.

    Args:
        progress: The caller's own; False shows nothing.
        folder: The run folder, or None.
    """
    console = log_console()
    if progress is not None and not isinstance(progress, bool):
        yield progress
    elif progress is False or not speaks() or not (console.is_terminal or console.is_jupyter):
        yield lambda row, total: None
    else:
        with TrainingDisplay(folder) as display:
            yield display


class TrainingDisplay:
    """Shows a training: steps, speed, time left, and the ELBO with its terms, as trained and as last validated.

    Args:
        folder: The run folder; None for a run in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.console = log_console()
        self.rows: dict[str, Mapping[str, Any]] = {}
        self.bar = Progress(
            BarColumn(), MofNCompleteColumn(), TextColumn("steps  {task.fields[pace]}"), console=self.console
        )
        self.task = self.bar.add_task("", total=None, pace="getting ready")
        self.live = Live(console=self.console, get_renderable=self._shown, refresh_per_second=8)
        self._first: Mapping[str, Any] | None = None

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.live.stop()

    def __call__(self, row: Mapping[str, Any], total: int) -> str:
        """Takes a row of metrics and the number of steps in all; returns the line that a validation gives."""
        if self._first is None:
            self._first = row
            if self.folder is not None:
                self.console.print(f"training into {self.folder}", markup=False)
        self.rows[row["split"]] = row
        self.bar.update(self.task, completed=row["step"], total=total, pace=self._pace(row, total))
        if row["split"] != "validation":
            return ""
        line = (
            f"step {row['step']:,}/{total:,}  epoch {row['epoch']:.4g}  {self._terms('  ')}  {self._pace(row, total)}"
        )
        if not self.console.is_terminal:
            self.console.print(line, markup=False)
        return line

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
