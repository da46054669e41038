"""The diagonal Normal posterior."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Independent

from reparam.posteriors.base import Posterior, diagonal_normal, require_shared


class NormalPosterior(Posterior):
    r"""Normal with independent dimensions; z = loc + scale * eps is the reparameterisation.

    .. math:: q(z \mid x) = \prod_l \mathcal{N}(z_l; \mu_l(h), \sigma_l(h)^2)

    Shapes:
        h: (B, in_dim)  ->  q: batch (B,), event (L,); with a grid both are position by position
    Args:
        in_dim: Number of features per example.
        latent_dim: Number of latent dimensions L.
        grid: Extents of a map of positions that share one linear head, each with its part of h and of z; an encoder
            that keeps a map gives its own. None for one head for all.
    Raises:
        PartError: if the positions cannot share the features or the latent dimensions equally.
    Source:
        Auto-encoding variational Bayes (Kingma & Welling, 2014), arXiv:1312.6114, eq. 9. The log-scale is bounded
        smoothly to (-8, 4). With a grid: arXiv:2112.10752, section 3.1 (Rombach et al., 2022).
    """

    def __init__(self, in_dim: int, latent_dim: int, grid: Sequence[int] | None = None) -> None:
        positions = 1 if grid is None else math.prod(grid)
        if grid is not None:
            require_shared("NormalPosterior", grid, in_dim=in_dim, latent_dim=latent_dim)
        super().__init__(in_dim // positions, latent_dim, 2 * latent_dim // positions)
        self.in_dim, self.grid, self.positions = in_dim, None if grid is None else tuple(grid), positions

    def forward(self, h: Float[Tensor, "*B F"]) -> Independent:
        if self.grid is None:
            return diagonal_normal(self.numbers(h))
        loc, log_scale = self.numbers(h.unflatten(-1, (self.positions, -1))).chunk(2, -1)
        return diagonal_normal(torch.cat([loc.flatten(-2), log_scale.flatten(-2)], -1))
