"""The wrapped Normal prior on the Poincare ball."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from reparam.distributions import Flow, PoincareBall, joint
from reparam.networks import ExponentialMap, require_curvature
from reparam.priors.base import Prior


class WrappedNormalPrior(Prior):
    r"""The standard Normal wrapped around the origin of the Poincare ball: a hyperbolic prior.

    .. math:: z = \exp_0(v / 2), \qquad v \sim \mathcal{N}(0, I)

    Its density is taken with respect to the hyperbolic volume, as the posterior's.

    Shapes:
        returns: batch (), event (L,)
    Args:
        latent_dim: Number of latent dimensions L.
        curvature: c > 0; the space has curvature -c. The posterior must have the same.
    Raises:
        PartError: if latent_dim < 1 or the curvature is not positive.
    Source:
        Continuous hierarchical representations with Poincare variational auto-encoders (Mathieu et al., 2019),
        arXiv:1901.06033, section 3.2.
    """

    def __init__(self, latent_dim: int, curvature: float = 1.0) -> None:
        super().__init__(latent_dim)
        require_curvature("WrappedNormalPrior", curvature)
        self.curvature, self.space = curvature, PoincareBall(curvature)
        self.wrap = ExponentialMap(curvature)

    def forward(self, infer: Callable[[Tensor], Distribution] | None = None) -> Flow:
        return Flow(joint(Normal(self.zero, torch.ones_like(self.zero), validate_args=False), 1), self.wrap)
