"""The inverse autoregressive flow posterior."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from reparam.distributions import Flow
from reparam.networks import InverseAutoregressive, full_precision
from reparam.posteriors.base import Posterior, diagonal_normal


class InverseAutoregressivePosterior(Posterior):
    r"""Inverse autoregressive flow (IAF) on a diagonal Normal, with the features as context of every step.

    .. math:: z_t = \sigma_t(z_{t-1}, h) \odot z_{t-1} + (1 - \sigma_t(z_{t-1}, h)) \odot m_t(z_{t-1}, h), \qquad
              z_0 \sim \mathcal{N}(\mu(h), \mathrm{diag}\, \sigma(h)^2)

    The context is h itself; the paper gives the encoder a further output for it. ``mean`` is the flow at the Normal's
    mean, see :class:`~reparam.distributions.Flow`.

    Shapes:
        h: (B, in_dim)  ->  q: batch (B,), event (L,)
    Args:
        in_dim: Number of features per example.
        latent_dim: Number of latent dimensions L.
        transforms: Number of steps T.
        hidden_dims: Widths of the hidden layers of each step's masked network.
    Raises:
        PartError: if latent_dim, transforms or a width < 1.
    Source:
        Improved variational inference with inverse autoregressive flow (Kingma et al., 2016), arXiv:1606.04934,
        algorithm 1.
    """

    def __init__(
        self, in_dim: int, latent_dim: int, transforms: int = 2, hidden_dims: Sequence[int] = (64, 64)
    ) -> None:
        super().__init__(in_dim, latent_dim, 2 * latent_dim)
        self.transforms, self.hidden_dims = transforms, tuple(hidden_dims)
        self.flow = InverseAutoregressive(latent_dim, in_dim, transforms, hidden_dims)

    def forward(self, h: Float[Tensor, "*B F"]) -> Flow:
        return Flow(diagonal_normal(self.numbers(h)), self.flow, full_precision(h))
