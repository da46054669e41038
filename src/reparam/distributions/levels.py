"""Densities over grey levels: x takes the values 0, 1/(n-1), ..., 1."""

import torch
from torch import Size, Tensor
from torch.distributions import Categorical, Distribution, constraints
from torch.nn import functional as F
from torch.types import _size

from reparam.shapes import broadcast


class CategoricalLevels(Distribution):
    r"""Gives each of n grey levels its own probability.

    .. math:: p(x = k / (n - 1)) = \mathrm{softmax}(\mathrm{logits})_k

    Shapes:
        logits: (*batch, n); a value is a scalar event
    """

    discrete = True
    arg_constraints = {"logits": constraints.real_vector}
    support = constraints.unit_interval

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        self.levels = logits.shape[-1]
        super().__init__(logits.shape[:-1], validate_args=False)

    @property
    def mean(self) -> Tensor:
        grid = torch.linspace(0, 1, self.levels, dtype=self.logits.dtype, device=self.logits.device)
        return self.logits.softmax(-1) @ grid

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "CategoricalLevels":
        return CategoricalLevels(self.logits.expand(*batch_shape, self.levels))

    def sample(self, sample_shape: _size = Size()) -> Tensor:
        level = Categorical(logits=self.logits, validate_args=False).sample(Size(sample_shape))
        return level.to(self.logits.dtype) / (self.levels - 1)

    def log_prob(self, value: Tensor) -> Tensor:
        level = (value * (self.levels - 1)).round().long().clamp(0, self.levels - 1).unsqueeze(-1)
        log_probs = self.logits.log_softmax(-1)
        shape = broadcast(level.shape[:-1], log_probs.shape[:-1])
        return log_probs.expand(*shape, self.levels).gather(-1, level.expand(*shape, 1)).squeeze(-1)


class DiscretizedLogistic(Distribution):
    r"""Bins a logistic density at n grey levels; the two end bins reach to infinity.

    .. math:: p(x) = \sigma\left(\frac{x + \delta - \mathrm{loc}}{s}\right)
              - \sigma\left(\frac{x - \delta - \mathrm{loc}}{s}\right), \qquad \delta = \frac{1}{2 (n - 1)}

    Computed as log-sigmoid terms and ``log(1 - exp(-width))``, exact in every tail.

    Shapes:
        loc, scale: (*batch); a value is a scalar event in [0, 1]
    Source:
        PixelCNN++ (Salimans et al., 2017), arXiv:1701.05517, eq. 2, on [0, 1] instead of [-1, 1].
    """

    discrete = True
    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.unit_interval

    def __init__(self, loc: Tensor, scale: Tensor, levels: int = 256) -> None:
        self.loc, self.scale = torch.broadcast_tensors(loc, scale)
        self.levels = levels
        super().__init__(self.loc.shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        r"""Mean over the levels, E[x] = (1/(n-1)) sum over k of P(X > k): clamped location for narrow scales."""
        edges = (torch.arange(self.levels - 1, dtype=self.loc.dtype, device=self.loc.device) + 0.5) / (self.levels - 1)
        total = torch.zeros_like(self.loc)
        for edge in edges:
            total = total + torch.sigmoid((self.loc - edge) / self.scale)
        return total / (self.levels - 1)

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "DiscretizedLogistic":
        return DiscretizedLogistic(self.loc.expand(batch_shape), self.scale.expand(batch_shape), self.levels)

    def sample(self, sample_shape: _size = Size()) -> Tensor:
        u = torch.rand(self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        x = self.loc + self.scale * torch.logit(u, eps=1e-7)
        return (x * (self.levels - 1)).round().clamp(0, self.levels - 1) / (self.levels - 1)

    def log_prob(self, value: Tensor) -> Tensor:
        half = 0.5 / (self.levels - 1)
        upper = (value + half - self.loc) / self.scale
        lower = (value - half - self.loc) / self.scale
        width = (2 * half / self.scale).clamp_min(1e-12)
        between = F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.log(-torch.expm1(-width))
        first, last = value < half, value > 1 - half
        return torch.where(first, F.logsigmoid(upper), torch.where(last, F.logsigmoid(-lower), between))
