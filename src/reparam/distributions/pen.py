"""Mixtures of Normals whose values go together, and a pen that is lifted or not."""

import math

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints
from torch.nn import functional as F
from torch.types import _size

from reparam.distributions.noise import gumbel


class CorrelatedMixture(Distribution):
    r"""Mixture of M Normals with full covariances over D values, and perhaps one more value that is 0 or 1.

    .. math::
        p(x) = \sum_m \pi_m \mathcal{N}(x_{1:D}; \mu_m, \Sigma_m) \cdot b^{x_{D+1}} (1 - b)^{1 - x_{D+1}}, \qquad
        \Sigma_m^{-1} = S_m^{-1} A_m^T A_m S_m^{-1}

    with the scales S and a matrix A that has ones on its diagonal and zeros above it, so that its determinant is 1.

    Shapes:
        logits: (*batch, M);  loc, scale: (*batch, M, D);  below: (*batch, M, D, D), zero on and above the diagonal
        pen: (*batch), logits of the last value, or None  ->  event (D,), or (D + 1,) with a pen
    Args:
        logits: Unnormalised log weights.
        loc: Means.
        scale: Scales S.
        below: A - I.
        pen: Logits of the value that is 0 or 1.
    """

    arg_constraints = {}
    support = constraints.real_vector

    def __init__(self, logits: Tensor, loc: Tensor, scale: Tensor, below: Tensor, pen: Tensor | None = None) -> None:
        self.log_weights, self.loc, self.scale, self.below, self.pen = logits.log_softmax(-1), loc, scale, below, pen
        event = Size([loc.shape[-1] + (pen is not None)])
        super().__init__(logits.shape[:-1], event, validate_args=False)

    def _with_pen(self, values: Tensor, pen: Tensor | None) -> Tensor:
        return values if pen is None else torch.cat([values, pen.unsqueeze(-1)], -1)

    @property
    def _unmixed(self) -> Tensor:
        """S A^-1, which makes noise into deviations: (*batch, M, D, D)."""
        eye = torch.eye(self.loc.shape[-1], dtype=self.loc.dtype, device=self.loc.device)
        inverse = torch.linalg.solve_triangular(self.below + eye, eye.expand_as(self.below), upper=False)
        return self.scale.unsqueeze(-1) * inverse

    @property
    def mean(self) -> Tensor:
        mean = (self.log_weights.exp().unsqueeze(-1) * self.loc).sum(-2)
        return self._with_pen(mean, None if self.pen is None else self.pen.sigmoid())

    @property
    def variance(self) -> Tensor:
        weights = self.log_weights.exp().unsqueeze(-1)
        apart = (self.loc - (weights * self.loc).sum(-2, keepdim=True)).square()
        inside = self._unmixed.square().sum(-1)
        pen = None if self.pen is None else self.pen.sigmoid() * (1 - self.pen.sigmoid())
        return self._with_pen((weights * (inside + apart)).sum(-2), pen)

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "CorrelatedMixture":
        shape = Size(batch_shape)

        def wide(values: Tensor, rank: int) -> Tensor:
            return values.expand(shape + values.shape[values.ndim - rank :])

        pen = None if self.pen is None else self.pen.expand(shape)
        logits, loc, scale = wide(self.log_weights, 1), wide(self.loc, 2), wide(self.scale, 2)
        return CorrelatedMixture(logits, loc, scale, wide(self.below, 3), pen)

    @torch.no_grad()
    def sample(self, sample_shape: _size = Size()) -> Tensor:
        shape = Size(sample_shape) + self.log_weights.shape
        chosen = F.one_hot((self.log_weights + gumbel(shape, self.log_weights)).argmax(-1), shape[-1]).to(self.loc)
        noise = torch.randn(*shape[:-1], self.loc.shape[-1], dtype=self.loc.dtype, device=self.loc.device)
        loc = (chosen.unsqueeze(-1) * self.loc).sum(-2)
        factor = (chosen[..., None, None] * self._unmixed).sum(-3)
        values = loc + (factor @ noise.unsqueeze(-1)).squeeze(-1)
        if self.pen is None:
            return values
        lifted = torch.rand(shape[:-1], dtype=self.loc.dtype, device=self.loc.device) < self.pen.sigmoid()
        return self._with_pen(values, lifted.to(values))

    def log_prob(self, value: Tensor) -> Tensor:
        size = self.loc.shape[-1]
        apart = (value[..., None, :size] - self.loc) / self.scale
        apart = apart + (self.below @ apart.unsqueeze(-1)).squeeze(-1)
        each = -0.5 * apart.square().sum(-1) - self.scale.log().sum(-1) - 0.5 * size * math.log(2 * math.pi)
        found = (self.log_weights + each).logsumexp(-1)
        if self.pen is None:
            return found
        return found + value[..., size] * self.pen - F.softplus(self.pen)
