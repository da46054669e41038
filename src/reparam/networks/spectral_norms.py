"""Largest singular values of weights, to keep deep networks from growing steep."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class SpectralNorms(nn.Module):
    r"""Sum of the largest singular values of matrices, by power iteration: one step each time in training.

    .. math:: v \leftarrow \frac{W^\top u}{|W^\top u|}, \quad u \leftarrow \frac{W v}{|W v|}, \quad
              \sigma(W) \approx u^\top W v

    A kernel counts as the matrix of its output channels over all else. A matrix of zeros has norm 0 and leaves u.

    Args:
        weights: The matrices and kernels, always in the same order.
    Source:
        Spectral normalization for generative adversarial networks (Miyato et al., 2018), arXiv:1802.05957,
        algorithm 1; as a term of the loss of a VAE: NVAE (Vahdat & Kautz, 2020), arXiv:2007.03898, section 3.2.
    """

    def __init__(self, weights: Iterable[Tensor]) -> None:
        super().__init__()
        for number, weight in enumerate(weights):
            self.register_buffer(f"u{number}", F.normalize(torch.randn(len(weight)), dim=0))

    def forward(self, weights: Iterable[Tensor]) -> Float[Tensor, ""]:
        pairs = zip(weights, self.buffers(), strict=True)
        return torch.stack([self._norm(weight.flatten(1), u) for weight, u in pairs]).sum()

    def _norm(self, matrix: Float[Tensor, "M N"], u: Float[Tensor, " M"]) -> Float[Tensor, ""]:
        with torch.no_grad():
            v = F.normalize((u.unsqueeze(1) * matrix).sum(0), dim=0)
            ahead = (matrix * v).sum(1)
            if self.training:
                u.copy_(torch.where(ahead.any(), F.normalize(ahead, dim=0), u))
            left = u.clone()  # the next step will change u, which this one still needs for its gradient
        return (left.unsqueeze(1) * matrix * v).sum()  # no matmul, which mixed precision would round
