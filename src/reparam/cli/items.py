"""Finds the items a command names: all of a source, or one by its number, its class or its path."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from reparam.data import Split, load_items
from reparam.distributions import is_density
from reparam.errors import DataError, nearest
from reparam.models import Autoencoder
from reparam.rng import generator
from reparam.runs import Run

BATCH = 250


def read_items(run: Run, source: str, seed: int) -> Split:
    """All items of a source in their own order, prepared as the run's data; binarisation is drawn once."""
    device = next(run.model.parameters()).device
    return load_items(source, spec=run.spec).fixed(seed, "items").to(device)


def read_item(run: Run, text: str, seed: int) -> Tensor:
    """One item.

    Args:
        run: Gives the test split, and how items look.
        text: A number in the test split, ``class:NAME`` (a random test item of that class), or a path.
        seed: Seeds the choice, and the binarisation.
    Raises:
        DataError: if there is no such item.
    """
    if text.removeprefix("-").isdigit():
        return _numbered(_test(run, seed), int(text))
    if text.startswith("class:"):
        return _of_class(_test(run, seed), text.removeprefix("class:"), seed)
    items = read_items(run, text, seed)
    if len(items) != 1:
        raise DataError(
            f"{text} holds {len(items):,} items, expected one. Give a number in the test split, or one file."
        )
    return items.batch(slice(0, 1)).x[0]


def _test(run: Run, seed: int) -> Split:
    return run.load_data().test.fixed(seed, "items")


def _numbered(test: Split, number: int) -> Tensor:
    if not 0 <= number < len(test):
        raise DataError(f"There is no item {number} in the test split; expected 0 to {len(test) - 1}.")
    return test.batch(slice(number, number + 1)).x[0]


def _of_class(test: Split, name: str, seed: int) -> Tensor:
    if test.labels is None:
        raise DataError(f"class:{name}: the data have no classes. Give a number in the test split, or a path.")
    names = test.spec.classes or tuple(str(number) for number in sorted(set(test.labels.tolist())))
    if name not in names:
        raise DataError(f"There is no class {name!r}. {nearest(name, names)}")
    number = names.index(name) if test.spec.classes else int(name)
    those = (test.labels.cpu() == number).nonzero().flatten()
    if not len(those):
        raise DataError(f"There is no item of class {name!r} in the test split.")
    chosen = int(those[torch.randint(len(those), (), generator=generator(seed, "class", name))])
    return _numbered(test, chosen)


def class_names(split: Split) -> list[str]:
    """The class of each item by name, or nothing where there are no labels."""
    if split.labels is None:
        return []
    names = split.spec.classes
    return [names[label] if label < len(names) else str(label) for label in split.labels.tolist()]


@torch.no_grad()
def posteriors(model: Autoencoder, items: Split) -> dict[str, NDArray[Any]]:
    """``mean`` of q(z|x) for each item, (N, L), and its ``stddev`` where q has a density."""
    found: dict[str, list[Tensor]] = {}
    for batch in items.batches(BATCH):
        q = model.infer(batch.x, **batch.pick(model.conditions))
        values = {"mean": q.mean} | ({"stddev": q.stddev} if is_density(q) else {})
        for name, value in values.items():
            found.setdefault(name, []).append(value.cpu())
    return {name: torch.cat(values).numpy() for name, values in found.items()}


@torch.no_grad()
def reconstructions(model: Autoencoder, items: Split) -> tuple[Tensor, Tensor, Tensor]:
    """All items, their mean reconstructions, and the mean squared error of each, on the CPU."""
    x, x_hat = [], []
    for batch in items.batches(BATCH):
        x.append(batch.x.cpu())
        x_hat.append(model.reconstruct(batch.x).cpu())
    original, output = torch.cat(x), torch.cat(x_hat)
    return original, output, (original - output).square().flatten(1).mean(1)
