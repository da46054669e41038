"""Long sequences, cut for training."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from reparam.data.records import Split
from reparam.errors import DataError


def cut(split: Split, steps: int) -> Split:
    """Cuts sequences into pieces that follow one another, of at most so many steps, which differ by one step at most.

    A piece is an example of its own: what travels with a sequence travels with all its pieces, and a model begins each
    without memory of the one before. They are kept as long as they are, and are given as long as the longest sequence.

    Args:
        split: Sequences (D, T) with ``lengths``.
        steps: The longest that a piece may be.

    Raises:
        DataError: if they are no such sequences, or are streamed or made.
    """
    where = f"pieces={steps}: {split.spec.name}"
    if not isinstance(split, Split):
        raise DataError(f"{where} is streamed. Set stream to off.")
    if split.render is not None:
        raise DataError(f"{where} is made when asked for, or cut already. Leave pieces out, or cut the whole.")
    if "lengths" not in split.named or len(split.spec.shape) != 2:
        raise DataError(
            f"{where} has no sequences of their own lengths, as pieces are. Give lengths beside x: T of each where all "
            "are as long."
        )
    first, rows, lengths = [], [], []
    for row, length in enumerate(split.named["lengths"].flatten().tolist()):
        count = max(1, math.ceil(length / steps))
        bounds = [length * number // count for number in range(count + 1)]
        rows += [row] * count
        first += bounds[:-1]
        lengths += [end - start for start, end in pairwise(bounds)]
    longest = max(lengths)
    stored = split.stored.new_zeros(len(rows), split.spec.shape[0], longest)
    for piece, (row, start, length) in enumerate(zip(rows, first, lengths, strict=True)):
        stored[piece, :, :length] = split.stored[row, :, start : start + length]
    owner = torch.tensor(rows, device=split.device)
    named = {name: values[owner] for name, values in split.named.items()}
    named["lengths"] = torch.tensor(lengths, device=split.device).unsqueeze(1)
    return replace(split, stored=stored, named=named, render=partial(_padded, behind=split.spec.shape[1] - longest))


def _padded(found: Tensor, behind: int) -> Tensor:
    return F.pad(found, (0, behind))
