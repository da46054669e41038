"""The planar flow posterior."""

from jaxtyping import Float
from torch import Tensor

from reparam.distributions import Flow
from reparam.networks import Planar
from reparam.posteriors.base import Posterior, flow_of


class PlanarPosterior(Posterior):
    r"""Planar flow on a diagonal Normal; all its numbers depend on x.

    .. math:: z = f_T \circ \dots \circ f_1(z_0), \qquad z_0 \sim \mathcal{N}(\mu(h), \mathrm{diag}\, \sigma(h)^2), \\
              f_t(z) = z + \hat u_t(h) \tanh(w_t(h)^\top z + b_t(h))

    ``mean`` is the flow at the Normal's mean, see :class:`~reparam.distributions.Flow`.

    Shapes:
        h: (B, in_dim)  ->  q: batch (B,), event (L,)
    Args:
        in_dim: Number of features per example.
        latent_dim: Number of latent dimensions L.
        transforms: Number of planar maps T.
    Raises:
        PartError: if latent_dim or transforms < 1.
    Source:
        Variational inference with normalizing flows (Rezende & Mohamed, 2015), arXiv:1505.05770, eq. 10-13.
    """

    def __init__(self, in_dim: int, latent_dim: int, transforms: int = 8) -> None:
        flow = Planar(latent_dim, transforms)
        super().__init__(in_dim, latent_dim, 2 * latent_dim + flow.numbers)
        self.transforms, self.flow = transforms, flow

    def forward(self, h: Float[Tensor, "*B F"]) -> Flow:
        return flow_of(self.numbers(h), self.latent_dim, self.flow)
