"""What to say, and what to do, about a step whose loss or gradient is not finite."""

import math

import torch
from torch import Tensor

from reparam.errors import NotFiniteError
from reparam.trace import Bound, Player

LOWER = "Lower train.learning_rate or train.clip"
REASONS = {
    "distortion": "The likelihood gave x no finite log density: its scale shrank to nothing, or the decoder diverged.",
    "rate": "The KL overflowed: q(z|x) left every reasonable scale.",
}


class Faults:
    """Counts the steps that were left out, and stops the training when there are too many.

    Off the CPU nothing waits for the device: what went wrong is read when a row is written. The weights are safe all
    the same, because such a step never moves them.

    Args:
        allowed: How many steps may be left out.
        device: Where the training runs.
        count: Steps left out before.
    """

    def __init__(self, allowed: int, device: torch.device, count: int = 0) -> None:
        self.allowed, self.count = allowed, count
        self.on_cpu = device.type == "cpu"
        self._new = torch.zeros((), dtype=torch.int64, device=device)
        self._first = torch.full((), -1, dtype=torch.int64, device=device)

    def see(self, step: int, player: Player, bound: Bound, loss: Tensor, finite: Tensor | bool) -> bool:
        """Takes note of a step; True where its terms should be counted.

        Raises:
            NotFiniteError: on the CPU, if it was one too many.
        """
        if isinstance(finite, Tensor):
            self._first = torch.where((self._first < 0) & ~finite, step, self._first)
            self._new += ~finite
            return True
        if finite:
            return True
        self.count += 1
        if self.count > self.allowed:
            raise NotFiniteError(sentence(step, player, bound, loss))
        return False

    def read(self, step: int) -> None:
        """Reads what the device saw since the last time.

        Raises:
            NotFiniteError: if it was one too many.
        """
        if self.on_cpu or not (new := int(self._new.item())):
            return
        self.count += new
        if self.count > self.allowed:
            raise NotFiniteError(
                f"Step {int(self._first.item())}: the loss or its gradient is not finite (seen at step {step}). "
                f"{LOWER}; what was saved before stays."
            )
        self._new.zero_()
        self._first.fill_(-1)


def sentence(step: int, player: Player, bound: Bound, loss: Tensor) -> str:
    """Which step, which terms, and why it may be."""
    value = loss.item()
    bad = [name for name, values in bound.terms.items() if not values.isfinite().all()]
    names = f" ({', '.join(bad)})" if bad else ""
    if math.isfinite(value):
        return (
            f"Step {step}: the loss of player {player.name!r} is {value:g}, but its gradient is not finite. "
            f"{LOWER}; what was saved before stays."
        )
    reason = next((f" {REASONS[name]}" for name in REASONS if name in bad), "")
    return (
        f"Step {step}: the loss of player {player.name!r} is {value}{names}.{reason} {LOWER}; "
        "what was saved before stays."
    )
