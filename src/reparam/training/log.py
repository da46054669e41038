"""metrics.jsonl, and TensorBoard where it is installed."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reparam.errors import RunError
from reparam.files import not_written, replacing
from reparam.reading import parse_json, read_text

Row = dict[str, Any]


def read_metrics(folder: Path) -> list[Row]:
    """All rows of a run's metrics.jsonl up to the first that is none; a last line that was cut off is left out.

    NaN and infinity, which earlier versions wrote, are left out of their rows.

    Raises:
        RunError: if it cannot be read.
    """
    path = folder / "metrics.jsonl"
    rows: list[Row] = []
    try:
        lines = read_text(path, errors="replace").splitlines() if path.exists() else []
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}. Move it away, and the run goes on without it.") from None
    for line in lines:
        try:
            row = parse_json(line)
        except ValueError:
            break
        if not is_row(row):
            break
        rows.append({name: value for name, value in row.items() if isinstance(value, str) or abs(value) < math.inf})
    return rows


def is_row(value: Any) -> bool:
    """True for a step and a split, and numbers beside them."""
    if not isinstance(value, dict) or not isinstance(value.get("split"), str) or "step" not in value:
        return False
    numbers = {name: number for name, number in value.items() if name != "split"}
    return all(isinstance(number, int | float) for number in numbers.values()) and abs(numbers["step"]) < math.inf


def _line(row: Row) -> str:
    return json.dumps(row, allow_nan=False) + "\n"


class MetricsLog:
    """Keeps the rows in memory, and appends them to a run folder where there is one.

    Args:
        folder: The run folder, or None.
        from_step: Rows after this step, left by a run that was killed, are dropped.
        tensorboard: Also write TensorBoard files, where it is installed.
    Raises:
        RunError: if they cannot be written.
    """

    def __init__(self, folder: Path | None, from_step: int = 0, tensorboard: bool = True) -> None:
        self.folder, self.from_step, self.tensorboard = folder, from_step, tensorboard
        self.rows = [row for row in read_metrics(folder) if row["step"] <= from_step] if folder else []
        self._writer: Any = None
        if folder:
            with self._writing(folder), replacing(folder / "metrics.jsonl") as aside:
                aside.write_text("".join(map(_line, self.rows)))

    @contextmanager
    def _writing(self, folder: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise not_written(str(folder / "metrics.jsonl"), folder, error) from None

    def write(self, row: Row) -> None:
        """Adds one row."""
        self.rows.append(row)
        if not self.folder:
            return
        with self._writing(self.folder):
            with (self.folder / "metrics.jsonl").open("a") as file:
                file.write(_line(row))
            self._show(self.folder, row)

    def _show(self, folder: Path, row: Row) -> None:
        if self.tensorboard and self._writer is None:
            self._writer = _tensorboard(folder, self.from_step)
            self.tensorboard = self._writer is not None
        if self._writer is not None:
            for name, value in row.items():
                if isinstance(value, float):
                    self._writer.add_scalar(f"{row['split']}/{name}", value, row["step"])

    def sync(self) -> None:
        """Waits until all rows are on the disk; a checkpoint must never be ahead of them."""
        if self.folder:
            with self._writing(self.folder), (self.folder / "metrics.jsonl").open("rb") as file:
                os.fsync(file.fileno())

    def close(self) -> None:
        """Flushes what is buffered."""
        if self._writer is not None:
            self._writer.close()


def _tensorboard(folder: Path, from_step: int) -> Any:
    """A writer that hides what a killed run wrote after the step it goes on from; None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=from_step + 1)
