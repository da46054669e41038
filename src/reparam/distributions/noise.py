"""Noise that choices are made from."""

import torch
from torch import Size, Tensor


def gumbel(shape: Size | tuple[int, ...], like: Tensor) -> Tensor:
    """Standard Gumbel noise of this shape, in the type and on the device of a tensor, from the current generator.

    The largest of log probabilities plus such noise is a draw from them (the Gumbel-max trick).
    """
    return -torch.empty(shape, dtype=like.dtype, device=like.device).exponential_().log()
