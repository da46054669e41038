"""The exemplar prior."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from reparam.distributions import SharedMixture, joint
from reparam.networks import bounded
from reparam.priors.base import Prior, chosen, posteriors_of, require_components
from reparam.priors.mixture import equal_mixture
from reparam.shapes import Shape


class ExemplarPrior(Prior):
    r"""Mixes Normals around the codes of M training examples, with one learned scale for all.

    .. math:: p(z) = \frac1M \sum_{m=1}^{M} \mathcal{N}(z; \mu(x_m), \sigma^2 I), \qquad \mu(x) = E_{q(z \mid x)}[z]

    The exemplars are a fixed random choice of the examples shown at the start and are kept with the weights. The paper
    takes all training examples, near neighbours of each z, and leaves an example out of its own prior: here an exemplar
    that is trained on sees itself, so the rate in training is a little too small; in validation it is that of
    this prior of M exemplars.

    Shapes:
        exemplars: (M, *data_shape), kept, not trained
        returns: batch (), event (L,)
    Args:
        latent_dim: Number of latent dimensions L.
        data_shape: Shape of one example, without the batch.
        components: Number of exemplars M.
    Raises:
        PartError: if latent_dim or components < 1.
    Source:
        Exemplar VAE (Norouzi et al., 2020), arXiv:2004.04795, eq. 4-6.
    """

    infers = True
    exemplars: Tensor

    def __init__(self, latent_dim: int, data_shape: Shape, components: int = 500) -> None:
        super().__init__(latent_dim)
        require_components("ExemplarPrior", components, data_shape)
        self.data_shape, self.components = tuple(data_shape), components
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.register_buffer("exemplars", torch.zeros(components, *data_shape))

    @property
    def starts(self) -> bool:  # type: ignore[override]
        """True until it was shown examples."""
        return not bool(self.exemplars.any())

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        self.exemplars.copy_(chosen(x, self.components))

    def forward(self, infer: Callable[[Tensor], Distribution] | None = None) -> SharedMixture:
        loc = posteriors_of("ExemplarPrior", infer, self.exemplars).mean
        return equal_mixture(joint(Normal(loc, bounded(self.log_scale).exp(), validate_args=False), 1))
