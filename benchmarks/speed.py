"""Times training steps of the public loop against a plain PyTorch loop, as ratios taken inside interleaved rounds.

    python benchmarks/speed.py [--rounds 7] [--steps 100]

Both train the VAE of Kingma & Welling (784-400-20, Bernoulli, batch 128, Adam) on the same random binary images, one
thread. A round times one after the other, so that what else the machine does falls on both; the table gives the
median ratio and its spread.
"""

import argparse
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

import reparam
from reparam.data import Data, DataSpec, Split
from reparam.training import Trainer, TrainSettings

BATCH, ITEMS = 128, 10_000


def make_data() -> Data:
    """Random binary images, stored as uint8."""
    spec = DataSpec("random", (1, 28, 28), "binary")
    images = torch.rand(ITEMS, 1, 28, 28, generator=torch.Generator().manual_seed(0)).lt(0.2).to(torch.uint8)
    split = Split(images, spec)
    return Data(split, split, split)


class PlainLoop:
    """What a careful person writes by hand: float data in memory, fused Adam, logits."""

    def __init__(self, data: Data) -> None:
        self.x = data.train.stored.flatten(1).float()
        self.encoder = nn.Sequential(nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 40))
        self.decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784))
        parameters = [*self.encoder.parameters(), *self.decoder.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=1e-3, fused=True)

    def steps(self, count: int) -> None:
        """Takes that many steps."""
        for _ in range(count):
            x = self.x[torch.randint(ITEMS, (BATCH,))]
            loc, log_scale = self.encoder(x).chunk(2, -1)
            z = loc + log_scale.exp() * torch.randn_like(loc)
            distortion = F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
            rate = 0.5 * (loc**2 + (2 * log_scale).exp() - 1 - 2 * log_scale).sum()
            self.optimizer.zero_grad(set_to_none=True)
            ((distortion + rate) / BATCH).backward()
            self.optimizer.step()


class PublicLoop:
    """The same model through the package's own loop, with logging, clipping and averaged weights."""

    def __init__(self, data: Data) -> None:
        model = reparam.build("vae", data, latent_dim=20, network={"kind": "mlp", "hidden_dims": [400]})
        self.trainer = Trainer(model, data, reparam.ELBO(), TrainSettings(epochs=1, batch_size=BATCH))

    def steps(self, count: int) -> None:
        """Takes that many steps."""
        self.trainer.take_steps(count)


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=100)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = make_data()
    loops = {"plain loop": PlainLoop(data), "reparam": PublicLoop(data)}
    times: dict[str, list[float]] = {name: [] for name in loops}
    for number in range(arguments.rounds + 1):
        for name, loop in loops.items():
            started = time.perf_counter()
            loop.steps(arguments.steps)
            if number:
                times[name].append((time.perf_counter() - started) / arguments.steps)
    print(f"{'loop':<12} {'ms/step':>8} {'ratio':>7} {'spread':>13}")
    for name, values in times.items():
        ratios = [plain / value for plain, value in zip(times["plain loop"], values, strict=True)]
        low, high = min(ratios), max(ratios)
        print(
            f"{name:<12} {1e3 * statistics.median(values):8.2f} {statistics.median(ratios):7.2f} {low:6.2f}-{high:.2f}"
        )


if __name__ == "__main__":
    main()
