"""Training data of which only some are labelled."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from reparam.data.beside import UNKNOWN
from reparam.data.records import Split
from reparam.errors import DataError
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
        raise DataError(f"labelled={count}, but some labels of {split.spec.name} are forgotten already.")
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
