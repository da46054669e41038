"""Exponential moving average of the weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from reparam.training.sharding import gathered, own_part, put

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
        self.current = [own_part(parameter) for parameter in self.parameters]
        self.average = [current.detach().clone() for current in self.current]

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

    @torch.no_grad()
    def _swap(self) -> None:
        for current, average in zip(self.current, self.average, strict=True):
            held = current.clone()
            current.copy_(average)
            average.copy_(held)

    def state(self) -> dict[str, Tensor]:
        """The average by number, whole."""
        pairs = zip(self.average, self.parameters, strict=True)
        return {f"{number:05d}": gathered(*pair) for number, pair in enumerate(pairs)}

    @torch.no_grad()
    def load(self, state: dict[str, Tensor]) -> None:
        """Takes back what :meth:`state` gave."""
        for number, (average, parameter) in enumerate(zip(self.average, self.parameters, strict=True)):
            put(state[f"{number:05d}"], average, parameter)
