"""Log-scales that no input can blow up."""

import torch
from torch import Tensor
from torch.nn import functional as F

LOG_SCALE_RANGE = (-8.0, 4.0)


def full_precision(values: Tensor) -> Tensor:
    """Numbers of mixed precision as float32: densities are computed in full."""
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values


def bounded(raw: Tensor, low: float = LOG_SCALE_RANGE[0], high: float = LOG_SCALE_RANGE[1]) -> Tensor:
    r"""Squeezes any real number smoothly into (low, high), close to the identity well inside.

    The upper end is exceeded by less than exp(low - high).

    .. math:: y = \mathrm{low} + \mathrm{softplus}(\mathrm{high} - \mathrm{low} - \mathrm{softplus}(\mathrm{high} - r))
    """
    below_high = high - F.softplus(high - raw)
    return low + F.softplus(below_high - low)
