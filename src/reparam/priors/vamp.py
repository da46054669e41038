"""The VampPrior."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam.distributions import SharedMixture, is_density
from reparam.errors import PartError
from reparam.priors.base import Prior, chosen, posteriors_of, require_components
from reparam.priors.mixture import equal_mixture
from reparam.shapes import Shape


class _Within(torch.autograd.Function):
    """Clamps values, and passes the gradients of those outside that lead back."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, low: Tensor, high: Tensor) -> Tensor:
        ctx.save_for_backward(values, low, high)
        return values.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        values, low, high = ctx.saved_tensors
        outwards = ((values < low) & (gradient > 0)) | ((values > high) & (gradient < 0))
        return gradient.masked_fill(outwards, 0), None, None


class VampPrior(Prior):
    r"""Mixes the posteriors of M learned pseudo-inputs into a prior.

    .. math:: p(z) = \frac1M \sum_{m=1}^{M} q(z \mid u_m)

    The pseudo-inputs begin as training examples and are clamped to the range of the examples seen then, as in the
    paper; unlike there, each channel (or column) has a range of its own, in whose units the pseudo-inputs are learned,
    and gradients that lead back into the range pass, or a value that once left it would stay outside.
    A prior that was never shown any example begins with noise in [0, 1] and is not clamped.

    Shapes:
        pseudo-inputs u: (M, *data_shape), trained with the model as (u - low) / width
        returns: batch (), event (L,)
    Args:
        latent_dim: Number of latent dimensions L.
        data_shape: Shape of one example, without the batch.
        components: Number of pseudo-inputs M.
    Raises:
        PartError: if latent_dim or components < 1; when called, if the posteriors have no density.
    Source:
        VAE with a VampPrior (Tomczak & Welling, 2018), arXiv:1705.07120, eq. 9.
    """

    infers = True
    space = None
    low: Tensor
    width: Tensor
    limits: Tensor

    def __init__(self, latent_dim: int, data_shape: Shape, components: int = 500) -> None:
        super().__init__(latent_dim)
        require_components("VampPrior", components, data_shape)
        self.data_shape, self.components = tuple(data_shape), components
        self.pseudo_inputs = nn.Parameter(torch.rand(components, *data_shape))
        one_each = (data_shape[0], *(1 for _ in data_shape[1:]))
        self.register_buffer("low", torch.zeros(one_each))
        self.register_buffer("width", torch.ones(one_each))
        self.register_buffer("limits", torch.tensor([-math.inf, math.inf]))

    @property
    def starts(self) -> bool:  # type: ignore[override]
        """True until it was shown examples, which give it limits."""
        return not bool(self.limits.isfinite().all())

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        channels = x.transpose(0, 1).flatten(1)
        there = ~channels.isnan()  # of several observations some may be missing
        self.low.copy_(channels.where(there, torch.inf).amin(1).view_as(self.low))
        self.width.copy_(channels.where(there, -torch.inf).amax(1).view_as(self.low) - self.low)
        self.limits.copy_(torch.tensor([0.0, 1.0]))
        unit = self.width.where(self.width > 0, 1.0)  # a constant column has no range
        first = chosen(x, self.components)
        first = first.where(~first.isnan(), channels.nanmean(1).view_as(self.low))
        self.pseudo_inputs.copy_((first - self.low) / unit)

    def inputs(self) -> Tensor:
        """The pseudo-inputs in the units of x, (M, *data_shape)."""
        within: Tensor = _Within.apply(self.pseudo_inputs, *self.limits)  # type: ignore[no-untyped-call]
        return self.low + self.width * within

    def forward(self, infer: Callable[[Tensor], Distribution] | None = None) -> SharedMixture:
        parts = posteriors_of("VampPrior", infer, self.inputs())
        if not is_density(parts) or getattr(parts, "noiseless", False):  # all mass on one code
            raise PartError(
                f"VampPrior: {type(parts).__name__} has no density here, so a mixture of them is no prior. "
                "Take a posterior that has one, such as normal or categorical."
            )
        return equal_mixture(parts)
