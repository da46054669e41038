"""Kills trainings at random moments and looks whether anything was lost.

    python benchmarks/kill.py [--trainings 200] [--kills 0] [--epochs 4] [--seed 0] [--folder DIR]

Each training is killed (SIGKILL) at a random moment and resumed, some of them several times, as the dice say.
Its weights, its optimiser and its averages must then equal those of the training that nobody killed, bit for bit, and
its metrics.jsonl must be equal line for line but for what depends on the clock. A checkpoint is written after every
step, so many kills fall into the middle of a write. Exit code 0 means that nothing was lost.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from reparam import resume, train

CLOCK = ("wall_s", "samples_per_s")
OVER = {
    "train": {"batch_size": 128, "validations": 8, "checkpoint_seconds": 0, "tensorboard": False},
    "model": {"latent_dim": 4, "network": {"kind": "mlp", "hidden_dims": [32]}},
}
CASES = {"vae": "digits", "dae": "digits", "sigma-vae": "rows.npy"}


def in_child(work: Callable[[], object]) -> int:
    """Starts work in a process of its own, without importing everything again; returns its number."""
    number = os.fork()
    if number:
        return number
    status = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        work()
        status = 0
    finally:
        os._exit(status)


def ended(number: int, within: float | None = None) -> int | None:
    """Waits for a process: its exit code, negative for a signal; None if it is not done within the seconds."""
    until = time.monotonic() + within if within is not None else None
    while True:
        found, status = os.waitpid(number, os.WNOHANG if until else 0)
        if found:
            return os.waitstatus_to_exitcode(status)
        if until and time.monotonic() > until:
            return None
        time.sleep(0.0005)


def go_on(recipe: str, folder: Path, epochs: int) -> None:
    """Trains, or goes on where something is left of a training."""
    if (folder / "config.yaml").exists():
        resume(folder, device="cpu")
        return
    source = CASES[recipe]
    rows = {"source": str(folder.parent / source), "stream": "on"}  # read from disk, block by block
    data = rows if source.endswith(".npy") else {"source": source}
    over = OVER | {"data": data, "train": OVER["train"] | {"epochs": epochs}}
    train(recipe, over, out=folder, device="cpu")


def kill_on_its_way(recipe: str, folder: Path, epochs: int, seconds: float, dice: random.Random) -> tuple[int, int]:
    """Kills a training at least once, and perhaps again on its way: how often, and how often inside a checkpoint."""
    kills = inside = 0
    while not kills or dice.random() < 0.5:
        child = in_child(lambda: go_on(recipe, folder, epochs))
        code = ended(child, dice.uniform(0, 0.7 * seconds))
        if code is None:
            os.kill(child, signal.SIGKILL)
            ended(child)
            kills += 1
            inside += any((folder / "checkpoints").glob(".step-*"))
        elif code != 0:
            raise RuntimeError(f"{folder}: the training left with code {code}")
        elif kills:
            break
        else:
            shutil.rmtree(folder)  # it was done before its time: once more
    return kills, inside


def finished(recipe: str, folder: Path, epochs: int) -> None:
    """Trains to the end in a process of its own, which nobody kills."""
    code = ended(in_child(lambda: go_on(recipe, folder, epochs)))
    if code != 0:
        raise RuntimeError(f"{folder}: the training left with code {code}")


def differences(whole: Path, killed: Path) -> list[str]:
    """What is not as in the run that nobody killed."""
    found = []
    newest = [sorted((folder / "checkpoints").glob("step-*"))[-1] for folder in (whole, killed)]
    for name in ("weights", "optimizer", "ema"):
        a, b = (load_file(folder / f"{name}.safetensors") for folder in newest)
        if a.keys() != b.keys() or not all(torch.equal(a[key], b[key]) for key in a):
            found.append(f"checkpoint {name}")
    small = [json.loads((folder / "state.json").read_text())["state"] | {"seconds": 0} for folder in newest]
    if small[0] != small[1]:
        found.append("state.json")
    a, b = (load_file(folder / "model" / "weights.safetensors") for folder in (whole, killed))
    if not all(torch.equal(a[key], b[key]) for key in a):
        found.append("model")
    rows = [
        [
            {key: value for key, value in json.loads(line).items() if key not in CLOCK}
            for line in (folder / "metrics.jsonl").read_text().splitlines()
        ]
        for folder in (whole, killed)
    ]
    if rows[0] != rows[1]:
        found.append("metrics.jsonl")
    return found


def main() -> int:
    """Kills, resumes, compares, and prints one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trainings", type=int, default=200)
    parser.add_argument("--kills", type=int, default=0, help="train on until there were so many")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dice = random.Random(arguments.seed)
    place = Path(tempfile.mkdtemp(dir=arguments.folder, prefix="kill-"))
    np.save(place / "rows.npy", np.random.default_rng(0).normal(size=(1500, 17)).astype(np.float32))
    seconds = {}
    for recipe in CASES:
        started = time.monotonic()
        finished(recipe, place / recipe, arguments.epochs)
        seconds[recipe] = time.monotonic() - started
    number = kills = inside = equal = 0
    while number < arguments.trainings or kills < arguments.kills:
        recipe = tuple(CASES)[number % len(CASES)]
        folder = place / f"killed-{number}"
        more = kill_on_its_way(recipe, folder, arguments.epochs, seconds[recipe], dice)
        kills, inside = kills + more[0], inside + more[1]
        finished(recipe, folder, arguments.epochs)
        wrong = differences(place / recipe, folder)
        equal += not wrong
        if wrong:
            print(f"training {number} ({recipe}) differs: {', '.join(wrong)}; kept in {folder}")
        else:
            shutil.rmtree(folder)
        number += 1
    print(f"{kills} kills, {inside} of them inside the write of a checkpoint; {equal} of {number} trainings equal")
    if equal == number:
        shutil.rmtree(place)
    return int(equal != number)


if __name__ == "__main__":
    sys.exit(main())
