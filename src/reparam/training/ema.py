"""Exponential moving average of the weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

EVERY = 10


class EMA:
    r"""Keeps an average of a module's parameters, warming its decay up so that early weights are forgotten.

    .. math:: \bar\theta \leftarrow d \bar\theta + (1 - d) \theta, \qquad d = \min(\mathrm{decay}, (1 + t)/(10 + t))

    After the first hundred steps it moves every tenth step, by d to the power of ten: the same average in time, at a
    tenth of its cost.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.parameters = list(module.parameters())
        self.current: list[Tensor] = list(self.parameters)
        self.average = [parameter.detach().clone() for parameter in self.parameters]

    def update(self, step: int) -> None:
        """Moves the average towards the weights, after step number ``step`` (from 1)."""
        steps = 1 if step <= EVERY**2 else EVERY
        if step % steps == 0:
            decay = min(self.decay, (1 + step) / (10 + step)) ** steps
            with torch.no_grad():
                torch._foreach_lerp_(self.average, self.current, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Puts the average into the module for a block."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for parameter, average in zip(self.parameters, self.average, strict=True):
            held = parameter.data
            parameter.data = average.data
            average.data = held

    def state(self) -> dict[str, Tensor]:
        """The average by number."""
        return {f"{number:05d}": average for number, average in enumerate(self.average)}

    @torch.no_grad()
    def load(self, state: dict[str, Tensor]) -> None:
        """Takes back what :meth:`state` gave."""
        for number, average in enumerate(self.average):
            average.copy_(state[f"{number:05d}"])
