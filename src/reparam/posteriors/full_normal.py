"""The Normal posterior with correlated dimensions."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import MultivariateNormal

from reparam.networks import bounded
from reparam.posteriors.base import Posterior


class FullNormalPosterior(Posterior):
    r"""Normal with a full covariance, by its Cholesky factor.

    .. math:: q(z \mid x) = \mathcal{N}(z; \mu(h), S S^\top), \qquad S = (I + N(h))\, \mathrm{diag}(\sigma(h))

    N is strictly lower triangular with entries bounded to (-1, 1), so that S can be inverted; the diagonal of S is
    positive and bounded.

    Shapes:
        h: (B, in_dim)  ->  q: batch (B,), event (L,)
    Source:
        An introduction to variational autoencoders (Kingma & Welling, 2019), arXiv:1906.02691, section 2.5.1.
    """

    def __init__(self, in_dim: int, latent_dim: int) -> None:
        super().__init__(in_dim, latent_dim, 2 * latent_dim + latent_dim * (latent_dim - 1) // 2)

    def forward(self, h: Float[Tensor, "*B F"]) -> MultivariateNormal:
        size = self.latent_dim
        loc, log_scale, below = self.numbers(h).split([size, size, size * (size - 1) // 2], -1)
        rows, columns = torch.tril_indices(size, size, -1, device=h.device)
        unit = torch.eye(size, dtype=loc.dtype, device=h.device).repeat(*h.shape[:-1], 1, 1)
        unit[..., rows, columns] = below.tanh()
        scale_tril = unit * bounded(log_scale).exp().unsqueeze(-2)
        return MultivariateNormal(loc, scale_tril=scale_tril, validate_args=False)
