"""Trains on a file that is larger than what may be held in memory, and prints what that costs.

    python benchmarks/streaming.py --folder DIR [--gb 6] [--rounds 40]

It writes an .npy file of small colour pictures into a fresh folder inside DIR, and removes it at the end. Memory: the
peak resident size of a process of its own that trains on the file for a minute. Speed: steps of training on the file
beside steps of the same model on 20,000 rows in memory, in one process and in alternating rounds, so that the ratio
survives a busy machine; all rounds together pass through several pools. The system's cache is told to forget the file
first, so that it is read from the disk.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import reparam
from reparam.data import Data, StreamedSplit
from reparam.training import Trainer, TrainSettings

SHAPE = (3, 64, 64)
ROWS_IN_MEMORY = 20_000
BATCH = 128
STEPS = 12
MOST_GB = 1.5
LEAST_SHARE = 0.9
CHUNK = 10_000
NETWORK = {"kind": "mlp", "hidden_dims": [128]}


def write(path: Path, count: int) -> None:
    """Writes ``count`` pictures, piece by piece: the same noise in every piece, brightened differently."""
    noise = np.random.default_rng(0).integers(0, 200, (min(count, CHUNK), *SHAPE), dtype=np.uint8)
    with path.open("wb") as stream:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, *SHAPE)}
        np.lib.format.write_array_header_1_0(stream, header)
        for start in range(0, count, CHUNK):
            (noise[: count - start] + np.uint8(start // CHUNK % 50)).tofile(stream)


def uncached(path: Path) -> None:
    """Lets the system forget what it holds of a file."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def train(path: Path) -> None:
    """Trains on the file for a minute, as a user would, and prints the peak resident bytes."""
    over = {
        "data": {"source": str(path), "stream": True},
        "train": {"max_minutes": 1, "batch_size": BATCH},
        "model": {"latent_dim": 32, "network": NETWORK},
    }
    reparam.train("vae", over, device="cpu")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def peak_gb(path: Path) -> float:
    """Peak resident memory of a training on the file in a process of its own, in GB."""
    command = [sys.executable, __file__, "--train", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) / 1e9


def stepper(data: Data) -> Callable[[], tuple[float, float]]:
    """A training that takes some steps when it is called, and tells the seconds by the wall clock and of processors."""
    model = reparam.build("vae", data, latent_dim=32, network=NETWORK)
    trainer = Trainer(model, data, reparam.ELBO(), TrainSettings(epochs=1, batch_size=BATCH))
    trainer.take_steps(5)

    def seconds() -> tuple[float, float]:
        wall, processors = time.perf_counter(), time.process_time()
        trainer.take_steps(STEPS)
        if isinstance(data.train, StreamedSplit):
            data.train.wait()  # what is read ahead is paid for here, not by the other
        return time.perf_counter() - wall, time.process_time() - processors

    return seconds


def compare(streamed: Data, loaded: Data, rounds: int) -> tuple[float, float]:
    """Rate of training on streamed data as a share of that in memory, by the wall clock and by time of processors.

    The sums of all rounds are compared, so that a wait for a pool counts wherever it falls; who begins alternates.
    """
    both = [stepper(streamed), stepper(loaded)]
    spent = np.zeros((2, 2))
    for number in range(rounds):
        for which in (0, 1) if number % 2 else (1, 0):
            spent[which] += both[which]()
    for name, (wall, processors) in zip(("streamed", "in memory"), spent, strict=True):
        items = rounds * STEPS * BATCH
        print(f"{name:10}{items / wall:8.0f} items/s, {items / processors:8.0f} items a second of processor")
    wall_share, processor_share = spent[1] / spent[0]
    return wall_share, processor_share


def main() -> int:
    """Writes the file, measures, and says whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("."))
    parser.add_argument("--gb", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.train:
        train(given.train)
        return 0
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path = Path(folder) / "pictures.npy"
        write(path, int(given.gb * 1e9 / np.prod(SHAPE)))
        uncached(path)
        print(f"file      {path.stat().st_size / 1e9:.2f} GB")
        peak = peak_gb(path)
        print(f"peak      {peak:.2f} GB resident, {peak / given.gb:.2f} of the file (target: below {MOST_GB} GB)")
        uncached(path)
        small = Path(folder) / "small.npy"
        write(small, ROWS_IN_MEMORY)
        streamed, loaded = (reparam.load_data(one, stream=one == path) for one in (path, small))
        share, cheap = compare(streamed, loaded, given.rounds)
    print(f"speed     {share:.3f} of that in memory, {cheap:.3f} by processor time (target: at least {LEAST_SHARE})")
    return int(peak >= MOST_GB or share < LEAST_SHARE)


if __name__ == "__main__":
    sys.exit(main())
