"""What content and style of a model of groups tell of the class: the table of ML-VAE (Bouchacourt et al., 2018).

    python benchmarks/groups.py --data mnist --minutes 10 --recipes ml-vae,group-vae --json groups.json
    python benchmarks/groups.py --run runs/groups

A classifier (one hidden layer of 64) learns the class from the latents of 10,000 training items, each encoded by
itself, and reads those of 5,000 test items: of content and of style, each item by itself, and of content with the
evidence of all items of its class in batches of 500. Latents are posterior means. The style is read twice, the second
time from draws, which are what a decoder sees: the mean of a dimension that is not used may tell the class by a
hundredth of a standard deviation, and no draw does.
"""

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from torch import Tensor

import reparam
from reparam.data import Split
from reparam.rng import seeded

FEW, BATCH = (10_000, 5_000), 500


@torch.no_grad()
def codes(model: Any, split: Split, together: bool = False, drawn: bool = False) -> tuple[Tensor, Tensor]:
    """Posterior means, or draws, and the classes; ``together`` with the evidence of a class in a batch."""
    found, labels = [], []
    for batch in split.batches(BATCH):
        q = model.infer(batch.x, **({"labels": batch.named["labels"]} if together else {}))
        found.append((q.sample() if drawn else q.mean).cpu())
        labels.append(batch.named["labels"].cpu())
    return torch.cat(found), torch.cat(labels)


def reading(x: Tensor, y: Tensor) -> MLPClassifier:
    """A classifier of latents."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return MLPClassifier((64,), max_iter=60, random_state=0).fit(x, y)


def row(run: reparam.Run) -> dict[str, float]:
    """Accuracies of one model."""
    model, data = run.model, run.load_data()
    train, test = (
        split.fixed(0, "groups").subset(few, "groups") for split, few in zip((data.train, data.test), FEW, strict=True)
    )
    (x, y), (alone, wanted), (evidence, _) = codes(model, train), codes(model, test), codes(model, test, together=True)
    content, style = slice(0, model.content_dim), slice(model.content_dim, None)
    reads = reading(x[:, content], y)
    found = {"content": reads.score(alone[:, content], wanted)}
    found["content_of_groups"] = reads.score(evidence[:, content], wanted)
    found["style"] = reading(x[:, style], y).score(alone[:, style], wanted)
    with seeded("groups"):
        drawn = [codes(model, split, drawn=True)[0][:, style] for split in (train, test)]
    found["style_drawn"] = reading(drawn[0], y).score(drawn[1], wanted)
    return found


def main() -> None:
    """Trains the models, or takes one that is trained, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--recipes", default="ml-vae,group-vae")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", type=Path, help="a run folder, judged instead of training")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = []
    if given.run:
        rows.append({"model": str(given.run)} | row(reparam.open_run(given.run)))
    for name in [] if given.run else given.recipes.split(","):
        over = {"data": {"source": given.data}, "seed": given.seed, "train": {"max_minutes": given.minutes}}
        rows.append({"model": name} | row(reparam.train(name, over)))
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")
    print("| model | content | content, evidence of the group | style | style, draws |\n|---|---|---|---|---|")
    for one in rows:
        name, *numbers = one.values()
        print(f"| {name} | " + " | ".join(f"{number:.2%}" for number in numbers) + " |")


if __name__ == "__main__":
    main()
