"""What a GPU is asked for beyond ``speed.py --device cuda``: the time of an epoch, and the time to a likelihood.

    python benchmarks/gpu.py [--device cuda] [--minutes 1] [--samples 5000] [--limit N]

1. The one-layer VAE (784-400-20) on 60,000 binary images: seconds of an epoch through the public loop. Wished: 0.08 s.
2. The same VAE on dynamic MNIST, trained for ``--minutes``: -log p(x) of the test split. Wished: 84.5 nats in a minute.

``REPARAM_DATA`` names the folder where MNIST lies. The script runs on a CPU, too, where its numbers mean little.
"""

import argparse
import time

import torch

import reparam
from reparam.data import Data, DataSpec, Split
from reparam.training import Trainer, TrainSettings

BATCH = 128
NETWORK = {"kind": "mlp", "hidden_dims": [400]}


def images(count: int) -> Data:
    """Random binary images, stored as uint8."""
    spec = DataSpec("random", (1, 28, 28), "binary")
    stored = torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(0)).lt(0.2).to(torch.uint8)
    split = Split(stored, spec)
    return Data(split, split, split)


def synchronised(device: str) -> float:
    """The clock, when the device has done what it was told."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def epoch(device: str) -> float:
    """Seconds of the best of three epochs, after one that warms up."""
    data = images(60_000)
    model = reparam.build("vae", data, latent_dim=20, network=NETWORK).to(device)
    trainer = Trainer(model, data.to(device), reparam.ELBO(), TrainSettings(epochs=1, batch_size=BATCH))
    seconds = []
    for _ in range(4):
        started = synchronised(device)
        trainer.take_steps(len(data.train) // BATCH)
        seconds.append(synchronised(device) - started)
    return min(seconds[1:])


def main() -> None:
    """Prints the two numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--limit", type=int)
    arguments = parser.parse_args()
    print(f"one epoch of 60,000: {epoch(arguments.device):.3f} s")
    over = {
        "data": {"source": "mnist"},
        "model": {"latent_dim": 40, "network": NETWORK},
        "train": {"max_minutes": arguments.minutes, "batch_size": 512},
    }
    run = reparam.train("vae", over, device=arguments.device)
    found = run.evaluate("test", ["nll"], samples=arguments.samples, limit=arguments.limit)
    print(
        f"after {arguments.minutes:g} minutes ({run.metrics[-1]['epoch']:g} epochs): -log p(x) {found['nll']:.2f} "
        f"+- {found['nll_stderr']:.2f} nats, S = {found['nll_samples']}, {found['nll_n']:,} test images"
    )


if __name__ == "__main__":
    main()
