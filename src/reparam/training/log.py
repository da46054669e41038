"""metrics.jsonl, and TensorBoard where it is installed."""

import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def read_metrics(folder: Path) -> list[Row]:
    """All rows of a run's metrics.jsonl; a last line that was cut off is left out."""
    path = folder / "metrics.jsonl"
    rows: list[Row] = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


class MetricsLog:
    """Keeps the rows in memory, and appends them to a run folder where there is one.

    Args:
        folder: The run folder, or None.
        from_step: Rows after this step, left by a run that was killed, are dropped.
        tensorboard: Also write TensorBoard files, where it is installed.
    """

    def __init__(self, folder: Path | None, from_step: int = 0, tensorboard: bool = True) -> None:
        self.folder = folder
        self.rows = [row for row in read_metrics(folder) if row["step"] <= from_step] if folder else []
        self._writer = _tensorboard(folder) if folder and tensorboard else None
        if folder:
            (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in self.rows))

    def write(self, row: Row) -> None:
        """Adds one row."""
        self.rows.append(row)
        if self.folder:
            with (self.folder / "metrics.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\n")
        if self._writer:
            for name, value in row.items():
                if isinstance(value, float):
                    self._writer.add_scalar(f"{row['split']}/{name}", value, row["step"])

    def close(self) -> None:
        """Flushes what is buffered."""
        if self._writer:
            self._writer.close()


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"))
