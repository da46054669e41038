"""Invertible maps of R^L whose numbers are given for each example: planar and radial."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from reparam.errors import PartError
from reparam.networks.bounded import bounded

MARGIN = 1e-3
Mapped = tuple[Float[Tensor, "*M L"], Float[Tensor, "*M"]]


class Bijection(nn.Module, ABC):
    """An invertible map of R^L, made for each example from its context.

    Shapes:
        x: (*samples, *batch, L), context: (*batch, F) or None  ->  y like x, log-determinant (*samples, *batch)
    Args:
        owner: Who is told to the user in an error.
        transforms: Number of maps applied one after the other.
    Raises:
        PartError: if transforms < 1.
    """

    reads_weights = True  # where they are to pass no gradient

    def __init__(self, owner: str, transforms: int) -> None:
        super().__init__()
        if transforms < 1:
            raise PartError(f"{owner}: transforms is {transforms}, expected at least 1.")
        self.transforms = transforms

    @abstractmethod
    def forward(
        self, x: Float[Tensor, "*N L"], context: Float[Tensor, "*B F"] | None = None, inverse: bool = False
    ) -> Mapped:
        """The map, or its inverse, at x, and the log-determinant of what was applied."""


class Planar(Bijection):
    r"""Planar flow: stretches z along one direction, T times.

    .. math:: f(z) = z + \hat u \tanh(w^\top z + b), \qquad
              \log |\det| = \log\left(1 + (\hat u^\top w)\, \tanh'(w^\top z + b)\right)

    It is invertible where :math:`w^\top \hat u > -1`, which :math:`\hat u = u + (m(w^\top u) - w^\top u)\, w / |w|^2`
    makes true for any m > -1. The paper takes :math:`m(a) = -1 + \log(1 + e^a)`, whose :math:`\hat u` has a pole at
    w = 0; we take a for a > 0 and :math:`0.999\,(e^a - 1)` below, which has none and leaves most u as they are. The
    inverse solves one monotone equation for :math:`w^\top z` by bisection.

    Shapes:
        context: (*batch, numbers), that is w, u and b of each transform
    Source:
        Variational inference with normalizing flows (Rezende & Mohamed, 2015), arXiv:1505.05770, eq. 10-12 and
        appendix A.1.
    """

    def __init__(self, latent_dim: int, transforms: int) -> None:
        super().__init__("PlanarPosterior", transforms)
        self.latent_dim, self.numbers = latent_dim, transforms * (2 * latent_dim + 1)

    def forward(
        self, x: Float[Tensor, "*N L"], context: Float[Tensor, "*B F"] | None = None, inverse: bool = False
    ) -> Mapped:
        total = x.new_zeros(x.shape[:-1])
        for numbers in _of_each(context, self.transforms, inverse):
            w, u, b = numbers.split([self.latent_dim, self.latent_dim, 1], -1)
            dot = (w * u).sum(-1, keepdim=True)
            slope = F.elu(dot, alpha=1 - MARGIN)
            u = u + (slope - dot) * w / w.square().sum(-1, keepdim=True).clamp_min(1e-30)
            at = (w * x).sum(-1, keepdim=True) + b
            at = _solved(at, slope) if inverse else at
            bent = at.tanh()
            log_det = torch.log1p(slope * (1 - bent.square())).squeeze(-1)
            x = x - u * bent if inverse else x + u * bent
            total = total - log_det if inverse else total + log_det
        return x, total


def _solved(target: Float[Tensor, "*N 1"], slope: Float[Tensor, "*B 1"]) -> Float[Tensor, "*M 1"]:
    """The a with a + slope tanh(a) = target: by bisection, then one step of Newton, which has the gradient."""
    with torch.no_grad():
        low, high = target - slope.abs(), target + slope.abs()
        for _ in range(4 - round(math.log2(torch.finfo(target.dtype).eps))):  # to the last digit
            middle = 0.5 * (low + high)
            above = middle + slope * middle.tanh() > target
            low, high = torch.where(above, low, middle), torch.where(above, middle, high)
        at = 0.5 * (low + high)
        rise = 1 + slope * (1 - at.tanh().square())
    return at - (at + slope * at.tanh() - target) / rise


class Radial(Bijection):
    r"""Radial flow: moves z away from a point or towards it, T times.

    .. math:: f(z) = z + \frac{\beta (z - z_0)}{\alpha + r}, \quad r = |z - z_0|, \qquad
              \log|\det| = (L - 1) \log\left(1 + \frac{\beta}{\alpha + r}\right)
              + \log\left(1 + \frac{\alpha \beta}{(\alpha + r)^2}\right)

    It is invertible where :math:`\beta > -\alpha`. We write :math:`\beta = \alpha\,(-1 + 10^{-3} + \log(1 + e^b))`, so
    that the bound is kept at any alpha. The inverse is the positive root of a quadratic equation for r.

    Shapes:
        context: (*batch, numbers), that is z_0, log alpha (bounded) and b of each transform
    Source:
        Variational inference with normalizing flows (Rezende & Mohamed, 2015), arXiv:1505.05770, eq. 14 and
        appendix A.2.
    """

    def __init__(self, latent_dim: int, transforms: int) -> None:
        super().__init__("RadialPosterior", transforms)
        self.latent_dim, self.numbers = latent_dim, transforms * (latent_dim + 2)

    def forward(
        self, x: Float[Tensor, "*N L"], context: Float[Tensor, "*B F"] | None = None, inverse: bool = False
    ) -> Mapped:
        total = x.new_zeros(x.shape[:-1])
        for numbers in _of_each(context, self.transforms, inverse):
            centre, log_alpha, b = numbers.split([self.latent_dim, 1, 1], -1)
            alpha = bounded(log_alpha).exp()
            beta = alpha * (F.softplus(b) - 1 + MARGIN)
            r = (x - centre).norm(dim=-1, keepdim=True)
            r = _radius(r, alpha, beta) if inverse else r
            pull = beta / (alpha + r)
            log_det = (self.latent_dim - 1) * torch.log1p(pull) + torch.log1p(pull * alpha / (alpha + r))
            x = centre + (x - centre) / (1 + pull) if inverse else x + pull * (x - centre)
            total = total - log_det.squeeze(-1) if inverse else total + log_det.squeeze(-1)
        return x, total


def _radius(
    mapped: Float[Tensor, "*N 1"], alpha: Float[Tensor, "*B 1"], beta: Float[Tensor, "*B 1"]
) -> Float[Tensor, "*M 1"]:
    """The radius r that was mapped to r (1 + beta / (alpha + r)): r^2 + (alpha + beta - mapped) r = alpha mapped."""
    half = 0.5 * (mapped - alpha - beta)
    root = (half.square() + alpha * mapped).sqrt()
    return torch.where(half > 0, half + root, alpha * mapped / (root - half.clamp_max(0)))


def _of_each(context: Tensor | None, transforms: int, inverse: bool) -> Iterator[Tensor]:
    """The numbers of each transform, in the order in which they are applied."""
    assert context is not None
    parts: Iterable[Tensor] = context.unflatten(-1, (transforms, -1)).unbind(-2)
    return iter(tuple(parts)[::-1] if inverse else tuple(parts))
