"""What changes during a training, and what comes out of it."""

import math
from dataclasses import dataclass

from reparam.training.log import Row


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
