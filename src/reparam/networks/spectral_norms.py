"""Largest singular values of weights, to keep deep networks from growing steep."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from reparam.networks.spectral import spectral_norm


class SpectralNorms(nn.Module):
    r"""Sum of the largest singular values of matrices, by power iteration: one step each time in training.

    .. math:: \sum_i \sigma(W_i)

    A kernel counts as the matrix of its output channels over all else.

    Args:
        weights: The matrices and kernels, always in the same order.
    Source:
        NVAE (Vahdat & Kautz, 2020), arXiv:2007.03898, section 3.2; see :func:`.spectral_norm`.
    """

    def __init__(self, weights: Iterable[Tensor]) -> None:
        super().__init__()
        for number, weight in enumerate(weights):
            self.register_buffer(f"u{number}", F.normalize(torch.randn(len(weight)), dim=0))

    def forward(self, weights: Iterable[Tensor]) -> Float[Tensor, ""]:
        pairs = zip(weights, self.buffers(), strict=True)
        return torch.stack([spectral_norm(weight.flatten(1), u, keep=self.training) for weight, u in pairs]).sum()
