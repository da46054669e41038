"""What games make of classes, beside a conditional VAE: the table of CVAE-GAN (Bao et al., 2017), section 4.

    python benchmarks/games.py --data mnist --minutes 10 --seeds 0,1,2 --json games.json

Each model trains for as long, with one decoder. An independent classifier, trained on the training split, reads 10,000
examples, as many of each class:

- top-1: the share whose class it reads as the one that was asked for;
- diversity: the variance of its features within a class, as a share of that of real examples;
- sharpness: the variance of the Laplacian of pictures, as a share of that of real ones;
- the Inception score and the Frechet distance, in its features; real test examples are the first row;
- the least share of one class among as many examples of classes it reads itself: a model that has lost one shows it.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from learning import learn, shifted
from torch import Tensor
from torch.nn import functional as F

import reparam
from reparam.data import Batch, Split
from reparam.evaluation.fidelity import frechet_distance, inception_score_of, within_classes
from reparam.evaluation.sharpness import laplacian_variance
from reparam.networks import Discriminator
from reparam.rng import seeded
from reparam.runs import train

RECIPES = ("cvae", "cgan", "fm-cgan", "cvae-gan")
COUNT, BATCH = 10_000, 250


@dataclass
class Reader:
    """An independent classifier, and how well it reads real test examples."""

    network: Discriminator
    accuracy: float

    @torch.no_grad()
    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and features."""
        seen = [self.network(part) for part in x.split(BATCH)]
        return torch.cat([s.outputs for s in seen]), torch.cat([s.coarse for s in seen]).double()


def reader(data: Any, epochs: int, seed: int = 7) -> Reader:
    """Trains the classifier by cross-entropy, on pictures shifted by up to two pixels in 28."""
    classes = len(data.spec.classes)
    with seeded(seed, "reader"):
        network = Discriminator(data.spec.shape, classes, channels=(32, 64))

        def loss_of(batch: Batch) -> Tensor:
            x = shifted(batch.x, batch.x.shape[-1] // 14)
            return F.cross_entropy(network(x).outputs, batch.named["labels"])

        steps = epochs * (len(data.train) // 128)
        learn(network.parameters(), data.train, loss_of, steps=steps, batch_size=128, rate=4e-3, seed=seed)
    network.eval()
    found = Reader(network, 0.0)
    x, labels = everything(data.test)
    found.accuracy = (found(x)[0].argmax(1) == labels).double().mean().item()
    return found


def everything(split: Split) -> tuple[Tensor, Tensor]:
    """All examples of a split and their labels."""
    batches = list(split.batches(BATCH))
    return torch.cat([batch.x for batch in batches]), torch.cat([batch.named["labels"] for batch in batches])


def made(model: Any, classes: int, count: int) -> tuple[Tensor, Tensor]:
    """Examples of each class in turn; of a model that is told nothing, of whatever it makes."""
    labels = torch.arange(count) % classes
    with torch.no_grad(), seeded("games"):
        parts = [
            model.sample(len(part), **({"labels": part} if model.conditions else {})) for part in labels.split(BATCH)
        ]
    return torch.cat(parts).clamp(0, 1).cpu(), labels


def row(x: Tensor, labels: Tensor | None, read: Reader, real: dict[str, Any]) -> dict[str, float]:
    """The numbers of some examples beside those of real ones."""
    logits, features = read(x)
    said = logits.argmax(1)
    found = {
        "diversity": within_classes(features, said if labels is None else labels) / real["within"],
        "sharpness": laplacian_variance(x).mean().item() / real["laplacian"],
        "inception_score": inception_score_of(logits.double())[0],
        "fid": frechet_distance(real["features"], features),
        "least_class": (said.bincount(minlength=logits.shape[1]).double() / len(said)).min().item(),
    }
    return found if labels is None else {"top1": (said == labels).double().mean().item()} | found


def main() -> None:
    """Trains the classifier and the models, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--recipes", default=",".join(RECIPES))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--reader-epochs", type=int, default=12)
    parser.add_argument("--set", default="{}", help="settings by section, JSON, for all recipes")
    parser.add_argument("--out", type=Path, help="folder of the runs")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    data = reparam.load_data(given.data)
    read = reader(data, given.reader_epochs)
    print(f"classifier: {read.accuracy:.2%} of real test examples", file=sys.stderr)
    x, labels = everything(data.test)
    features = read(x)[1]
    real = {
        "features": features,
        "within": within_classes(features, labels),
        "laplacian": laplacian_variance(x).mean().item(),
    }
    rows = [{"model": "real test examples", "seed": None} | row(x, labels, read, real)]
    for seed in map(int, given.seeds.split(",")):
        for name in given.recipes.split(","):
            over = {"train": {"max_minutes": given.minutes, "tensorboard": False}, "seed": seed}
            over |= {"data": {"binarize": "none"}}
            for section, values in json.loads(given.set).items():
                over[section] = {**over.get(section, {}), **values} if isinstance(values, dict) else values
            out = given.out / f"{name}-{seed}" if given.out else None
            run = train(name, over, data=data, out=out)
            pictures, asked = made(run.model, len(data.spec.classes), given.count)
            told = asked if run.model.conditions else None
            rows.append({"model": name, "seed": seed} | row(pictures, told, read, real))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    found = {"data": given.data, "minutes": given.minutes, "classifier": read.accuracy, "rows": rows}
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")
    print("| model | seed | top-1 | diversity | sharpness | Inception score | FID | least class |")
    print("|---|---|---|---|---|---|---|---|")
    for one in rows:
        top = f"{one['top1']:.2%}" if "top1" in one else ""
        numbers = " | ".join(
            f"{one[k]:.3g}" for k in ("diversity", "sharpness", "inception_score", "fid", "least_class")
        )
        print(f"| {one['model']} | {'' if one['seed'] is None else one['seed']} | {top} | {numbers} |")


if __name__ == "__main__":
    main()
