"""Times what the first seconds of every use cost: wall and CPU seconds of fresh processes.

python benchmarks/startup.py [--rounds 5] [--device cpu]
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial

from table import HEADING, Line, say

TORCH, TRAIN = "import torch", "reparam train to its first step"
USES = {
    "python -c pass": ("-c", "pass"),
    "import reparam": ("-c", "import reparam"),
    "reparam --help": ("-m", "reparam", "--help"),
    "reparam train --help": ("-m", "reparam", "train", "--help"),
}


def seconds(*arguments: str, until: str | None = None) -> tuple[float, float]:
    """Wall and CPU seconds of one fresh interpreter: to its end, or until it says this on standard error.

    Raises:
        RuntimeError: if it ends without saying it, or with an error.
    """
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if until and until in line:
                break
        wall = time.perf_counter() - started if until else 0.0
        if until and said and until in said[-1]:
            process.kill()
        elif process.wait() or until:
            raise RuntimeError(f"{' '.join(arguments)}: {''.join(said[-1:]).strip() or 'it failed'}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall or time.perf_counter() - started, cpu


def to_first_step(device: str) -> tuple[float, float]:
    """The training of one epoch on the embedded digits: each step has a row of metrics, and the first one is told."""
    with tempfile.TemporaryDirectory() as folder:
        options = ("--out", f"{folder}/run", "--epochs", "1", "--device", device)
        return seconds("-m", "reparam", "train", *options, until="training into")


def to_torch() -> tuple[float, float]:
    """The import of torch, without the end of the process, which a training reaches later."""
    return seconds("-c", "import sys, torch; print('imported', file=sys.stderr)", until="imported")


def startup(rounds: int, device: str) -> Iterator[Line]:
    """Lines of the table: each use, and what a training needs beyond ``import torch``."""
    say("start-up")
    measures = {use: partial(seconds, *arguments) for use, arguments in USES.items()}
    measures |= {TORCH: to_torch, TRAIN: partial(to_first_step, device)}
    walls: dict[str, list[float]] = {use: [] for use in measures}
    cpus: dict[str, list[float]] = {use: [] for use in measures}
    for number in range(rounds + 1):  # the first round fills the file cache
        for use, measure in measures.items():
            wall, cpu = measure()
            if number:
                walls[use].append(wall)
                cpus[use].append(cpu)
    for use, values in walls.items():
        yield _line(use, values, f"CPU {min(cpus[use]):.2f} s at best")
    yield _line("  beyond import torch", [a - b for a, b in zip(walls[TRAIN], walls[TORCH], strict=True)], "")


def _line(name: str, values: Sequence[float], note: str) -> Line:
    return Line("start-up", name, statistics.median(values), "s", note=note, values=values)


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    print(HEADING)
    for line in startup(given.rounds, given.device):
        print(line.text())


if __name__ == "__main__":
    main()
