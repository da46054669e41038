"""The continuous Bernoulli in its logits, exact for logits of any size."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import ContinuousBernoulli
from torch.nn import functional as F
from torch.types import _size

SMALL = 0.2  # below it a series; above it the closed form keeps its digits
TINY = 1e-4


class LogitsContinuousBernoulli(ContinuousBernoulli):
    r"""Real numbers in [0, 1] with density proportional to :math:`e^{h x}`.

    .. math::
        \log p(x) = h x - \mathrm{softplus}(h) + \log \frac{h}{\tanh(h / 2)}, \qquad
        E[x] = \frac{1}{1 - e^{-h}} - \frac1h

    PyTorch's computes with probabilities, which it keeps away from 0 and 1: for logits beyond 16 it is no density.

    Shapes:
        logits h: (*batch)
    Args:
        logits: Log odds of x = 1 against x = 0.
    Source:
        The continuous Bernoulli (Loaiza-Ganem & Cunningham, 2019), arXiv:1907.06845, eqs. 6 to 9.
    """

    def __init__(self, logits: Tensor) -> None:
        super().__init__(logits=logits, validate_args=False)

    def expand(self, batch_shape: _size, _instance: Any = None) -> "LogitsContinuousBernoulli":
        return LogitsContinuousBernoulli(self.logits.expand(batch_shape))

    def _wide(self) -> tuple[Tensor, Tensor]:
        """Where the closed forms hold, and logits for which they do everywhere."""
        wide = self.logits.abs() > SMALL
        return wide, self.logits.where(wide, 1.0)

    def log_prob(self, value: Tensor) -> Tensor:
        h = self.logits
        wide, safe = self._wide()
        series = math.log(2) + h.square() / 12 - 7 * h**4 / 1440
        return value * h - F.softplus(h) + torch.where(wide, (safe / torch.tanh(safe / 2)).log(), series)

    @property
    def mean(self) -> Tensor:
        wide, safe = self._wide()
        series = 0.5 + self.logits / 12 - self.logits**3 / 720
        return torch.where(wide, 0.5 + 0.5 / torch.tanh(safe / 2) - 1 / safe, series)

    @property
    def variance(self) -> Tensor:
        wide, safe = self._wide()
        least = torch.exp(-safe.abs())
        series = 1 / 12 - self.logits.square() / 240
        return torch.where(wide, safe.square().reciprocal() - least / (1 - least).square(), series)

    def icdf(self, value: Tensor) -> Tensor:
        """x of a level u: that of |h|, mirrored where h is negative."""
        h = self.logits.abs()
        level = torch.where(self.logits < 0, 1 - value, value)
        safe = h.where(h > TINY, 1.0)
        found = 1 + torch.log(level + (1 - level) * torch.exp(-safe)) / safe
        found = torch.where(h > TINY, found, level)
        return torch.where(self.logits < 0, 1 - found, found).clamp(0, 1)
