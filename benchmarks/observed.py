"""Models of several observations, some missing: few labels, few joints, half of the views.

    python benchmarks/observed.py --table labels --minutes 15 --seeds 0,1,2
    python benchmarks/observed.py --table joints --minutes 15
    python benchmarks/observed.py --table views --minutes 3
    python benchmarks/observed.py --table cells --minutes 1 --seeds 0,1,2

- labels: MNIST with 100 labels. The share of test digits whose class is told right: by q(h|d) of a hybrid VAE, by its
  p(h|z), by the network of q(h|d) trained on the 100 labels alone, and by M1+M2: the recipe ``m2`` on the codes of a
  VAE of the pictures.
- joints: ``arm``, 20,000 training pictures with the joints of one in ten known. The error of the joints on test
  pictures: of the network of q(h|d) trained on all joints, on the known tenth alone, and in a hybrid VAE; how far the
  joints of generated pairs are from what the first network reads of their pictures; and log p(d) of test pictures by
  the hybrid VAE and by a VAE of pictures alone with the same networks and sigma.
- views: ``mfeat`` with half of all views hidden, in training and test. The error of what is hidden, in standard
  deviations: by the mean, by nearest neighbours, and by each recipe.
- cells: the same for ``single-cell``, genes and proteins.
"""

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from learning import learn
from torch import Tensor

import reparam
from reparam.data import Batch, Data, Split, hide
from reparam.latents import complete
from reparam.models import HybridVAE, SemiSupervisedVAE
from reparam.rng import seeded
from reparam.runs import train

BATCH = 250
RECIPES = ("mvae", "mmvae", "mopoe-vae", "hybrid-vae")
JOINTS, TEST = 20_000, 2_500
USED = 0.1  # spread of a latent dimension that the data use
SHORT: dict[str, Any] = {"tensorboard": False}
NETWORKS: dict[str, Any] = {
    "encoders": {"x": {"kind": "mlp", "hidden_dims": [500]}},
    "decoders": {"x": {"kind": "mlp", "hidden_dims": [500]}},
    "imputers": {"x": {"kind": "conv"}, "labels": {"kind": "mlp", "hidden_dims": [16]}},
    "alpha": 50.0,
}


def everything(split: Split) -> Tensor:
    """All examples."""
    return torch.cat([batch.x for batch in split.batches(BATCH)])


def without(x: Tensor, place: slice) -> Tensor:
    """Examples with an observation hidden."""
    return x.index_fill(1, torch.arange(place.start, place.stop), torch.nan)


def alone(model: HybridVAE, split: Split, steps: int, seed: int) -> None:
    """Trains the network of q(h|d) by log q(h|d) on the examples of which all of h is there."""
    x = everything(split)
    known = split.take((~x[:, model.columns].isnan().any(1)).nonzero().flatten())

    def loss_of(batch: Batch) -> Tensor:
        h = batch.x[:, model.columns]
        hidden = batch.x.index_fill(1, model.columns, torch.nan)
        return -model.guessed(hidden).log_prob(h).mean()

    with seeded(seed, "alone"):
        parameters = [*model.imputer.parameters(), *model.head.parameters(), *model.guess.parameters()]
        learn(parameters, known, loss_of, steps=steps, batch_size=128, rate=2e-3, seed=seed)
    model.eval()


@torch.no_grad()
def guesses(model: HybridVAE, x: Tensor) -> Tensor:
    """Mean of q(h|d) of each example."""
    return torch.cat([model.guessed(part).mean for part in x.split(BATCH)])


@torch.no_grad()
def told(model: Any, x: Tensor) -> Tensor:
    """What the model completes, by the mean of 32 codes."""
    with seeded("told"):
        return torch.cat([complete(model, part).mean for part in x.split(BATCH)])


def labels(minutes: float, seed: int, out: Path | None) -> list[dict[str, Any]]:
    """Rows of one seed, which draws the 100 labels too."""
    data = binary_digits(seed)
    place = data.spec.places["labels"]
    x = everything(data.test)
    wanted, hidden = x[:, place].argmax(1), without(x, place)

    def right(scores: Tensor) -> float:
        return (scores.argmax(1) == wanted).double().mean().item()

    with seeded(seed, "classifier"):
        classifier = reparam.build("hybrid-vae", data, **NETWORKS)
    assert isinstance(classifier, HybridVAE)
    alone(classifier, data.train, 1000, seed)
    rows = [{"model": "classifier alone", "seed": seed, "accuracy": right(guesses(classifier, hidden))}]
    run = train(
        "hybrid-vae", {"model": NETWORKS, "seed": seed, "train": SHORT | {"max_minutes": minutes}}, data=data, out=out
    )
    assert isinstance(run.model, HybridVAE)
    rows.append({"model": "hybrid-vae, q(h given d)", "seed": seed, "accuracy": right(guesses(run.model, hidden))})
    rows.append(
        {"model": "hybrid-vae, p(h given z)", "seed": seed, "accuracy": right(told(run.model, hidden)[:, place])}
    )
    return [*rows, *stacked(minutes, seed)]


def stacked(minutes: float, seed: int) -> list[dict[str, Any]]:
    """The rows of M1+M2: a VAE of the pictures, and the semi-supervised VAE of its codes, half of the time each."""
    over = {"seed": seed, "train": SHORT | {"max_minutes": minutes / 2}}
    pictures, codes = binary_arrays(), {}
    first = train("vae", over, data=reparam.load_data(pictures, name="mnist", seed=seed)).model
    for name in ("train", "validation", "test"):
        parts = pictures[f"x_{name}"].split(BATCH)
        codes[name] = torch.cat([first.encode(part.reshape(-1, *first.data_shape).float()) for part in parts])
    used = codes["train"].std(0) > USED
    codes = {name: values[:, used] for name, values in codes.items()}
    arrays = {f"x_{name}": values for name, values in codes.items()}
    arrays |= {name: values for name, values in pictures.items() if name.startswith("y_")}
    data = reparam.load_data(arrays, name="codes", labelled=100, seed=seed)
    second = train("m2", over | {"model": {"latent_dim": 12, "alpha": 1000.0}}, data=data).model
    assert isinstance(second, SemiSupervisedVAE)
    rows: list[dict[str, Any]] = []
    for name in ("validation", "test"):
        with torch.no_grad():
            scores = torch.cat([second.class_logits(part) for part in codes[name].split(BATCH)])
        found = (scores.argmax(1) == pictures[f"y_{name}"]).double().mean().item()
        rows.append({"model": f"M1+M2, {name}", "seed": seed, "accuracy": found})
    return rows


def binary_arrays() -> dict[str, Tensor]:
    """Pictures of MNIST, 1 where it is at least one half, and classes, by split."""
    digits, arrays = reparam.load_data("mnist"), {}
    for name in ("train", "validation", "test"):
        split = digits.split(name)
        arrays |= {f"x_{name}": (split.stored > 127).to(torch.uint8), f"y_{name}": split.named["labels"]}
    return arrays


def binary_digits(seed: int) -> Data:
    """MNIST made binary, beside its classes, of which 100 are known in training."""
    return reparam.load_data(binary_arrays(), name="mnist", observations=("x", "labels"), labelled=100, seed=seed)


def joints(minutes: float, seed: int, out: Path | None) -> list[dict[str, Any]]:
    """Rows of one seed."""
    data = reparam.load_data(f"arm:{JOINTS * 5 // 4}", seed=seed)
    few = Data(hide(data.train, {"joints": 0.9}, seed), data.validation, data.test)
    place, test = data.spec.places["joints"], everything(data.test)
    wanted, hidden = test[:, place], without(test, place)
    scale = torch.tensor(data.spec.observations[1].scale)

    def error(found: Tensor) -> dict[str, float]:
        apart = (found - wanted).unflatten(1, (-1, 3))
        return {
            "distance": apart.norm(dim=-1).mean().item(),
            "rmse": ((found - wanted) / scale).square().mean().sqrt().item(),
        }

    rows: list[dict[str, Any]] = []
    reader: HybridVAE | None = None
    for name, split in (("supervised, all joints", data.train), ("supervised, a tenth", few.train)):
        with seeded(seed, "joints"):
            network = reparam.build("hybrid-vae", data)
        assert isinstance(network, HybridVAE)
        alone(network, split, round(minutes * 300), seed)
        rows.append({"model": name, "seed": seed} | error(guesses(network, hidden)))
        reader = network if split is data.train else reader
    over = {"seed": seed, "train": SHORT | {"max_minutes": minutes}}
    run = train("hybrid-vae", over, data=few, out=out)
    assert isinstance(run.model, HybridVAE)
    rows.append({"model": "hybrid-vae, q(h given d)", "seed": seed} | error(guesses(run.model, hidden)))
    rows.append({"model": "hybrid-vae, p(h given z)", "seed": seed} | error(told(run.model, hidden)[:, place]))
    assert reader is not None
    rows += [{"model": name, "seed": seed} | found for name, found in pairs(run.model, reader, place, seed).items()]
    pictures = train(
        "mvae", over | {"model": {"posterior": {"kind": "normal"}, "hidden": 0.0}}, data=pictures_alone(few)
    )
    for model, name in ((run.model, "hybrid-vae, log p(d)"), (pictures.model, "pictures alone, log p(d)")):
        with seeded("log p(d)"):
            found = [reparam.log_likelihood(model, part, samples=200) for part in hidden[:500].split(50)]
        rows.append({"model": name, "seed": seed, "log_p_d": torch.cat(found).mean().item()})
    return rows


@torch.no_grad()
def pairs(model: Any, reader: HybridVAE, place: slice, seed: int) -> dict[str, dict[str, float]]:
    """How far generated joints are from what the network trained on all joints reads of the picture beside them."""
    with seeded(seed, "pairs"):
        made = model.sample(500)
    read = guesses(reader, without(made, place))

    def distance(joints: Tensor) -> dict[str, float]:
        return {"distance": (read - joints).unflatten(1, (-1, 3)).norm(dim=-1).mean().item()}

    own = made[:, place]
    return {
        "generated pairs, read by the first": distance(own),
        "the same, of other pictures": distance(own.roll(1, 0)),
    }


def pictures_alone(data: Data) -> Data:
    """The data without any joints."""
    return Data(hide(data.train, {"joints": 1.0}), hide(data.validation, {"joints": 1.0}), data.test)


def views(source: str, minutes: float, seed: int, out: Path | None) -> list[dict[str, Any]]:
    """Rows of one seed."""
    data = reparam.load_data(source, seed=seed)
    spec, shares = data.spec, dict.fromkeys(data.spec.places, 0.5)
    half = Data(*(hide(split, shares, seed + k) for k, split in enumerate((data.train, data.validation, data.test))))
    shift, scale = (torch.cat([torch.tensor(getattr(o, k)) for o in spec.observations]) for k in ("shift", "scale"))
    truth, given = everything(data.test), everything(half.test)
    missing = given.isnan()

    def errors(found: Tensor) -> dict[str, float]:
        apart = ((found - truth) / scale).square()
        each = {name: apart[:, place][missing[:, place]].mean().sqrt().item() for name, place in spec.places.items()}
        return {"all": apart[missing].mean().sqrt().item()} | each

    seen = (everything(half.train) - shift) / scale
    rows: list[dict[str, Any]] = [{"model": "mean", "seed": seed} | errors(shift.expand_as(truth))]
    nearest = neighbours((given - shift) / scale, seen) * scale + shift
    rows.append({"model": "10 nearest neighbours", "seed": seed} | errors(nearest))
    for recipe in RECIPES:
        over = {"seed": seed, "train": SHORT | {"max_minutes": minutes}}
        run = train(recipe, over, data=half, out=None if out is None else out / recipe)
        rows.append({"model": recipe, "seed": seed} | errors(told(run.model, given)))
    return rows


def neighbours(given: Tensor, seen: Tensor, k: int = 10) -> Tensor:
    """The mean of the nearest training examples in which a value is there, by what both have."""
    both = (~given.isnan()).float() @ (~seen.isnan()).float().T
    a, b = given.nan_to_num(0.0), seen.nan_to_num(0.0)
    there, of = (~given.isnan()).float(), (~seen.isnan()).float()
    squares = a.square() @ of.T - 2 * a @ b.T + there @ b.square().T
    distance = torch.where(both > 0, squares / both.clamp_min(1), torch.inf)
    found = torch.zeros_like(given)
    for column in range(given.shape[1]):
        known = (~seen[:, column].isnan()).nonzero().flatten()
        near = distance[:, known].topk(k, largest=False).indices
        found[:, column] = seen[known, column][near].mean(1)
    return found


TABLES = {
    "labels": labels,
    "stacked": lambda minutes, seed, _: stacked(minutes, seed),
    "joints": joints,
    "views": partial(views, "mfeat"),
    "cells": partial(views, "single-cell"),
}


def main() -> None:
    """Makes a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", choices=TABLES, required=True)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--out", type=Path, help="folder of the runs")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for seed in map(int, given.seeds.split(",")):
        out = None if given.out is None else given.out / f"{given.table}-{seed}"
        for row in TABLES[given.table](given.minutes, seed, out):
            print(json.dumps(row), file=sys.stderr, flush=True)
            rows.append(row)
        if given.json:
            given.json.write_text(json.dumps({"minutes": given.minutes, "rows": rows}, indent=1) + "\n")
    columns = list(dict.fromkeys(key for row in rows for key in row if key != "model"))
    print("| model | " + " | ".join(columns) + " |\n" + "|---" * (len(columns) + 1) + "|")
    for row in rows:
        print(f"| {row['model']} | " + " | ".join(f"{row[k]:.4g}" if k in row else "" for k in columns) + " |")


if __name__ == "__main__":
    main()
