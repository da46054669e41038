"""What is missing of an example, from what is there: means, how sure they are, and several completions."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from reparam.errors import PartError
from reparam.latents.codes import HasLatents, home


@dataclass(frozen=True)
class Completion:
    """Examples without gaps.

    Attributes:
        mean: (B, D), what is there, and the mean of what is missing.
        std: (B, D), the standard deviation of what is missing; 0 where nothing is.
        draws: (K, B, D), completions of one code each: means of p(x|z).
    """

    mean: Float[Tensor, "B D"]
    std: Float[Tensor, "B D"]
    draws: Float[Tensor, "K B D"]


@torch.no_grad()
def complete(model: HasLatents, x: Float[Tensor, "B D"], draws: int = 32) -> Completion:
    r"""Completes examples of several observations, NaN where something is missing.

    .. math::
        z_k \sim q(z \mid x_\mathrm{there}), \quad
        E[x_m] \approx \tfrac{1}{K} \sum_k E[x_m \mid z_k], \quad
        \mathrm{Var}[x_m] \approx \tfrac{1}{K} \sum_k \mathrm{Var}[x_m \mid z_k] + \mathrm{Var}_k\, E[x_m \mid z_k]

    Args:
        model: Answers ``infer`` and ``decode``.
        x: Examples.
        draws: Number of codes K.
    Raises:
        PartError: if draws is below 1.
    """
    if draws < 1:
        raise PartError(f"complete: got draws={draws}, expected at least 1.")
    x = x.to(home(model))
    p_x = model.decode(model.infer(x).rsample(torch.Size([draws])))
    means, missing = p_x.mean, x.isnan()
    mean, spread = means.mean(0), means.var(0, correction=0)
    std = torch.where(missing, (p_x.variance.mean(0) + spread).sqrt(), 0.0)
    return Completion(torch.where(missing, mean, x), std, torch.where(missing, means, x))
