"""What verbs need of sequences: how many steps each has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from reparam.data import Split
from reparam.errors import ConfigError
from reparam.runs import Run


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


def lengths_of(items: Split) -> Tensor | None:
    """The length of each item, (N,), on the CPU; None where all are as long."""
    return items.named["lengths"].flatten().cpu() if "lengths" in items.named else None
