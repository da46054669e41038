"""The wrapped Normal posterior on the Poincare ball."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Normal

from reparam.distributions import Flow, PoincareBall, joint
from reparam.networks import ExponentialMap, bounded, from_tangent, require_curvature
from reparam.posteriors.base import Posterior

FARTHEST = 5.0
LOG_SCALE = (-8.0, 0.0)


class WrappedNormalPosterior(Posterior):
    r"""A Normal wrapped around a point mu(h) of the Poincare ball by the exponential map: hyperbolic codes.

    .. math:: z = \exp_{\mu(h)}(v / \lambda_\mu), \qquad v \sim \mathcal{N}(0, \mathrm{diag}\, \sigma(h)^2)

    Densities are taken with respect to the hyperbolic volume, as the prior's. ``mean`` is mu, the image of v = 0. So
    that float32 suffices, mu lies within a hyperbolic distance of 5 / sqrt(c) of the origin and log sigma + log(c) / 2
    in (-8, 0); the paper leaves both free and clips.

    Shapes:
        h: (B, in_dim)  ->  q: batch (B,), event (L,)
    Args:
        in_dim: Number of features per example.
        latent_dim: Number of latent dimensions L.
        curvature: c > 0; the space has curvature -c. The prior must have the same.
    Raises:
        PartError: if latent_dim < 1 or the curvature is not positive.
    Source:
        Continuous hierarchical representations with Poincare variational auto-encoders (Mathieu et al., 2019),
        arXiv:1901.06033, section 3.2; A wrapped normal distribution on hyperbolic space (Nagano et al., 2019),
        arXiv:1902.02992, algorithm 1.
    """

    def __init__(self, in_dim: int, latent_dim: int, curvature: float = 1.0) -> None:
        require_curvature("WrappedNormalPosterior", curvature)
        super().__init__(in_dim, latent_dim, 2 * latent_dim)
        self.curvature, self.space = curvature, PoincareBall(curvature)
        self.wrap = ExponentialMap(curvature)

    def forward(self, h: Float[Tensor, "*B F"]) -> Flow:
        direction, log_scale = self.numbers(h).chunk(2, -1)
        length = direction.norm(dim=-1, keepdim=True).clamp_min(1e-6)
        unit = 1 / math.sqrt(self.curvature)
        loc = from_tangent(unit * FARTHEST * (length / FARTHEST).tanh() * direction / length, self.curvature)
        scale = unit * bounded(log_scale, *LOG_SCALE).exp()
        return Flow(joint(Normal(torch.zeros_like(scale), scale, validate_args=False), 1), self.wrap, loc)
