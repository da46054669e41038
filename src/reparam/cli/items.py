"""Finds the items a command names: all of a source, or one by its number, its class or its path."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reparam.classes import ambiguous
from reparam.cli.console import say
from reparam.cli.files import item_arrays
from reparam.cli.sequences import lengths_of
from reparam.data import Batch, Split, load_data, load_items
from reparam.data.catalogue import canonical, is_named
from reparam.distributions import is_density
from reparam.errors import ConfigError, DataError, nearest
from reparam.evaluation.measures import squared_error
from reparam.latents import complete, reconstruct_by_tiles
from reparam.models import Autoencoder
from reparam.rng import generator, seeded
from reparam.runs import Run
from reparam.runs.record import ALL
from reparam.shapes import is_image

BATCH = 250


def read_split(run: Run, source: str, seed: int, split: str) -> Split:
    """Items of a source, prepared as the run's data; binarisation is drawn once, as where a split is judged.

    Args:
        run: Says how items look.
        source: A data name, or a path.
        seed: Seeds the binarisation.
        split: ``all`` in their own order, or one of the three that the source is divided into: the run's own data as
            the run divided them, with all their labels.
    """
    chosen = run.config.data
    own = run.folder is not None and bool(chosen.source) and named(source) == named(chosen.source)
    if split == ALL:
        if own:
            say(f"{source}: all items, also those that it was trained on; --split test gives the test items alone")
        return run.load_items(source).fixed(seed, "items")
    if not own:
        return run.load_data(source).split(split).fixed(seed, "evaluation")
    data = load_data(**chosen.model_dump() | {"labelled": None, "pieces": None}).to(next(run.model.parameters()).device)
    return data.split(split).fixed(seed, "evaluation")


def read_large(run: Run, source: str, seed: int) -> Split:
    """Pictures in their own size, which may be larger than those of the run.

    Raises:
        DataError: if they are none.
    """
    shape = load_items(source).spec.shape
    if not is_image(shape) or not is_image(run.spec.shape):
        raise DataError(
            f"--tiles: {source} holds items of shape {shape}, the run's are {run.spec.shape}; expected pictures."
        )
    spec = replace(run.spec, shape=(run.spec.shape[0], *shape[1:]))
    return load_items(source, spec=spec).to(next(run.model.parameters()).device).fixed(seed, "items")


def named(source: str) -> str:
    """A source under the one name that it has here: that of a data set, or its whole path."""
    return canonical(source) if is_named(source) else os.path.realpath(os.path.expanduser(source))


def read_item(run: Run, text: str, seed: int) -> Batch:
    """One item, as a batch, with what travels with it.

    Args:
        run: Gives the test split, and how items look.
        text: A number in the test split, ``class:NAME`` (a random test item of that class), or a path.
        seed: Seeds the choice, and the binarisation.
    Raises:
        DataError: if there is no such item.
    """
    if text.removeprefix("-").isdecimal():
        return _numbered(_test(run, seed), int(text))
    if text.startswith("class:"):
        return _of_class(_test(run, seed), text.removeprefix("class:"), seed)
    items = run.load_items(text).fixed(seed, "items")
    if len(items) != 1:
        raise DataError(
            f"{text} holds {len(items):,} items, expected one. Give a number in the test split, or one file."
        )
    return items.batch(slice(0, 1))


def _test(run: Run, seed: int) -> Split:
    return run.load_data().test.fixed(seed, "items")


def _numbered(test: Split, number: int) -> Batch:
    if not 0 <= number < len(test):
        raise DataError(f"There is no item {number} in the test split; expected 0 to {len(test) - 1}.")
    return test.batch(slice(number, number + 1))


def _of_class(test: Split, name: str, seed: int) -> Batch:
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


def told(run: Run, label: str | None, item: Batch | None = None) -> Autoencoder:
    """The run's model, told the class that the user names, or else what is told of an item.

    Raises:
        ConfigError: if the model takes no class, or must be told something and neither is given.
        DataError: if there is no such class, or the item comes without what the model must be told.
    """
    model = run.model
    if label is not None:
        return model.given(labels=class_place(run, label))
    if not model.conditions:
        return model
    if item is None:
        named = " and ".join(model.conditions)
        raise ConfigError(f"This model must be told {named}. Give --label NAME, or an item of the data with --item.")
    return model.given(**item.pick(model.conditions))


def class_place(run: Run, label: str) -> Tensor:
    """The place of a class, by its name or, where no class is called by a number, as a number.

    Raises:
        ConfigError: if the model takes no class.
        DataError: if there is no such class.
    """
    if "labels" not in run.model.tellable:
        raise ConfigError(f"--label {label}: this model is not told classes. Train one that is, such as 'cvae'.")
    names = run.spec.classes
    if label.isdecimal() and not ambiguous(names) and int(label) < len(names):
        return torch.tensor(int(label))
    if label not in names:
        raise DataError(f"There is no class {label!r}. {nearest(label, names)}")
    return torch.tensor(names.index(label))


def told_of(run: Run, n: int, seed: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the model is told of n new items: what the user gives, each class in turn, and else of random test items."""
    names = tuple(name for name in run.model.conditions if name not in given)
    if not names:
        return dict(given)
    if names == ("labels",) and run.spec.classes:
        return {**given, "labels": torch.arange(n) % len(run.spec.classes)}
    test = _test(run, seed)
    chosen = torch.randint(len(test), (n,), generator=generator(seed, "told"))
    return {**given, **test.batch(chosen.to(test.device)).pick(names)}


def names_told(run: Run, n: int, named: Mapping[str, Any]) -> list[str]:
    """The class that each of n new items was told, by name; nothing where none was told."""
    if "labels" not in named or not run.spec.classes:
        return []
    return [run.spec.classes[int(label)] for label in torch.as_tensor(named["labels"]).expand(n)]


def class_names(split: Split) -> list[str]:
    """The class of each item by name, or nothing where there are no labels."""
    names, labels = split.spec.classes, split.labels
    observed = split.spec.class_observation
    if observed is not None:
        place = split.spec.places[observed.name]
        own = torch.cat([batch.x[:, place] for batch in split.batches(BATCH)])
        names, labels = observed.classes, torch.where(own.isnan().any(1), -1, own.nan_to_num().argmax(1))
    if labels is None:
        return []
    known = dict(enumerate(names)) | {-1: ""}  # some labels may be unknown
    return [known.get(label, str(label)) for label in labels.tolist()]


def _say_what_searching_takes(model: Autoencoder, items: Split) -> None:
    if not model.amortized:
        say(f"the model has no encoder: {len(items):,} codes are searched for by optimisation, which takes a while")


@torch.no_grad()
def posteriors(model: Autoencoder, items: Split) -> dict[str, NDArray[Any]]:
    """``mean`` of q(z|x) for each item, (N, L), and its ``stddev`` where q has a density."""
    _say_what_searching_takes(model, items)
    found: dict[str, list[Tensor]] = {}
    for batch in items.batches(BATCH):
        q = model.infer(batch.x, **batch.pick(model.conditions))
        values = {"mean": q.mean} | ({"stddev": q.stddev} if is_density(q) else {})
        for name, value in values.items():
            found.setdefault(name, []).append(value.cpu())
    return {name: torch.cat(values).numpy() for name, values in found.items()}


@torch.no_grad()
def reconstructions(model: Autoencoder, items: Split, overlap: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """All items, their mean reconstructions, and the mean squared error of each over its own steps, on the CPU.

    Pictures larger than the model's are put together from tiles with this overlap.
    """
    _say_what_searching_takes(model, items)
    x, x_hat = [], []
    for batch in items.batches(BATCH):
        x.append(batch.x.cpu())
        named: dict[str, Any] = batch.pick(model.conditions)
        if batch.x.shape[1:] == model.data_shape:
            x_hat.append(model.reconstruct(batch.x, **named).cpu())
        else:
            for number, picture in enumerate(batch.x):
                own = model.given(**{name: value[number] for name, value in named.items()})
                x_hat.append(reconstruct_by_tiles(own, picture, overlap).cpu().unsqueeze(0))
    original, output = torch.cat(x), torch.cat(x_hat)
    return original, output, squared_error(original, output, lengths_of(items))


def hidden(items: Split, names: Sequence[str]) -> Split:
    """The items without some of their observations.

    Raises:
        DataError: if items are of one observation, or there is no such one, or nothing would be left.
    """
    if not items.spec.observations:
        raise DataError(
            f"{items.spec.name} has items of one observation. Restoring takes a model of several, such as 'mvae', or "
            "one of sequences and how many steps are given: --seen 20."
        )
    places = items.spec.places
    for name in names:
        if name not in places:
            raise DataError(f"--hide: there is no observation {name!r}. {nearest(name, list(places))}")
    if len(set(names)) == len(places):
        raise DataError(f"--hide {','.join(names)}: nothing would be left. Leave one of them.")
    x = torch.cat([batch.x for batch in items.batches(BATCH)])
    for name in names:
        x[:, places[name]] = torch.nan
    bare = x.isnan().all(1).nonzero().flatten().tolist()
    if bare:
        raise DataError(f"--hide {','.join(names)}: nothing would be left of item {bare[0]}. Leave those out.")
    return replace(items, stored=x, render=None)


def restored(model: Autoencoder, items: Split, draws: int, seed: int) -> tuple[dict[str, NDArray[Any]], dict[str, int]]:
    """Each observation by name, its deviation and completions where some of it is missing, and in how many items.

    Raises:
        DataError: if nothing is missing, or two of these would have one name.
    """
    spec = items.spec
    missing = {name: int(items.stored[:, place].isnan().any(1).sum()) for name, place in spec.places.items()}
    if not any(missing.values()):
        raise DataError(f"Nothing is missing of the {len(items):,} items. Hide some of it: --hide {max(spec.places)}.")
    named = [name + suffix for name in spec.places for suffix in ("", "_std", "_draws")]
    if len(set(named)) < len(named):
        raise DataError(
            f"{spec.name}: observations {', '.join(spec.places)} would share names in the file. Rename one."
        )
    found: dict[str, list[NDArray[Any]]] = {}
    for number, batch in enumerate(items.batches(BATCH)):
        with seeded(seed, "restore", number):
            completion = complete(model, batch.x, draws)
        parts = item_arrays(completion.mean, spec)
        for one, place in zip(spec.observations, spec.places.values(), strict=True):
            if missing[one.name]:
                parts[f"{one.name}_std"] = completion.std[:, place].unflatten(-1, one.shape).cpu().numpy()
                own = completion.draws[..., place].transpose(0, 1).unflatten(-1, one.shape)
                parts[f"{one.name}_draws"] = own.cpu().numpy()
        for name, values in parts.items():
            found.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in found.items()}, missing
