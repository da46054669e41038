"""What content and style of a model of groups tell of the class: the table of ML-VAE (Bouchacourt et al., 2018).

    python benchmarks/groups.py --data mnist --minutes 10 --recipes ml-vae,group-vae --json groups.json
    python benchmarks/groups.py --run runs/groups

A classifier (one hidden layer of 64) learns the class from the latents of 10,000 training items, each encoded by
itself, and reads those of 5,000 test items: of content and of style, each item by itself, and of content with the
evidence of all items of its class in batches of 500.
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

FEW, BATCH = (10_000, 5_000), 500


@torch.no_grad()
def codes(model: Any, split: Split, together: bool = False) -> tuple[Tensor, Tensor]:
    """Posterior means, and the classes; ``together`` with the evidence of all items of a class in a batch."""
    found, labels = [], []
    for batch in split.batches(BATCH):
        told = {"labels": batch.named["labels"]} if together else {}
        found.append(model.infer(batch.x, **told).mean.cpu())
        labels.append(batch.named["labels"].cpu())
    return torch.cat(found), torch.cat(labels)


def row(run: reparam.Run) -> dict[str, float]:
    """Accuracies of one model."""
    model, data = run.model, run.load_data()
    train, test = (
        split.fixed(0, "groups").subset(few, "groups") for split, few in zip((data.train, data.test), FEW, strict=True)
    )
    (x, y), (alone, wanted), (evidence, _) = codes(model, train), codes(model, test), codes(model, test, together=True)
    found = {}
    parts = {"content": slice(0, model.content_dim), "style": slice(model.content_dim, None)}
    for name, part in parts.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            reads = MLPClassifier((64,), max_iter=60, random_state=0).fit(x[:, part], y)
        found[name] = reads.score(alone[:, part], wanted)
        if name == "content":
            found["content_of_groups"] = reads.score(evidence[:, part], wanted)
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
    print("| model | content | content, evidence of the group | style |\n|---|---|---|---|")
    for one in rows:
        print(f"| {one['model']} | {one['content']:.2%} | {one['content_of_groups']:.2%} | {one['style']:.2%} |")


if __name__ == "__main__":
    main()
