"""Kills trainings at random moments and looks whether anything was lost.

    python benchmarks/kill.py [--kills 200] [--seed 0] [--folder DIR]

Each training is killed (SIGKILL) at a random moment and resumed, as often as the dice say, until it reaches its end.
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

import reparam

EPOCHS = 4
CLOCK = ("wall_s", "samples_per_s")
OVER = {
    "train": {"epochs": EPOCHS, "batch_size": 128, "validations": 8, "checkpoint_seconds": 0, "tensorboard": False},
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


def go_on(recipe: str, folder: Path) -> None:
    """Trains, or goes on where something is left of a training."""
    if (folder / "config.yaml").exists():
        reparam.resume(folder, device="cpu")
        return
    source = CASES[recipe]
    rows = {"source": str(folder.parent / source), "stream": "on"}  # read from disk, block by block
    data = rows if source.endswith(".npy") else {"source": source}
    reparam.train(recipe, OVER | {"data": data}, out=folder, device="cpu")


def finished(recipe: str, folder: Path) -> None:
    """Trains to the end in a process of its own, which nobody kills."""
    code = ended(in_child(lambda: go_on(recipe, folder)))
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
    parser.add_argument("--kills", type=int, default=200)
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
        finished(recipe, place / recipe)
        seconds[recipe] = time.monotonic() - started
    kills = inside = trainings = equal = failed = 0
    while kills < arguments.kills:
        recipe = tuple(CASES)[trainings % len(CASES)]
        folder = place / f"killed-{trainings}"
        trainings += 1
        while kills < arguments.kills:
            child = in_child(lambda recipe=recipe, folder=folder: go_on(recipe, folder))  # type: ignore[misc]
            code = ended(child, dice.uniform(0, 0.7 * seconds[recipe]))
            if code is not None:
                failed += code != 0
                break
            os.kill(child, signal.SIGKILL)
            ended(child)
            kills += 1
            inside += any((folder / "checkpoints").glob(".step-*"))
        finished(recipe, folder)
        wrong = differences(place / recipe, folder)
        equal += not wrong
        if wrong:
            print(f"training {trainings} ({recipe}) differs: {', '.join(wrong)}; kept in {folder}")
        else:
            shutil.rmtree(folder)
    if failed:
        print(f"{failed} trainings failed by themselves")
    print(f"{kills} kills, {inside} of them inside the write of a checkpoint; {equal} of {trainings} trainings equal")
    if equal == trainings and not failed:
        shutil.rmtree(place)
    return int(equal != trainings or failed > 0)


if __name__ == "__main__":
    sys.exit(main())
