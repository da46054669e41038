"""All mass at one point: the posterior of a plain autoencoder."""

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints
from torch.types import _size


class PointMass(Distribution):
    r"""Puts all mass of z at ``loc``.

    .. math:: q(z) = \delta(z - \mathrm{loc})

    ``log_prob`` is 0 at ``loc`` and minus infinity elsewhere (the mass, not a density), so that -KL(q || p) becomes
    log p(loc): the maximum-a-posteriori reading of a regularised autoencoder.

    Shapes:
        loc: (*batch, L); the last axis is one event
    """

    normalized = False
    has_rsample = True
    arg_constraints = {"loc": constraints.real_vector}
    support = constraints.real_vector

    def __init__(self, loc: Tensor) -> None:
        self.loc = loc
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return torch.zeros_like(self.loc)

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "PointMass":
        return PointMass(self.loc.expand(Size(batch_shape) + self.event_shape))

    def rsample(self, sample_shape: _size = Size()) -> Tensor:
        return self.loc.expand(self._extended_shape(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        there = (value == self.loc).all(-1)
        return torch.zeros_like(value[..., 0]).masked_fill(~there, -torch.inf)
