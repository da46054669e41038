"""Normalising flows over z."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Normal

from reparam.distributions import Flow, joint
from reparam.errors import PartError
from reparam.networks import Direction, ZukoFlow
from reparam.samplers.base import TrainedSampler

MOST_WIDTH = 1 << 13


class FlowSampler(TrainedSampler):
    r"""Trains an autoregressive flow on codes by maximum likelihood.

    .. math:: \log p(z) = \log \mathcal{N}(f(z); 0, I) + \log |\det \partial f / \partial z|

    A masked autoregressive flow computes f in one pass and its inverse dimension by dimension, an inverse
    autoregressive flow the other way round.

    Args:
        latent_dim: Number of latent dimensions, L.
        transforms: Number of autoregressive transformations, each of which orders the dimensions the other way.
        hidden_dims: Widths of the hidden layers of each.
        direction: What takes one pass: the ``density`` (masked autoregressive flow), and with it training, or to
            ``draw`` (inverse autoregressive flow).
        steps: Steps of training.
    Raises:
        PartError: if a size or the direction makes no sense.
        MissingExtraError: if zuko is not installed.
    Source:
        Masked autoregressive flow for density estimation (Papamakarios et al., 2017), arXiv:1705.07057, section 3.1;
        Improved variational inference with inverse autoregressive flow (Kingma et al., 2016), arXiv:1606.04934,
        section 3, here trained by maximum likelihood.
    """

    on_meta = False

    def __init__(
        self,
        latent_dim: int,
        transforms: int = 3,
        hidden_dims: Sequence[int] = (128, 128),
        direction: Direction = "density",
        steps: int = 2000,
    ) -> None:
        super().__init__(latent_dim, steps)
        if max([*hidden_dims, latent_dim]) > MOST_WIDTH:
            raise PartError(
                f"FlowSampler: hidden_dims {list(hidden_dims)}, latent_dim {latent_dim}; expected widths up to "
                f"{MOST_WIDTH:,}."
            )
        self.transforms, self.hidden_dims, self.direction = transforms, tuple(hidden_dims), direction
        self.map = ZukoFlow(
            "FlowSampler",
            latent_dim,
            0,
            flow="maf",
            transforms=transforms,
            hidden_dims=hidden_dims,
            direction=direction,
        )

    @property
    def flow(self) -> Flow:
        """p of the standardised codes."""
        zero = torch.zeros_like(self.shift)
        return Flow(joint(Normal(zero, torch.ones_like(zero), validate_args=False), 1), self.map)

    def bound(self, z: Float[Tensor, "B L"]) -> Float[Tensor, " B"]:
        return self.flow.log_prob(z)

    def log_prob(self, z: Float[Tensor, "N L"]) -> Float[Tensor, " N"]:
        """log p(z), nats."""
        return self.bound((z - self.shift) / self.scale) - self.scale.log().sum()

    @torch.no_grad()
    def sample(self, n: int) -> Float[Tensor, "N L"]:
        drawn: Tensor = self.flow.sample(torch.Size([n]))
        return drawn * self.scale + self.shift
