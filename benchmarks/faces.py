"""Faces at 64x64: how sharp, how like what was asked for, how near in the features of a network.

    python benchmarks/faces.py --minutes 30 --json faces.json

The data are ``utkface64`` below ``$REPARAM_DATA``, where SqueezeNet's weights lie too, in ``pretrained``. Models are
told age and gender, but for those that are told nothing or the gender alone; each trains for as long. On the test
split:

- sharpness: the variance of the Laplacian of new pictures, and of reconstructions, as shares of that of real ones;
- attribute similarity, after table 1 of VAE-GAN (Larsen et al., 2016): a regressor, trained on the training split,
  reads age and gender of pictures that were made for the attributes of the test pictures; the mean cosine and the mean
  squared error between what it reads and what was asked for, both standardised. Real test pictures are the first row;
- perceptual distance of reconstructions, in the features of SqueezeNet where its weights are at hand.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from games import BATCH
from learning import learn, shifted
from torch import Tensor
from torch.nn import functional as F

import reparam
from reparam.data import Batch, Data, Split
from reparam.evaluation.sharpness import laplacian_variance
from reparam.networks import Discriminator
from reparam.rng import seeded
from reparam.runs import Run, train

TOLD: dict[str, Any] = {"condition": {"kind": "vector"}, "condition_into": ["encoder", "decoder"]}
NO_CRITIC: dict[str, Any] = {"objective": {"weight": 0.0}}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "vae": ("vae", {"model": TOLD}),
    "gan": ("cgan", {}),
    "vae-gan": ("vae-gan", {"model": TOLD}),
    "cvae-gan": ("cvae-gan", {}),
    "sigma-vae": ("sigma-vae", {}),
    "perceptual-vae": ("perceptual-vae", {"model": {"likelihood": {"network": "squeezenet", "layers": [1, 4, 7]}}}),
    "tokenizer": ("autoencoder-kl", {}),
    "tokenizer without critic": ("autoencoder-kl", NO_CRITIC),
}


def everything(split: Split) -> tuple[Tensor, Tensor]:
    """All pictures of a split and their attributes."""
    batches = list(split.batches(BATCH))
    return torch.cat([batch.x for batch in batches]), torch.cat([batch.named["attributes"] for batch in batches])


class Regressor:
    """Reads standardised age and gender."""

    def __init__(self, data: Data, epochs: int, seed: int = 7) -> None:
        wanted = everything(data.train)[1]
        self.shift, self.scale = wanted.mean(0), wanted.std(0)
        with seeded(seed, "regressor"):
            self.network = Discriminator(data.spec.shape, wanted.shape[1], channels=(32, 64, 128))
            self._learn(data.train, epochs, seed)
        self.network.eval()

    def standardised(self, attributes: Tensor) -> Tensor:
        """Attributes in units of their spread."""
        return (attributes - self.shift) / self.scale

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        return torch.cat([self.network(part).outputs for part in x.split(BATCH)])

    def _learn(self, split: Split, epochs: int, seed: int) -> None:
        def loss_of(batch: Batch) -> Tensor:
            x = shifted(batch.x.flip(-1) if torch.rand(()) < 0.5 else batch.x, 3)
            return F.mse_loss(self.network(x).outputs, self.standardised(batch.named["attributes"]))

        steps = epochs * (len(split) // 64)
        learn(self.network.parameters(), split, loss_of, steps=steps, batch_size=64, rate=2e-3, seed=seed)


def similarity(read: Tensor, wanted: Tensor) -> dict[str, float]:
    """Cosine and squared error between attributes as they are read and as they were asked for."""
    return {
        "cosine": F.cosine_similarity(read, wanted).mean().item(),
        "attribute_mse": (read - wanted).square().mean().item(),
    }


@torch.no_grad()
def row(run: Run, data: Data, regressor: Regressor, real: float) -> dict[str, Any]:
    """The numbers of one model."""
    model, test = run.model, data.test
    device = next(model.parameters()).device
    x, attributes = everything(test)
    named = {"attributes": attributes, "labels": torch.cat([b.named["labels"] for b in test.batches(BATCH)])}
    told = {name: named[name] for name in model.conditions}
    with seeded("faces"):
        made = torch.cat(
            [
                model.sample(len(rows), **{name: value[rows] for name, value in told.items()})
                for rows in torch.arange(len(x)).split(BATCH)
            ]
        )
    made = made.clamp(0, 1).cpu()
    found: dict[str, Any] = {"sharpness": laplacian_variance(made).mean().item() / real}
    if model.amortized:
        again = torch.cat(
            [
                model.reconstruct(x[rows].to(device), **{name: value[rows] for name, value in told.items()})
                for rows in torch.arange(len(x)).split(BATCH)
            ]
        )
        found["sharpness_reconstructed"] = laplacian_variance(again.clamp(0, 1).cpu()).mean().item() / real
        found |= run.evaluate("test", ["reconstruction", "perceptual-distance"], source=data)
    if "attributes" in told:
        found |= similarity(regressor(made), regressor.standardised(attributes))
    return found


COLUMNS = ("sharpness", "sharpness_reconstructed", "cosine", "attribute_mse", "perceptual_distance", "mse")


def main() -> None:
    """Trains the regressor and the models, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--regressor-epochs", type=int, default=20)
    parser.add_argument("--set", default="{}", help="settings by section, JSON, for all models")
    parser.add_argument("--out", type=Path, help="folder of the runs")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    data = reparam.load_data("utkface64")
    regressor = Regressor(data, given.regressor_epochs)
    x, attributes = everything(data.test)
    real = laplacian_variance(x).mean().item()
    first = {"model": "real test pictures", "sharpness": 1.0}
    rows = [first | similarity(regressor(x), regressor.standardised(attributes))]
    print(json.dumps(rows[0]), file=sys.stderr, flush=True)
    for name in given.models.split(","):
        recipe, own = MODELS[name]
        over: dict[str, Any] = {"seed": given.seed, "train": {"max_minutes": given.minutes, "tensorboard": False}}
        for section, values in [*own.items(), *json.loads(given.set).items()]:
            over[section] = {**over.get(section, {}), **values}
        out = given.out / name.replace(" ", "-") if given.out else None
        run = train(recipe, over, data=data, out=out)
        rows.append({"model": name} | row(run, data, regressor, real))
        print(json.dumps(rows[-1], default=str), file=sys.stderr, flush=True)
        if given.json:
            given.json.write_text(json.dumps({"minutes": given.minutes, "rows": rows}, indent=1, default=str) + "\n")
    print("| model | " + " | ".join(COLUMNS) + " |")
    print("|---" * (len(COLUMNS) + 1) + "|")
    for one in rows:
        print(f"| {one['model']} | " + " | ".join(f"{one[k]:.3g}" if k in one else "" for k in COLUMNS) + " |")


if __name__ == "__main__":
    main()
