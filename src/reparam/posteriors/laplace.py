"""The Laplace posterior."""

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Independent, Laplace

from reparam.distributions import joint
from reparam.posteriors.base import Posterior, loc_scale


class LaplacePosterior(Posterior):
    r"""Laplace with independent dimensions: heavier tails than the Normal.

    .. math:: q(z \mid x) = \prod_l \frac{1}{2 b_l(h)} \exp\left(-\frac{|z_l - \mu_l(h)|}{b_l(h)}\right)

    Shapes:
        h: (B, in_dim)  ->  q: batch (B,), event (L,)
    """

    def __init__(self, in_dim: int, latent_dim: int) -> None:
        super().__init__(in_dim, latent_dim, 2 * latent_dim)

    def forward(self, h: Float[Tensor, "*B F"]) -> Independent:
        return joint(Laplace(*loc_scale(self.numbers(h)), validate_args=False), 1)
