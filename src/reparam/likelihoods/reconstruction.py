"""Reconstruction terms of plain autoencoders: distances, not densities."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from reparam.distributions import Energy, ms_ssim, ssim
from reparam.errors import PartError, nearest
from reparam.likelihoods.base import Likelihood
from reparam.shapes import Shape, is_image, numel


class _Distance(NamedTuple):
    """A distance of values, (N, D) or (N, C, H, W) -> (N,), and what it asks of them."""

    function: Callable[[Tensor, Tensor, int], Tensor]
    images_only: bool


def _l1(x: Tensor, x_hat: Tensor, event_dim: int) -> Tensor:
    return (x - x_hat).abs().flatten(-event_dim).sum(-1)


def _l2(x: Tensor, x_hat: Tensor, event_dim: int) -> Tensor:
    return 0.5 * (x - x_hat).square().flatten(-event_dim).sum(-1)


def _ssim(x: Tensor, x_hat: Tensor, event_dim: int) -> Tensor:
    return numel(x.shape[-event_dim:]) * (1 - ssim(x, x_hat))


def _ms_ssim(x: Tensor, x_hat: Tensor, event_dim: int) -> Tensor:
    return numel(x.shape[-event_dim:]) * (1 - ms_ssim(x, x_hat))


DISTANCES: dict[str, _Distance] = {
    "l1": _Distance(_l1, images_only=False),
    "l2": _Distance(_l2, images_only=False),
    "ssim": _Distance(_ssim, images_only=True),
    "ms-ssim": _Distance(_ms_ssim, images_only=True),
}


class ReconstructionTerm(Likelihood):
    r"""The training term of a plain autoencoder: a distance between x and its reconstruction.

    .. math::
        E_1 = \sum_d |x_d - \hat x_d|, \quad E_2 = \tfrac12 \sum_d (x_d - \hat x_d)^2, \quad
        E_\mathrm{ssim} = D (1 - \mathrm{SSIM}(x, \hat x))

    The structural terms squash the decoder's output into [0, 1] and weigh like a sum over all D values.

    Shapes:
        h: (*batch, *data_shape)
    Args:
        data_shape: Shape of one example.
        distance: ``l1``, ``l2``, ``ssim`` or ``ms-ssim``.
    Raises:
        PartError: if the distance is unknown, or needs images and data_shape is none.
    """

    def __init__(self, data_shape: Shape, distance: Literal["l1", "l2", "ssim", "ms-ssim"] = "l2") -> None:
        if distance not in DISTANCES:
            raise PartError(f"ReconstructionTerm: distance is {distance!r}. {nearest(distance, DISTANCES)}")
        if DISTANCES[distance].images_only and not is_image(data_shape):
            raise PartError(
                f"ReconstructionTerm: {distance} compares images (C, H, W), data_shape is {data_shape}. Use l1 or l2."
            )
        super().__init__(data_shape)
        self.distance = distance
        self.unit_interval = DISTANCES[distance].images_only

    def distribution(self, h: Float[Tensor, "..."]) -> Energy:
        squashed = h.sigmoid() if DISTANCES[self.distance].images_only else h
        return Energy(squashed, self._energy, len(self.data_shape))

    def _energy(self, x: Tensor, x_hat: Tensor) -> Tensor:
        x, x_hat = torch.broadcast_tensors(x, x_hat)
        return DISTANCES[self.distance].function(x, x_hat, len(self.data_shape))
