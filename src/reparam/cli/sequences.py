"""What verbs need of sequences: how many steps each has, and how they go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reparam.data import Batch, Split
from reparam.errors import ConfigError, DataError
from reparam.rng import generator, seeded
from reparam.runs import Run

BATCH = 250


class Continued(NamedTuple):
    """Sequences and how a model goes on with them, on the CPU.

    Attributes:
        x: (N, D, T), as they were.
        draws: (N, K, D, T), their continuations; as they were where they do not go on.
        lengths: (N,), steps of the continuations; None where all sequences are as long.
        going: Numbers of those that go on.
    """

    x: Tensor
    draws: Tensor
    lengths: Tensor | None
    going: Tensor


def length_given(run: Run, length: int) -> int:
    """The number of steps that new sequences are to have, as the user says.

    Raises:
        ConfigError: if the model is told no lengths, or never saw one as long.
    """
    if "lengths" not in run.model.tellable:
        steps = f"its sequences all have {run.model.steps} steps" if run.model.steps else "its items are no sequences"
        raise ConfigError(f"--length {length}: this model is told no lengths, {steps}. Leave it out.")
    if not 1 <= length <= run.model.steps:
        raise ConfigError(f"--length {length}: expected 1 to {run.model.steps} steps, as long as its longest sequence.")
    return length


def lengths_told(n: int, named: Mapping[str, Any]) -> Tensor | None:
    """The length that each of n new items was told, (n,); None where none was."""
    return torch.as_tensor(named["lengths"]).reshape(-1).expand(n).cpu() if "lengths" in named else None


def lengths_of(items: Split | Batch) -> Tensor | None:
    """The length of each item, (N,), on the CPU; None where all are as long."""
    return items.named["lengths"].flatten().cpu() if "lengths" in items.named else None


def steps_given(run: Run, seen: int, length: int | None) -> None:
    """Checks the number of first steps that are given, and that of all steps.

    Raises:
        ConfigError: if the model knows no such sequences, or nothing would be left to be continued.
    """
    steps = run.model.steps
    if not steps:
        raise ConfigError(f"--seen {seen}: a model of sequences goes on, such as 'vrnn'; this one has no steps.")
    if not 1 <= seen < steps:
        raise ConfigError(f"--seen {seen}: expected 1 to {steps - 1} steps, fewer than its longest sequence has.")
    if length is not None and length_given(run, length) <= seen:
        raise ConfigError(f"--length {length}: {seen} steps are given, so nothing is left. Ask for more.")


def continued(
    model: Any, items: Split, seen: int, length: int | None, draws: int, seed: int, most: int | None = None
) -> Continued:
    """Draws continuations of sequences after their first steps.

    Args:
        model: Of sequences.
        items: Sequences; those that have fewer steps, or are to have no more, stay as they are.
        seen: How many steps are given.
        length: How many they are to have; as many as they had where nothing is given.
        draws: Continuations of each.
        seed: Seeds the draws and the choice.
        most: Take only so many of those that go on, chosen at random; None for all items.
    Raises:
        DataError: if none goes on.
    """
    own = lengths_of(items)
    told, own = own is not None, torch.full((len(items),), items.spec.shape[-1]) if own is None else own
    wanted = own if length is None else torch.full_like(own, length)
    goes_on = (own >= seen) & (wanted > seen)
    going = goes_on.nonzero().flatten()
    if not len(going):
        raise DataError(
            f"--seen {seen}: none of the {len(items):,} sequences has so many steps and more to come. Show fewer, or "
            "say how long they are to be: --length."
        )
    rows = torch.arange(len(items))
    if most is not None:
        rows = going[torch.randperm(len(going), generator=generator(seed, "continuations"))[:most]].sort().values
    lengths = torch.where(goes_on, wanted, own)
    originals, found = [], []
    for number, part in enumerate(rows.split(BATCH)):
        batch = items.batch(part.to(items.device))
        ended = batch.x * (torch.arange(batch.x.shape[-1]) < own[part, None, None]).to(batch.x)
        named = {"lengths": lengths[part]} if told else {}
        with seeded(seed, "restore", number):
            made = model.continued(batch.x, seen, draws, **named)
        left = goes_on[part, None, None, None].to(batch.x.device)
        originals.append(ended.cpu())
        found.append(torch.where(left, made.transpose(0, 1), ended.unsqueeze(1)).cpu())
    return Continued(torch.cat(originals), torch.cat(found), lengths[rows] if told else None, going)
