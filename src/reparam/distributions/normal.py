"""KL between Normals, with its gradient in few operations."""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal


class _FromFixed(torch.autograd.Function):
    """1/2 (r^2 + d^2 - 1) - log r, with r = scale / s and d = (loc - m) / s, where m and s are fixed."""

    @staticmethod
    def forward(ctx: Any, loc: Tensor, scale: Tensor, m: Tensor, s: Tensor) -> Tensor:
        ctx.save_for_backward(loc, scale, m, s)
        ratio, distance = scale / s, (loc - m) / s
        squares = torch.addcmul(ratio * ratio, distance, distance)
        return squares.sub_(1.0).mul_(0.5).sub_(ratio.log_())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        loc, scale, m, s = ctx.saved_tensors
        grad, precision = grads[0], s**-2
        return (loc - m) * precision * grad, (scale * precision - 1 / scale) * grad, None, None


def kl_normal(q: Normal, p: Normal) -> Tensor:
    r"""KL(q || p) for each value, nats.

    .. math:: \mathrm{KL} = \tfrac12 \left(r^2 + d^2 - 1\right) - \log r,
              \qquad r = \sigma_q / \sigma_p, \quad d = (\mu_q - \mu_p) / \sigma_p
    """
    if p.loc.requires_grad or p.scale.requires_grad:
        ratio, distance = q.scale / p.scale, (q.loc - p.loc) / p.scale
        return 0.5 * (ratio.square() + distance.square() - 1) - ratio.log()
    found: Tensor = _FromFixed.apply(q.loc, q.scale, p.loc, p.scale)  # type: ignore[no-untyped-call]
    return found
