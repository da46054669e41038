"""The von Mises-Fisher posterior on the sphere."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from reparam.distributions import Sphere, VonMisesFisher
from reparam.errors import PartError
from reparam.networks import bounded
from reparam.posteriors.base import Posterior

LOG_CONCENTRATION = (-2.0, 9.0)


class VonMisesFisherPosterior(Posterior):
    r"""Directions around mu(h): the Normal of the unit sphere in R^L, for a uniform prior there.

    .. math:: q(z \mid x) = C_L(\kappa(h))\, e^{\kappa(h) \langle \mu(h), z \rangle}, \qquad |\mu| = |z| = 1

    The logarithm of the concentration is bounded to (-2, 9); the paper takes softplus(.) + 1. ``mean`` is mu.

    Shapes:
        h: (B, in_dim)  ->  q: batch (B,), event (L,)
    Args:
        in_dim: Number of features per example.
        latent_dim: L, at least 2; the sphere has L - 1 dimensions.
    Raises:
        PartError: if latent_dim < 2.
    Source:
        Hyperspherical variational auto-encoders (Davidson et al., 2018), arXiv:1804.00891, section 3.
    """

    space = Sphere()

    def __init__(self, in_dim: int, latent_dim: int) -> None:
        super().__init__(in_dim, latent_dim, latent_dim + 1)
        if latent_dim < 2:
            raise PartError("VonMisesFisherPosterior: latent_dim is 1, where the sphere is two points. Take 2 or more.")

    def forward(self, h: Float[Tensor, "*B F"]) -> VonMisesFisher:
        loc, log_concentration = self.numbers(h).split([self.latent_dim, 1], -1)
        return VonMisesFisher(F.normalize(loc, dim=-1), bounded(log_concentration, *LOG_CONCENTRATION).exp()[..., 0])
