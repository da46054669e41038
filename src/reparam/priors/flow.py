"""Priors made of zuko's flows."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from reparam.distributions import Flow, joint
from reparam.networks import FlowName, ZukoFlow
from reparam.priors.base import Prior


class FlowPrior(Prior):
    r"""A flow of zuko on a standard Normal, whose network maps z to noise: the density takes one pass.

    .. math:: p(z) = \mathcal{N}(f(z); 0, I) \left| \det \frac{\partial f}{\partial z} \right|

    Shapes:
        returns: batch (), event (L,)
    Args:
        latent_dim: Number of latent dimensions L.
        flow: ``maf``, ``nsf``, ``nice`` or ``real-nvp``; the first two need L passes for a draw.
        transforms: Number of transforms one after the other.
        hidden_dims: Widths of the hidden layers in each transform.
    Raises:
        PartError: see :class:`~reparam.networks.ZukoFlow`.
        MissingExtraError: if zuko is not installed.
    Source:
        Variational lossy autoencoder (Chen et al., 2017), arXiv:1611.02731, section 3.2, with the networks of
        https://zuko.readthedocs.io.
    """

    def __init__(
        self,
        latent_dim: int,
        flow: FlowName = "maf",
        transforms: int = 3,
        hidden_dims: Sequence[int] = (64, 64),
    ) -> None:
        super().__init__(latent_dim)
        self.flow, self.transforms, self.hidden_dims = flow, transforms, tuple(hidden_dims)
        self.map = ZukoFlow(
            "FlowPrior", latent_dim, 0, flow=flow, transforms=transforms, hidden_dims=hidden_dims, direction="density"
        )

    def forward(self, infer: Callable[[Tensor], Distribution] | None = None) -> Flow:
        return Flow(joint(Normal(self.zero, torch.ones_like(self.zero), validate_args=False), 1), self.map)
