"""The Bernoulli log density in its logits form, with its gradient."""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Independent
from torch.nn import functional as F
from torch.types import _size

FACTORS = 112
LEAST_FACTORS = 8


def _group(size: int) -> int:
    """How many factors to multiply before taking a logarithm: the largest divisor whose product cannot underflow.

    Each factor lies in [1/2, 1], and 2^-112 is still a normal number in float32.
    """
    return next(number for number in range(min(size, FACTORS), 0, -1) if size % number == 0)


def _summed_log(factors: Tensor) -> Tensor:
    """Sum over the last axis of the logarithms of numbers in [1/2, 1]: one logarithm for many factors."""
    group = _group(factors.shape[-1])
    return factors.unflatten(-1, (-1, group)).prod(-1).log_().sum(-1)


class _LogitsLogProb(torch.autograd.Function):
    """sum_d x_d h_d - softplus(h_d) over the last axis, with the derivative x - sigmoid(h).

    It is computed as sum_d (x_d - 1/2) h_d - |h_d| / 2 + log sigmoid(|h_d|), where sigmoid(|h|) is the larger one of
    sigmoid(h) and 1 - sigmoid(h).
    """

    @staticmethod
    def forward(ctx: Any, h: Tensor, x: Tensor) -> Tensor:
        absolute = h.abs()
        if ctx.needs_input_grad[0]:
            sigmoid = h.sigmoid()
            ctx.save_for_backward(h, x, sigmoid)
            larger = 1 - sigmoid
            torch.maximum(larger, sigmoid, out=larger)
        else:
            ctx.save_for_backward(h, x)
            larger = absolute.sigmoid()
        value = torch.addcmul(absolute, x - 0.5, h, value=-2, out=absolute).sum(-1)
        return value.mul_(-0.5).add_(_summed_log(larger))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None]:
        h, x, *kept = ctx.saved_tensors
        grad = grads[0].unsqueeze(-1)
        for_h = for_x = None
        if ctx.needs_input_grad[0]:
            again = torch.is_grad_enabled()  # somebody will differentiate this, too
            for_h = (x - h.sigmoid()) * grad if again else torch.sub(x, kept[0]).mul_(grad)
        if ctx.needs_input_grad[1]:
            for_x = (h * grad).sum_to_size(x.shape)
        return for_h, for_x


class JointBernoulli(Independent):
    r"""Independent values of 0 or 1; what :func:`joint` makes of a Bernoulli, with a faster log density.

    .. math:: \log p(x) = \sum_d \left[x_d h_d - \mathrm{softplus}(h_d)\right]

    Shapes:
        logits h: (*batch, *event)
    Args:
        logits: Log odds of a 1.
        event_dim: Number of last axes that make one example.
    """

    def __init__(self, logits: Tensor, event_dim: int) -> None:
        super().__init__(Bernoulli(logits=logits, validate_args=False), event_dim, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(x), (*batch,), nats."""
        logits: Tensor = self.base_dist.logits
        dims = self.reinterpreted_batch_ndims
        if value.dim() > logits.dim():
            logits = logits.expand(value.shape[: value.dim() - logits.dim()] + logits.shape)
        size = self.event_shape.numel()
        exact = logits.dtype in (torch.float32, torch.float64) and logits.numel() and value.is_floating_point()
        if not dims or not exact or _group(size) < min(LEAST_FACTORS, size):
            terms = value * logits - F.softplus(logits)
            return terms.flatten(-dims).sum(-1) if dims else terms
        found: Tensor = _LogitsLogProb.apply(  # type: ignore[no-untyped-call]
            logits.flatten(-dims), value.flatten(-dims)
        )
        return found

    def expand(self, batch_shape: _size, _instance: Any = None) -> "JointBernoulli":
        """The same distribution for more batches."""
        shape = torch.Size(batch_shape) + self.event_shape
        return JointBernoulli(self.base_dist.logits.expand(shape), self.reinterpreted_batch_ndims)
