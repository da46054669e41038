"""Feeds every loader damaged and hostile files, and looks whether one crashes, hangs or eats the memory.

    python benchmarks/fuzz.py [--inputs 1000000] [--seed 0] [--loader NAME] [--folder DIR]

Each input is a small valid file, changed a few times at random (fuzz_inputs.py). A loader may accept it, or refuse it
by one sentence of ours (a ReparamError). Everything else is a finding: another exception, a warning, more than 5
seconds, more than 1 GiB. The inputs of findings are kept in the folder. Input n of a loader depends on the seed and on
n alone. Exit code 0 means that nothing was found. Needs Linux.
"""

import argparse
import ctypes
import mmap
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import fuzz_inputs
import torch
from fuzz_inputs import Sample

from reparam import store
from reparam.composing import build_model
from reparam.config import parse_config, read_yaml, with_networks
from reparam.data import DataSpec, fetch, load_data, load_items
from reparam.data.fetch import File
from reparam.errors import ReparamError, RunError
from reparam.runs import Run
from reparam.training import read_metrics
from reparam.training.checkpoint import about, newest_checkpoint

SECONDS, BYTES = 5.0, 1 << 30
LONGEST_SENTENCE = 2000
SPEC = DataSpec("tiny", (1, 4, 4), "binary")


@dataclass(frozen=True)
class Loader:
    """A way into the package.

    Attributes:
        samples: Valid files, and how to damage them.
        load: Given the folder that holds the damaged file beside the other files of its sample.
        share: Inputs, of a thousand for all loaders.
    """

    samples: list[Sample]
    load: Callable[[Path, str], object]
    share: int


def data(folder: Path, name: str) -> object:
    """Reads a data file."""
    return load_items(folder / name)


def pictures(folder: Path, name: str) -> object:
    """Reads a folder of pictures."""
    return load_items(folder, size=8)


def blocks(folder: Path, name: str) -> object:
    """Reads a source block by block."""
    found = load_data(folder / name if name.startswith("a") else folder, stream=True)
    return [split.batch(torch.arange(min(2, len(split)))) for split in (found.train, found.test)]


def config(folder: Path, name: str) -> object:
    """Reads a configuration, and builds the model it asks for."""
    found = parse_config({"recipe": "vae", "data": {}} | with_networks(read_yaml(folder / name)))
    return found.model and build_model(found.model, SPEC)


def model(folder: Path, name: str) -> object:
    """Loads a model folder."""
    return store.load_with_spec(folder)


def checkpoint(folder: Path, name: str) -> object:
    """Reads the newest checkpoint of a run, and what it says about it."""
    found, said = newest_checkpoint(folder), about(folder)
    if found is None:
        raise RunError("There is no whole checkpoint.")
    return said


def metrics(folder: Path, name: str) -> object:
    """Reads the rows of a run, as its report does."""
    return [row["step"] + 1 for row in read_metrics(folder) if row["split"] == "train"]


def evaluation(folder: Path, name: str) -> object:
    """Reads the numbers of a run."""
    found = Run(folder, None, SPEC, None, []).evaluation  # type: ignore[arg-type]
    return found.get("nll")


def fetched(folder: Path, name: str) -> object:
    """Obtains a file by its checksum."""
    os.environ["REPARAM_DATA"] = os.environ["REPARAM_CACHE"] = str(folder.parent)
    return fetch.obtain(folder.name, File(name, "0" * 64))


LOADERS = {
    "npy": Loader(fuzz_inputs.npy(), data, 135),
    "npz": Loader(fuzz_inputs.npz(), data, 90),
    "csv": Loader(fuzz_inputs.csv(), data, 110),
    "amat": Loader(fuzz_inputs.amat(), data, 70),
    "idx": Loader(fuzz_inputs.idx(), data, 110),
    "mat": Loader(fuzz_inputs.mat(), data, 90),
    "parquet": Loader(fuzz_inputs.parquet(), data, 10),
    "picture": Loader(fuzz_inputs.pictures(), data, 120),
    "picture folder": Loader(fuzz_inputs.pictures(), pictures, 20),
    "zip": Loader(fuzz_inputs.zips(), data, 50),
    "tar": Loader(fuzz_inputs.tars(), data, 50),
    "blocks": Loader(fuzz_inputs.streams(), blocks, 20),
    "config": Loader(fuzz_inputs.configs(), config, 25),
    "model": Loader(fuzz_inputs.models(), model, 20),
    "checkpoint": Loader(fuzz_inputs.checkpoints(), checkpoint, 30),
    "metrics": Loader(fuzz_inputs.metrics(), metrics, 60),
    "evaluation": Loader(fuzz_inputs.evaluations(), evaluation, 20),
    "fetch": Loader(fuzz_inputs.npy(), fetched, 10),
}


class Tally:
    """Counts that a worker and its watcher share: inputs begun, accepted, refused, found."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, 4 * 8)
        self.counts = (ctypes.c_int64 * 4).from_buffer(self.memory)


def damaged(name: str, seed: int, number: int) -> tuple[Sample, bytes]:
    """Input ``number`` of a loader."""
    return fuzz_inputs.damaged(LOADERS[name].samples, f"{seed}/{name}/{number}")


def verdict(loader: Loader, folder: Path, file: str) -> str:
    """Loads what lies in the folder: ``""`` where it is accepted, ``refused``, or what is wrong."""
    try:
        loader.load(folder, file)
    except ReparamError as error:
        lines = str(error).splitlines()
        few = len(lines) == 1 or loader.load is config  # which says one line for each wrong setting
        return "refused" if few and max(map(len, lines)) < LONGEST_SENTENCE else f"an odd sentence: {error}"
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:
        return traceback.format_exc()
    return ""


def placed(folder: Path, sample: Sample, content: bytes) -> None:
    """Writes a damaged file beside the valid others of its sample."""
    shutil.rmtree(folder, ignore_errors=True)
    for place, plain in {**sample.others, sample.name: content}.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(plain)


def keep(findings: Path, label: str, sample: Sample, content: bytes, why: str) -> None:
    """Saves an input that found something."""
    folder = findings / label.replace(" ", "-")
    placed(folder, sample, content)
    (folder / "why.txt").write_text(why, errors="replace")


def resident() -> int:
    """The most memory this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def work(name: str, seed: int, numbers: range, tally: Tally, findings: Path, place: Path) -> None:
    """Tries inputs one after another; for a process of its own."""
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", message=".*is damaged.*an older checkpoint is used")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    virtual = int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE
    resource.setrlimit(resource.RLIMIT_AS, (virtual + 3 * BYTES, -1))
    most = resident() + BYTES
    for number in numbers:
        sample, content = damaged(name, seed, number)
        placed(place, sample, content)
        tally.counts[0] = number + 1
        why = verdict(LOADERS[name], place, sample.name)
        if resident() > most:
            why, most = f"{(resident() - most + BYTES) >> 20} MiB more than before", resident()
        tally.counts[{"": 1, "refused": 2}.get(why, 3)] += 1
        if why not in ("", "refused"):
            keep(findings, f"{name}-{number}", sample, content, why)


def in_child(task: Callable[[], object]) -> int:
    """Starts a task in a process of its own; returns its number."""
    child = os.fork()
    if child:
        return child
    try:
        task()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def watched(child: int, tally: Tally) -> str:
    """Waits for a worker; ends it where one input takes too long. Says what was wrong."""
    begun, since = tally.counts[0], time.monotonic()
    while True:
        number, status = os.waitpid(child, os.WNOHANG)
        if number:
            code = os.waitstatus_to_exitcode(status)
            return "" if code == 0 else f"the process ended with {code}"
        if tally.counts[0] != begun:
            begun, since = tally.counts[0], time.monotonic()
        if time.monotonic() - since > SECONDS:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return f"more than {SECONDS:g} seconds"
        time.sleep(0.02)


def try_all(name: str, seed: int, count: int, findings: Path) -> tuple[int, int, int, int]:
    """All inputs of a loader: how many there were, accepted, refused, found."""
    tally = Tally()
    place = Path(tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)) / "in"
    while tally.counts[0] < count:
        left = range(tally.counts[0], count)
        why = watched(in_child(lambda left=left: work(name, seed, left, tally, findings, place)), tally)  # type: ignore[misc]
        if why:
            tally.counts[3] += 1
            number = tally.counts[0] - 1
            keep(findings, f"{name}-{number}", *damaged(name, seed, number), why)
    shutil.rmtree(place.parent, ignore_errors=True)
    return count, tally.counts[1], tally.counts[2], tally.counts[3]


def main() -> int:
    """Tries all loaders, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--loader", choices=LOADERS)
    parser.add_argument("--folder", type=Path, default=Path("fuzz-findings"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    chosen = [given.loader] if given.loader else list(LOADERS)
    shares = sum(LOADERS[name].share for name in chosen)
    total = [0, 0, 0, 0]
    print("| loader | inputs | accepted | refused | findings | seconds |\n|---|---:|---:|---:|---:|---:|")
    for name in chosen:
        started = time.monotonic()
        counts = try_all(name, given.seed, -(-given.inputs * LOADERS[name].share // shares), given.folder)
        total = [a + b for a, b in zip(total, counts, strict=True)]
        print(f"| {name} | {' | '.join(f'{n:,}' for n in counts)} | {time.monotonic() - started:.0f} |", flush=True)
    print(f"| all | {' | '.join(f'{n:,}' for n in total)} | |")
    return int(total[3] > 0)


if __name__ == "__main__":
    sys.exit(main())
