"""Labels of which some are not known, and those of classes that a model numbers in another way."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from reparam.data.beside import FOREIGN, UNKNOWN, places_by_name
from reparam.data.records import Split
from reparam.errors import DataError, nearest
from reparam.rng import generator

SHARE = 10  # one in so many examples of a batch is labelled


def few_labels(split: Split, count: int, seed: int) -> Split:
    """Forgets all labels but some, as many of each class, and repeats the labelled ones until they are a tenth of all.

    Args:
        split: Labelled examples.
        count: How many keep their label.
        seed: Decides which.

    Raises:
        DataError: if there are no labels, they are forgotten already, the split is streamed, or the classes cannot
            share the count.
    """
    if not isinstance(split, Split):
        raise DataError(f"labelled={count}; streamed data keep all of their labels. Set stream to off.")
    labels, classes = split.labels, len(split.spec.classes)
    if labels is None or not classes:
        raise DataError(f"labelled={count}, but {split.spec.name} has no labels. Leave labelled unset.")
    if (labels == UNKNOWN).any():
        raise DataError(
            f"labelled={count}, but some labels of {split.spec.name} are not known already. Leave it unset."
        )
    each, left = divmod(count, classes)
    found = [(labels == k).nonzero().flatten().cpu() for k in range(classes)]
    if left or each < 1 or each > min(map(len, found)):
        most = min(map(len, found)) * classes
        raise DataError(
            f"labelled={count}; expected a multiple of the {classes} classes of {split.spec.name}, at most {most:,}, "
            "so that each has as many."
        )
    draws = generator(seed, "labelled")
    chosen = torch.cat([numbers[torch.randperm(len(numbers), generator=draws)[:each]] for numbers in found])
    hidden = torch.ones(len(split), dtype=torch.bool)
    hidden[chosen] = False
    others = hidden.nonzero().flatten()
    times = max(1, math.ceil(len(others) / (SHARE - 1) / count))
    kept = split.take(torch.cat([others, chosen.repeat(times)]))
    known = kept.named["labels"].clone()
    known[: len(others)] = UNKNOWN
    return replace(kept, named={**kept.named, "labels": known})


def unknown_labels(split: Split) -> int:
    """How many labels are not known; none where there are no labels at all."""
    return 0 if split.labels is None else int((split.labels < 0).sum())


def whole_labels(split: Split) -> Split:
    """The examples without their labels, where some of these are not known.

    Raises:
        DataError: if the split is streamed.
    """
    if not unknown_labels(split):
        return split
    if not isinstance(split, Split):
        raise DataError(
            f"{split.spec.name} is streamed, and some of its labels, which the model must be told, are not known. "
            "Leave those rows out, or set stream to off."
        )
    return replace(split, named={name: values for name, values in split.named.items() if name != "labels"})


def unknown_as(split: Split, place: int) -> Split:
    """The same examples, with the class at a place in place of labels that are not known."""
    if not unknown_labels(split) or split.labels is None:
        return split
    return replace(split, named={**split.named, "labels": split.labels.masked_fill(split.labels < 0, place)})


def relabelled(split: Split, classes: tuple[str, ...]) -> Split:
    """The same examples, with the numbers that a model gives their classes.

    Classes are found by name, or by their numbers where none of the data's or the model's classes is called by a number
    that could be another one's place, as in a source that is read for the model.

    Args:
        split: Examples, with labels or without.
        classes: What the model calls its classes; empty where that is not known.

    Raises:
        DataError: if a class is none of the model's, or the split is streamed.
    """
    own = split.spec.classes
    if not (own and classes) or own == classes:
        return split
    if not isinstance(split, Split):
        raise DataError(
            f"{split.spec.name} is streamed, and its classes are others than the model's. Read it for the model: "
            "load_data(source, spec=...)."
        )
    labels = torch.empty(0, dtype=torch.int64) if split.labels is None else split.labels
    there = [own[k] for k in labels.unique().tolist() if k >= 0]
    number = places_by_name(own, classes)
    if foreign := [name for name in there if name not in number]:
        raise DataError(
            f"{split.spec.name} has the class {foreign[0]!r}, which is none of the model's. "
            f"{nearest(foreign[0], classes)} Leave those examples out, or name them so."
        )
    places = torch.tensor([*(number.get(name, FOREIGN) for name in own), UNKNOWN], device=labels.device)
    named = dict(split.named) if split.labels is None else {**split.named, "labels": places[labels]}
    return replace(split, spec=replace(split.spec, classes=classes), named=named)
