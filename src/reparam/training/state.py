"""What changes during a training, and what comes out of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from reparam.training.log import Row

EARLIER = {"best_elbo": "best"}


@dataclass(frozen=True)
class Outcome:
    """How a training ended."""

    steps: int
    best: float
    stopped_early: bool
    metrics: list[Row]


@dataclass
class State:
    """What changes during training, beside tensors; ``threads`` is 0 where their number was not measured."""

    step: int = 0
    total_steps: int = 0
    planned_steps: int = 0
    best: float = -math.inf
    stale: int = 0
    halvings: int = 0
    seconds: float = 0.0
    threads: int = 0
    skipped: int = 0
    minutes: float | None = None

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Self:
        """What a checkpoint keeps, also where it was written under an earlier name."""
        return cls(**{EARLIER.get(name, name): value for name, value in kept.items()})
