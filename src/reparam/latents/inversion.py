"""Codes of examples by optimisation, for models that have no encoder."""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

BETAS = (0.9, 0.99)
ROWS = 32  # of codes at a time, always as many, so that no neighbour changes how an example's own are computed


def inverted(
    score: Callable[[Tensor, Tensor], Tensor],
    starts: Float[Tensor, "S L"],
    count: int,
    steps: int = 100,
    rate: float = 0.1,
    kept: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Float[Tensor, "B L"]:
    r"""The best code of each example, climbed to from several starts.

    .. math:: z_i^* = \arg\max_z \mathrm{score}(i, z)

    by Adam, whose rate falls to zero along a cosine; each example by itself.

    Args:
        score: (R,), (R, L) -> (R): numbers of examples and codes -> what is to be high, such as log p(x, z), nats;
            each row for itself.
        starts: Where to begin, the same for all examples.
        count: Number of examples B.
        steps: Steps from each start.
        rate: First step size, in units of z.
        kept: Codes, and where they began -> the nearest codes that are allowed; None allows all.
    Source:
        Generative visual manipulation on the natural image manifold (Zhu et al., 2016), arXiv:1609.03552, section 3.1,
        by optimisation alone.
    """
    each = max(1, ROWS // len(starts))
    found = [starts[:0]]
    for first in range(0, count, each):
        numbers = torch.arange(first, min(count, first + each), device=starts.device)
        padded = torch.cat([numbers, numbers[-1:].expand(each - len(numbers))])
        rows = padded.repeat_interleave(len(starts))
        z = _climbed(partial(score, rows), starts.repeat(each, 1), steps, rate, kept)
        with torch.no_grad():
            best = score(rows, z).reshape(each, -1).argmax(1)
        found.append(z.reshape(each, len(starts), -1)[torch.arange(each, device=z.device), best][: len(numbers)])
    return torch.cat(found)


def _climbed(
    score: Callable[[Tensor], Tensor],
    start: Float[Tensor, "R L"],
    steps: int,
    rate: float,
    kept: Callable[[Tensor, Tensor], Tensor] | None,
) -> Float[Tensor, "R L"]:
    """Adam's steps upwards, of each row for itself."""
    z = start.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([z], rate, BETAS)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        with torch.enable_grad():
            (z.grad,) = torch.autograd.grad(-score(z).sum(), z)
        optimizer.step()
        if kept is not None:
            with torch.no_grad():
                z.copy_(kept(z, start))
        schedule.step()
    return z.detach()
