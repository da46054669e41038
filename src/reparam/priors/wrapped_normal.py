"""The wrapped Normal prior on the Poincare ball."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from reparam.distributions import Flow, PoincareBall, joint
from reparam.errors import PartError
from reparam.networks import ExponentialMap, require_curvature
from reparam.priors.base import Prior

FARTHEST = 14.5


class WrappedNormalPrior(Prior):
    r"""The standard Normal wrapped around the origin of the Poincare ball: a hyperbolic prior.

    .. math:: z = \exp_0(v / 2), \qquad v \sim \mathcal{N}(0, I)

    Its density is taken with respect to the hyperbolic volume, as the posterior's. Draws lie up to about sqrt(L) + 3
    from the origin, and float32 tells points apart up to 14.5 / sqrt(c).

    Shapes:
        returns: batch (), event (L,)
    Args:
        latent_dim: Number of latent dimensions L.
        curvature: c > 0; the space has curvature -c. The posterior must have the same.
    Raises:
        PartError: if latent_dim < 1, the curvature is not positive, or draws lie beyond what float32 tells apart.
    Source:
        Continuous hierarchical representations with Poincare variational auto-encoders (Mathieu et al., 2019),
        arXiv:1901.06033, section 3.2.
    """

    def __init__(self, latent_dim: int, curvature: float = 1.0) -> None:
        super().__init__(latent_dim)
        require_curvature("WrappedNormalPrior", curvature)
        if (reach := math.sqrt(curvature) * (math.sqrt(latent_dim) + 3)) > FARTHEST:
            raise PartError(
                f"WrappedNormalPrior: draws of {latent_dim} dimensions at curvature {curvature:g} lie up to "
                f"{reach:.3g} radii of curvature away, expected at most {FARTHEST}: beyond, float32 does not tell "
                "points apart. Take fewer dimensions or a smaller curvature."
            )
        self.curvature, self.space = curvature, PoincareBall(curvature)
        self.wrap = ExponentialMap(curvature)

    def forward(self, infer: Callable[[Tensor], Distribution] | None = None) -> Flow:
        return Flow(joint(Normal(self.zero, torch.ones_like(self.zero), validate_args=False), 1), self.wrap)
