"""Normalising flows over z."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reparam.errors import MissingExtraError, PartError
from reparam.samplers.base import TrainedSampler

Direction = Literal["density", "draws"]
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
        fast: What takes one pass: the ``density`` (masked autoregressive flow), and with it training, or ``draws``
            (inverse autoregressive flow).
        steps: Steps of training.
    Raises:
        PartError: if a size makes no sense.
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
        fast: Direction = "density",
        steps: int = 2000,
    ) -> None:
        super().__init__(latent_dim, steps)
        if transforms < 1 or not hidden_dims or min(hidden_dims) < 1 or max(*hidden_dims, latent_dim) > MOST_WIDTH:
            raise PartError(
                f"FlowSampler: transforms {transforms}, hidden_dims {list(hidden_dims)}, latent_dim {latent_dim}; "
                f"expected at least 1 each, and widths up to {MOST_WIDTH:,}."
            )
        self.transforms, self.hidden_dims, self.fast = transforms, tuple(hidden_dims), fast
        self.flow = _flow(latent_dim, transforms, self.hidden_dims, fast)

    def bound(self, z: Float[Tensor, "B L"]) -> Float[Tensor, " B"]:
        return self.flow().log_prob(z)

    def log_prob(self, z: Float[Tensor, "N L"]) -> Float[Tensor, " N"]:
        """log p(z), nats."""
        return self.bound((z - self.shift) / self.scale) - self.scale.log().sum()

    @torch.no_grad()
    def sample(self, n: int) -> Float[Tensor, "N L"]:
        drawn: Tensor = self.flow().sample(torch.Size([n]))
        return drawn * self.scale + self.shift


def _flow(latent_dim: int, transforms: int, hidden_dims: tuple[int, ...], fast: Direction) -> nn.Module:
    """zuko's flow, turned round where draws should be fast."""
    try:
        from zuko.flows import MAF
        from zuko.lazy import Flow, LazyInverse
    except ImportError:
        raise MissingExtraError("A maf or iaf sampler", "zuko", "flows") from None
    flow: Any = MAF(latent_dim, transforms=transforms, hidden_features=hidden_dims)
    return flow if fast == "density" else Flow(LazyInverse(flow.transform), flow.base)
