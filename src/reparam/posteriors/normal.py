"""The diagonal Normal posterior."""

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Independent

from reparam.posteriors.base import Posterior, diagonal_normal


class NormalPosterior(Posterior):
    r"""Normal with independent dimensions; z = loc + scale * eps is the reparameterisation.

    .. math:: q(z \mid x) = \prod_l \mathcal{N}(z_l; \mu_l(h), \sigma_l(h)^2)

    Shapes:
        h: (B, in_dim)  ->  q: batch (B,), event (L,)
    Source:
        Auto-encoding variational Bayes (Kingma & Welling, 2014), arXiv:1312.6114, eq. 9. The log-scale is bounded
        smoothly to (-8, 4).
    """

    def __init__(self, in_dim: int, latent_dim: int) -> None:
        super().__init__(in_dim, latent_dim, 2 * latent_dim)

    def forward(self, h: Float[Tensor, "*B F"]) -> Independent:
        return diagonal_normal(self.numbers(h))
