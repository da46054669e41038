"""Several observations side by side, some of them missing."""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, Independent, constraints
from torch.types import _size

from reparam.distributions.independent import is_density, is_discrete
from reparam.distributions.rescaled import Rescaled
from reparam.shapes import places


class SideBySide(Distribution):
    r"""Independent distributions of several observations; NaN stands for what is missing, which has no density.

    .. math:: \log p(x) = \sum_{m} \sum_{d \text{ there}} \log p_m(x_{md})

    An observation whose values are not independent of each other counts where all of it is there.

    Shapes:
        parts: each batch (*batch)  ->  event (D,), all of them flattened
    Args:
        parts: The distribution of each observation.
    """

    arg_constraints = {}
    support = constraints.real_vector

    def __init__(self, parts: Sequence[Distribution]) -> None:
        self.parts = tuple(parts)
        self.normalized = all(map(is_density, self.parts))
        self.discrete = all(map(is_discrete, self.parts))
        self.places = places([tuple(part.event_shape) for part in self.parts])
        super().__init__(self.parts[0].batch_shape, Size([self.places[-1].stop]), validate_args=False)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return all(part.has_rsample for part in self.parts)

    def _joined(self, values: Sequence[Tensor]) -> Tensor:
        """Values of each observation, flattened and put side by side."""
        pairs = zip(values, self.parts, strict=True)
        return torch.cat([value.flatten(-len(part.event_shape)) for value, part in pairs], -1)

    def pieces(self, value: Tensor) -> list[Tensor]:
        """Each observation of x in its own shape."""
        return [
            value[..., place].unflatten(-1, part.event_shape)
            for place, part in zip(self.places, self.parts, strict=True)
        ]

    @property
    def mean(self) -> Tensor:
        return self._joined([part.mean for part in self.parts])

    @property
    def variance(self) -> Tensor:
        return self._joined([part.variance for part in self.parts])

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "SideBySide":
        return SideBySide([part.expand(Size(batch_shape)) for part in self.parts])

    def sample(self, sample_shape: _size = Size()) -> Tensor:
        return self._joined([part.sample(Size(sample_shape)) for part in self.parts])

    def rsample(self, sample_shape: _size = Size()) -> Tensor:
        return self._joined([part.rsample(Size(sample_shape)) for part in self.parts])

    def log_prob_each(self, value: Tensor) -> list[Tensor]:
        """Log density of what is there of each observation, (*samples, *batch) each."""
        return [log_prob_there(part, own) for part, own in zip(self.parts, self.pieces(value), strict=True)]

    def log_prob(self, value: Tensor) -> Tensor:
        return cast(Tensor, sum(self.log_prob_each(value)))


def log_prob_there(part: Distribution, value: Tensor) -> Tensor:
    """Log density of the values that are not NaN, (*samples, *batch)."""
    there = ~value.isnan()
    rank = len(part.event_shape)
    if isinstance(part, Rescaled):
        volume = part.scale.log().expand(value.shape)
        inside = log_prob_there(part.base, (value - part.shift) / part.scale)
        return inside - torch.where(there, volume, 0.0).flatten(-rank).sum(-1)
    filled = torch.where(there, value, 0.0)
    if isinstance(part, Independent) and part.reinterpreted_batch_ndims == rank:
        return torch.where(there, part.base_dist.log_prob(filled), 0.0).flatten(-rank).sum(-1)
    return torch.where(there.flatten(-rank).all(-1), part.log_prob(filled), 0.0)


class Experts(Distribution):
    r"""Mixture of diagonal Normals whose weights are fixed: each of those that count has the same.

    .. math:: q(z) = \frac{1}{|S|} \sum_{s \in S} \mathcal{N}(z; \mu_s, \mathrm{diag}(\sigma_s^2))

    A draw chooses a component and is reparameterised inside it: as the weights do not depend on anything that is
    learned, its gradient is unbiased.

    Shapes:
        loc, scale: (*batch, S, L);  counts: (*batch, S), True for those that count  ->  event (L,)
    """

    has_rsample = True
    arg_constraints = {}
    support = constraints.real_vector

    def __init__(self, loc: Tensor, scale: Tensor, counts: Tensor) -> None:
        self.loc, self.scale, self.counts = loc, scale, counts
        super().__init__(loc.shape[:-2], loc.shape[-1:], validate_args=False)

    @property
    def weights(self) -> Tensor:
        """Weight of each component, (*batch, S)."""
        return self.counts / self.counts.sum(-1, keepdim=True)

    @property
    def mean(self) -> Tensor:
        return (self.weights.unsqueeze(-1) * self.loc).sum(-2)

    @property
    def variance(self) -> Tensor:
        apart = (self.loc - self.mean.unsqueeze(-2)).square()
        return (self.weights.unsqueeze(-1) * (self.scale.square() + apart)).sum(-2)

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "Experts":
        shape = Size(batch_shape)
        wide = shape + self.loc.shape[-2:]
        return Experts(self.loc.expand(wide), self.scale.expand(wide), self.counts.expand(wide[:-1]))

    def rsample(self, sample_shape: _size = Size()) -> Tensor:
        shape = Size(sample_shape) + self.counts.shape
        scores = torch.rand(shape, dtype=self.loc.dtype, device=self.loc.device).masked_fill(~self.counts, -1.0)
        chosen = scores.argmax(-1)[..., None, None].expand(*shape[:-1], 1, self.loc.shape[-1])
        wide = (*shape, self.loc.shape[-1])
        loc, scale = (values.expand(wide).gather(-2, chosen).squeeze(-2) for values in (self.loc, self.scale))
        return loc + scale * torch.randn_like(loc)

    def log_prob(self, value: Tensor) -> Tensor:
        apart = (value.unsqueeze(-2) - self.loc) / self.scale
        each = (-0.5 * apart.square() - self.scale.log() - 0.5 * math.log(2 * math.pi)).sum(-1)
        return (each + self.weights.log()).logsumexp(-1)
