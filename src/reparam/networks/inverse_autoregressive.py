"""Inverse autoregressive flow, and the masked network it stands on."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from reparam.errors import PartError
from reparam.networks.bijections import Bijection, Mapped
from reparam.networks.bounded import bounded

MOST_LOGIT = 6.0
KEEPING = 2.0


class MaskedLinear(nn.Module):
    """A linear layer in which some inputs are hidden from some outputs.

    Args:
        mask: (out, in), True where an output may see an input.
    """

    reads_weights = True
    mask: Tensor

    def __init__(self, mask: Bool[Tensor, "O I"]) -> None:
        super().__init__()
        self.linear = nn.Linear(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Float[Tensor, "*N I"]) -> Float[Tensor, "*N O"]:
        return F.linear(x, self.linear.weight * self.mask, self.linear.bias)


class MADE(nn.Module):
    r"""Gives each dimension of z numbers that depend on the dimensions in front of it, and on a context.

    .. math:: m_l = m_l(z_{<l}, h), \qquad s_l = s_l(z_{<l}, h)

    Shapes:
        z: (*samples, *batch, L), h: (*batch, F)  ->  m, s: like z
    Source:
        MADE: masked autoencoder for distribution estimation (Germain et al., 2015), arXiv:1502.03509, eq. 12-13.
    """

    def __init__(self, latent_dim: int, context_dim: int, hidden_dims: Sequence[int]) -> None:
        super().__init__()
        order = torch.arange(latent_dim)
        ranks = [torch.arange(width) * latent_dim // width - 1 for width in hidden_dims]  # -1 sees the context alone
        seen = [order, *ranks]
        self.hidden = nn.ModuleList(MaskedLinear(b[:, None] >= a) for a, b in pairwise(seen))
        self.context = nn.Linear(context_dim, hidden_dims[0])
        self.out = MaskedLinear((order[:, None] > seen[-1]).repeat(2, 1))

    def forward(
        self, z: Float[Tensor, "*N L"], h: Float[Tensor, "*B F"]
    ) -> tuple[Float[Tensor, "*M L"], Float[Tensor, "*M L"]]:
        values = self.hidden[0](z) + self.context(h)
        for layer in self.hidden[1:]:
            values = layer(values.relu())
        m, s = self.out(values.relu()).chunk(2, -1)
        return m, s


class InverseAutoregressive(Bijection):
    r"""Inverse autoregressive flow: T gated steps, with the dimensions reversed between them.

    .. math:: z_t = \sigma_t \odot z_{t-1} + (1 - \sigma_t) \odot m_t, \quad \sigma_t = \mathrm{sigmoid}(s_t), \qquad
              \log |\det| = \sum_t \sum_l \log \sigma_{t,l}

    m and s come from a :class:`MADE` of z and the context. One pass draws; the inverse finds one dimension after the
    other and takes L passes. The logits s are bounded to (-6, 6) and begin near 2, where a step keeps most of z.

    Shapes:
        context: (*batch, context_dim)
    Source:
        Improved variational inference with inverse autoregressive flow (Kingma et al., 2016), arXiv:1606.04934,
        algorithm 1 and eq. 13-14.
    """

    def __init__(self, latent_dim: int, context_dim: int, transforms: int, hidden_dims: Sequence[int]) -> None:
        super().__init__("InverseAutoregressivePosterior", transforms)
        if not hidden_dims or min(hidden_dims) < 1:
            raise PartError(
                f"InverseAutoregressivePosterior: hidden_dims is {list(hidden_dims)}, expected widths of 1 or more."
            )
        self.latent_dim = latent_dim
        self.steps = nn.ModuleList(MADE(latent_dim, context_dim, hidden_dims) for _ in range(transforms))

    def forward(
        self, x: Float[Tensor, "*N L"], context: Float[Tensor, "*B F"] | None = None, inverse: bool = False
    ) -> Mapped:
        total = x.new_zeros(x.shape[:-1])
        for number, net in enumerate(reversed(self.steps) if inverse else self.steps):
            x = x.flip(-1) if number else x
            m, s = _gates(net, self._inverted(net, x, context) if inverse else x, context)
            log_det = F.logsigmoid(s).sum(-1)
            x = (x - (-s).sigmoid() * m) / s.sigmoid() if inverse else s.sigmoid() * x + (-s).sigmoid() * m
            total = total - log_det if inverse else total + log_det
        return x, total

    def _inverted(self, net: nn.Module, y: Tensor, context: Tensor | None) -> Tensor:
        """What a step mapped to y, less its last dimension, which nothing depends on."""
        x = torch.zeros_like(y)
        order = torch.arange(self.latent_dim, device=y.device)
        for dim in range(self.latent_dim - 1):
            m, s = _gates(net, x, context)
            x = torch.where(order == dim, (y - (-s).sigmoid() * m) / s.sigmoid(), x)
        return x


def _gates(net: nn.Module, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
    """m and the bounded logits s of the gates."""
    m, s = net(x, context)
    return m, bounded(s + KEEPING, -MOST_LOGIT, MOST_LOGIT)
