"""Posteriors made of zuko's flows."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from reparam.distributions import Flow
from reparam.networks import Direction, FlowName, ZukoFlow, full_precision
from reparam.posteriors.base import Posterior, diagonal_normal


class FlowPosterior(Posterior):
    r"""A flow of zuko on a diagonal Normal, with the features as context.

    .. math:: z = f(z_0; h), \qquad z_0 \sim \mathcal{N}(\mu(h), \mathrm{diag}\, \sigma(h)^2)

    ``mean`` is the flow at the Normal's mean, see :class:`~reparam.distributions.Flow`.

    Shapes:
        h: (B, in_dim)  ->  q: batch (B,), event (L,)
    Args:
        in_dim: Number of features per example.
        latent_dim: Number of latent dimensions L.
        flow: ``maf``, ``nsf``, ``nice`` or ``real-nvp``.
        transforms: Number of transforms one after the other.
        hidden_dims: Widths of the hidden layers in each transform.
        direction: ``draw`` (a draw takes one pass of the network) or ``density`` (the density elsewhere does); for
            ``maf`` the first makes an inverse autoregressive flow of it, the second a masked one as in its paper. A
            recipe with a prior made of q's own densities (``vamp``) takes ``density`` where nobody says.
    Raises:
        PartError: see :class:`~reparam.networks.ZukoFlow`.
        MissingExtraError: if zuko is not installed.
    Source:
        Variational inference with normalizing flows (Rezende & Mohamed, 2015), arXiv:1505.05770, section 3, with the
        networks of https://zuko.readthedocs.io.
    """

    def __init__(
        self,
        in_dim: int,
        latent_dim: int,
        flow: FlowName = "nsf",
        transforms: int = 2,
        hidden_dims: Sequence[int] = (64, 64),
        direction: Direction = "draw",
    ) -> None:
        super().__init__(in_dim, latent_dim, 2 * latent_dim)
        self.flow, self.transforms, self.hidden_dims, self.direction = flow, transforms, tuple(hidden_dims), direction
        self.map = ZukoFlow(
            "FlowPosterior",
            latent_dim,
            in_dim,
            flow=flow,
            transforms=transforms,
            hidden_dims=hidden_dims,
            direction=direction,
        )

    def forward(self, h: Float[Tensor, "*B F"]) -> Flow:
        return Flow(diagonal_normal(self.numbers(h)), self.map, full_precision(h))
