"""The posterior of a plain autoencoder."""

from jaxtyping import Float
from torch import Tensor

from reparam.distributions import PointMass
from reparam.posteriors.base import Posterior


class PointPosterior(Posterior):
    r"""Maps each example to one code, with no noise: the plain autoencoder.

    .. math:: q(z \mid x) = \delta(z - W h - b)

    Shapes:
        h: (B, in_dim)  ->  q: batch (B,), event (L,)
    """

    needs_prior = False

    def __init__(self, in_dim: int, latent_dim: int) -> None:
        super().__init__(in_dim, latent_dim, latent_dim)

    def forward(self, h: Float[Tensor, "*B F"]) -> PointMass:
        return PointMass(self.numbers(h))
