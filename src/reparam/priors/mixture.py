"""The mixture of Normals as a prior, and what mixtures of equal weights share."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Normal

from reparam.distributions import SharedMixture, joint
from reparam.networks import bounded
from reparam.priors.base import Prior, require_components


class MixturePrior(Prior):
    r"""Mixture of M diagonal Normals, all of whose numbers are learned.

    .. math:: p(z) = \sum_m \pi_m \, \mathcal{N}(z; \mu_m, \mathrm{diag}\, \sigma_m^2)

    The means begin as draws from a standard Normal, the scales just below 1 (log-scales are bounded),
    the weights equal.

    Shapes:
        returns: batch (), event (L,)
    Args:
        latent_dim: Number of latent dimensions L.
        components: Number of Normals M.
    Raises:
        PartError: if latent_dim or components < 1.
    Source:
        VAE with a VampPrior (Tomczak & Welling, 2018), arXiv:1705.07120, section 3 (the "MoG" prior there).
    """

    def __init__(self, latent_dim: int, components: int = 10) -> None:
        super().__init__(latent_dim)
        require_components("MixturePrior", components, (latent_dim,))
        self.components = components
        self.loc = nn.Parameter(torch.randn(components, latent_dim))
        self.log_scale = nn.Parameter(torch.zeros(components, latent_dim))
        self.logits = nn.Parameter(torch.zeros(components))

    def forward(self, infer: Callable[[Tensor], Distribution] | None = None) -> SharedMixture:
        normals = joint(Normal(self.loc, bounded(self.log_scale).exp(), validate_args=False), 1)
        return SharedMixture(Categorical(logits=self.logits, validate_args=False), normals, validate_args=False)


def equal_mixture(parts: Distribution) -> SharedMixture:
    """The mixture of distributions of batch (M,) with equal weights."""
    logits = parts.mean.new_zeros(parts.batch_shape)
    return SharedMixture(Categorical(logits=logits, validate_args=False), parts, validate_args=False)
