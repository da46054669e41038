"""Models of sequences beside published numbers, and beside the same network without latents.

    python benchmarks/sequences.py --data sketches --minutes 20 --samples 100
    python benchmarks/sequences.py --data jsb-chorales --minutes 60 --samples 1000
    python benchmarks/sequences.py --data jsb-chorales --epochs 2000 --set '{"model": {...}}' --device cuda

Each model trains for as long. On the test split: ELBO and importance-weighted log p(x), in nats for each sequence, and
for each step of all sequences together. The network without latents is the decoder on a memory of the
values before, with z = 0, so its likelihood is exact; it is as large as the whole model. Published, for each step
(negative): JSB 6.80 ELBO (DMM in Pyro), 5.1 (importance-weighted, at paper scale).
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import reparam
from reparam.data import Batch, Data
from reparam.models import SequentialVAE
from reparam.rng import seeded
from reparam.runs import train

BATCH = 64


class WithoutLatents(nn.Module):
    """The networks of a sequential VAE with z = 0 at each step: a recurrent network with the same likelihood."""

    def __init__(self, model: SequentialVAE) -> None:
        super().__init__()
        self.model = model
        unused = (model.dynamics.p, model.dynamics.q, model.dynamics.ahead, model.dynamics.of_z)
        off = {id(weights) for part in unused if part is not None for weights in part.parameters()}
        self.used = [weights for weights in model.parameters() if id(weights) not in off]

    def forward(self, batch: Batch) -> Tensor:
        """log p(x) of each sequence, nats."""
        model, values = self.model, batch.x.movedim(-1, 1)
        mask = model.mask(**batch.pick(model.conditions)).expand(len(values), -1)
        longest = int(mask.sum(1).max())
        values, mask = values[:, :longest], mask[:, :longest]
        phi, dynamics = model.networks.features(values), model.dynamics
        state, read = dynamics.begin(len(values), phi), []
        for seen in phi.unbind(1):
            read.append(torch.cat([state.z, state.h], -1))
            state = dynamics.advance(state, seen, torch.zeros_like(state.z))
        return (model.networks.decoded(torch.stack(read, 1)).log_prob(values) * mask).sum(1)


def size(weights: Any) -> int:
    """How many numbers."""
    return sum(one.numel() for one in weights)


def as_large(data: Data, wanted: int, model: dict[str, Any]) -> WithoutLatents:
    """The network without latents, with the width that makes it as large."""
    dynamics = model.get("dynamics", {})
    for width in range(dynamics.get("hidden_dim", 128), 4096, 16):
        built = reparam.build("vrnn", data, **{**model, "dynamics": {**dynamics, "hidden_dim": width}})
        assert isinstance(built, SequentialVAE)
        found = WithoutLatents(built)
        if size(found.used) >= wanted:
            break
    return found


def learn_alone(network: WithoutLatents, data: Data, minutes: float, epochs: int | None, seed: int) -> None:
    """Trains it by log p(x) for as long, or as many epochs, and keeps the weights that validate best."""
    optimizer = torch.optim.Adam(network.used, 1e-3)
    began, step, best, kept = time.monotonic(), 0, -float("inf"), network.state_dict()
    each = len(data.train) // BATCH or 1
    while step < epochs * each if epochs else time.monotonic() - began < 60 * minutes:
        epoch, place = divmod(step, each)
        if place == 0:
            order = data.train.order(seed, epoch)
        loss = -network(data.train.batch(order[place * BATCH : (place + 1) * BATCH])).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.used, 1.0)
        optimizer.step()
        step += 1
        if step % each == 0 or step % 200 == 0:
            now = exact(network, data, "validation")["log_p"]
            if now > best:
                best, kept = now, {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(kept)


@torch.no_grad()
def exact(network: WithoutLatents, data: Data, name: str) -> dict[str, float]:
    """Mean log p(x) for each sequence, and for each step of all of them."""
    split = data.split(name)
    total = torch.cat([network(batch) for batch in split.batches(BATCH)]).double()
    return {"log_p": total.mean().item(), "log_p_per_step": (total.sum() / steps_of(data, name)).item()}


def steps_of(data: Data, name: str) -> float:
    """Steps of all sequences of a split."""
    split = data.split(name)
    lengths = split.named.get("lengths")
    return float(len(split) * data.spec.shape[1] if lengths is None else lengths.sum())


def main() -> None:
    """Trains both, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="sketches")
    parser.add_argument("--recipe", default="vrnn")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--epochs", type=int, help="in place of minutes")
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", default="{}", help="settings by section, JSON")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="run folder")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    data = reparam.load_data(given.data).to(given.device)
    over: dict[str, Any] = json.loads(given.set)
    long = {"epochs": given.epochs} if given.epochs else {"max_minutes": given.minutes}
    over["train"] = {"batch_size": BATCH, "tensorboard": False} | over.get("train", {}) | long
    run = train(given.recipe, over | {"seed": given.seed}, data=data, device=given.device, out=given.out)
    found = run.evaluate("test", ["elbo", "nll"], samples=given.samples, source=data)
    count = steps_of(data, "test") / len(data.test)
    wanted = size(run.model.parameters())
    rows = [
        {
            "model": given.recipe,
            "parameters": wanted,
            "elbo_per_step": found["elbo"] / count,
            "log_p": -found["nll"],
            "log_p_per_step": -found["nll"] / count,
        }
    ]
    print(json.dumps(rows[0]), file=sys.stderr, flush=True)
    with seeded(given.seed, "without latents"):
        alone = as_large(data, wanted, over.get("model", {})).to(given.device)
        learn_alone(alone, data, given.minutes, given.epochs, given.seed)
    rows.append({"model": "without latents", "parameters": size(alone.used)} | exact(alone, data, "test"))
    if given.json:
        given.json.write_text(json.dumps({"data": given.data, "minutes": given.minutes, "rows": rows}, indent=1) + "\n")
    columns = ("parameters", "elbo_per_step", "log_p", "log_p_per_step")
    print("| model | " + " | ".join(columns) + " |\n" + "|---" * 5 + "|")
    for row in rows:
        print(f"| {row['model']} | " + " | ".join(f"{row[k]:,.5g}" if k in row else "" for k in columns) + " |")


if __name__ == "__main__":
    main()
