"""Runs contenders in processes of their own, in turn, and puts what they say into one table. Never imports torch."""

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

WORKER = Path(__file__).with_name("worker.py")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TQDM_MININTERVAL": "1"}


class WorkerError(Exception):
    """A contender that cannot run; the message is its last line."""


@dataclass(frozen=True)
class Contender:
    """Something to measure.

    Attributes:
        name: What the table calls it.
        function: ``module.function`` beside this file; it is called with a watch and the options.
        options: Keyword arguments of the function.
    """

    name: str
    function: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Lap:
    """What a contender says after each lap."""

    seconds: float
    units: float
    peak_bytes: int

    @property
    def per_unit(self) -> float:
        """Seconds for one unit (a step, an item, a call)."""
        return self.seconds / self.units


class Worker:
    """A contender in a process of its own, warmed up by a first lap.

    Raises:
        WorkerError: if it cannot run.
    """

    def __init__(self, contender: Contender, device: str, folder: Path) -> None:
        self.errors = (folder / "errors.txt").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), contender.function, json.dumps(dict(contender.options)), device],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            cwd=folder,
            env=os.environ | ONE_THREAD,
            text=True,
        )
        self.first = self._answer()

    def _answer(self) -> Lap:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            said = [text.strip() for text in self.errors if text.strip()]
            raise WorkerError(said[-1] if said else f"it left with code {self.process.wait()}")
        return Lap(**json.loads(line))

    def lap(self) -> Lap:
        """Lets it run one lap."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """Ends the process."""
        self.process.kill()
        self.process.communicate()
        self.errors.close()


@contextmanager
def started(contender: Contender, device: str) -> Iterator[Worker]:
    """A worker and a folder for what it writes, for a block."""
    with tempfile.TemporaryDirectory() as folder:
        worker = Worker(contender, device, Path(folder))
        try:
            yield worker
        finally:
            worker.close()


@dataclass(frozen=True)
class Line:
    """One line of the table: a number and, beside it, the ratios to the first one's in the same rounds.

    Attributes:
        row: What it belongs to.
        name: What was measured.
        value: The median; None where it could not be measured.
        unit: Of the value.
        ratios: Its time divided by the first one's, one for each round.
        peak_bytes: Memory beyond what the imports took.
        note: What else there is to say.
        values: All the values whose median it is.
    """

    row: str
    name: str
    value: float | None
    unit: str
    ratios: Sequence[float] = ()
    peak_bytes: int | None = None
    note: str = ""
    values: Sequence[float] = ()

    def text(self) -> str:
        """The line in columns."""
        ratios = self.ratios
        return columns(
            self.row,
            self.name,
            "-" if self.value is None else f"{self.value:,.4g}" if abs(self.value) < 1000 else f"{self.value:,.0f}",
            self.unit,
            f"{statistics.median(ratios):.2f}" if ratios else "",
            f"{min(ratios):.2f}-{max(ratios):.2f}" if ratios else "",
            "" if self.peak_bytes is None else f"{self.peak_bytes / 1e6:,.0f}",
            self.note,
        )

    def record(self) -> dict[str, Any]:
        """The line for a JSON file."""
        ratio = {"ratio": statistics.median(self.ratios)} if self.ratios else {}
        return asdict(self) | ratio


def columns(row: str, name: str, value: str, unit: str, ratio: str, spread: str, memory: str, note: str) -> str:
    """Texts to the left, numbers to the right."""
    return f"{row:<15} {name:<31} {value:>9} {unit:<11} {ratio:>6} {spread:>11} {memory:>6}  {note}".rstrip()


HEADING = columns("row", "what", "median", "unit", "x ours", "min-max", "MB", "")


def timed(row: str, name: str, unit: str, scale: float, laps: Sequence[Lap], ours: Sequence[Lap] = ()) -> Line:
    """A line of times for one unit, shown ``scale`` to the second, and their ratios to ours."""
    values = [scale * lap.per_unit for lap in laps]
    ratios = [lap.per_unit / own.per_unit for lap, own in zip(laps, ours, strict=False)]
    peak = max(lap.peak_bytes for lap in laps)
    return Line(row, name, statistics.median(values), unit, ratios, peak, values=values)


def failed(row: str, name: str, unit: str, error: WorkerError) -> Line:
    """A line for what could not be measured."""
    return Line(row, name, None, unit, note=str(error)[:120])


def slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Exponent of growth: 1 where twice the size takes twice as much."""
    return statistics.linear_regression([math.log(x) for x in sizes], [math.log(y) for y in values]).slope


def rounds(contenders: Sequence[Contender], number: int, device: str) -> dict[str, list[Lap] | WorkerError]:
    """Laps of each contender: in each round one lap of each, one after the other, while the others wait."""
    found: dict[str, list[Lap] | WorkerError] = {}
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for contender in contenders:
            say(f"  starting {contender.name}")
            try:
                workers[contender.name] = stack.enter_context(started(contender, device))
                found[contender.name] = []
            except WorkerError as error:
                found[contender.name] = error
        for count in range(number):
            say(f"  round {count + 1} of {number}")
            for name in [name for name in workers if isinstance(found[name], list)]:
                try:
                    found[name].append(workers[name].lap())  # type: ignore[union-attr]
                except WorkerError as error:
                    found[name] = error
    return found


def compare(
    row: str, unit: str, scale: float, contenders: Sequence[Contender], number: int, device: str
) -> Iterator[Line]:
    """Lines of a row: the median time of each contender, and its ratios to the first one's time.

    Args:
        row: Name of the row.
        unit: What the times are shown in.
        scale: That unit's number in a second.
        contenders: The first is the one that the others are compared with.
        number: Rounds.
        device: cpu or cuda.
    """
    say(row)
    found = rounds(contenders, number, device)
    ours = found[contenders[0].name]
    for contender in contenders:
        laps = found[contender.name]
        if isinstance(laps, WorkerError):
            yield failed(row, contender.name, unit, laps)
        else:
            yield timed(row, contender.name, unit, scale, laps, [] if isinstance(ours, WorkerError) else ours)


def say(text: str) -> None:
    """Tells how far it is, beside the table."""
    print(text, file=sys.stderr, flush=True)
