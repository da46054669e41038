"""The posterior that is a mixture of Normals."""

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Categorical

from reparam.distributions import NormalMixture
from reparam.errors import PartError
from reparam.posteriors.base import Posterior, diagonal_normal


class MixturePosterior(Posterior):
    r"""Mixture of M diagonal Normals, for posteriors with several modes.

    .. math:: q(z \mid x) = \sum_m \pi_m(h)\, \mathcal{N}(z; \mu_m(h), \mathrm{diag}\, \sigma_m(h)^2)

    Draws have implicit gradients, which reach the weights too, see :class:`~reparam.distributions.NormalMixture`.

    Shapes:
        h: (B, in_dim)  ->  q: batch (B,), event (L,)
    Args:
        in_dim: Number of features per example.
        latent_dim: Number of latent dimensions L.
        components: Number of Normals M.
    Raises:
        PartError: if latent_dim or components < 1.
    Source:
        Implicit reparameterization gradients (Figurnov et al., 2018), arXiv:1805.08498, section 4.
    """

    def __init__(self, in_dim: int, latent_dim: int, components: int = 4) -> None:
        super().__init__(in_dim, latent_dim, max(1, components) * (2 * latent_dim + 1))
        if components < 1:
            raise PartError(f"MixturePosterior: components is {components}, expected at least 1.")
        self.components = components

    def forward(self, h: Float[Tensor, "*B F"]) -> NormalMixture:
        numbers = self.numbers(h).unflatten(-1, (self.components, -1))
        logits, rest = numbers[..., 0], numbers[..., 1:]
        weights = Categorical(logits=logits, validate_args=False)
        return NormalMixture(weights, diagonal_normal(rest), validate_args=False)
