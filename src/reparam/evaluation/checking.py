"""Posterior-predictive checks: do data that the model draws look like the data in simple statistics?"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from reparam.distributions import is_density
from reparam.errors import RefusedError
from reparam.evaluation.judged import Judged
from reparam.rng import generator

POOL, REPLICATES, ITEMS = 4000, 1000, 400

Statistic = Callable[[Tensor], Tensor]
STATISTICS: dict[str, Statistic] = {
    "mean": lambda x: x.mean(1),
    "variance": lambda x: x.var(1, correction=0),
    "ink": lambda x: (x > 0.5).to(x).mean(1),
}


def two_sided(observed: float, replicated: Float[Tensor, " R"]) -> float:
    r"""Twice the share of replicates at least as extreme as what was observed, on the side where there are fewer.

    .. math:: p = \min\Bigl(1, 2\, \frac{1 + \min(\#\{T_r \ge T\}, \#\{T_r \le T\})}{R + 1}\Bigr)
    """
    fewer = min(int((replicated >= observed).sum()), int((replicated <= observed).sum()))
    return min(1.0, 2 * (1 + fewer) / (len(replicated) + 1))


def ppc(judged: Judged) -> dict[str, Any]:
    """Compares mean, variance and ink of an example, averaged over examples, between data and draws of the model.

    Ink is the share of values above 0.5, for data in [0, 1]. What is observed is the average over at most 400 random
    judged examples; what the model predicts is the average over as many draws of x, replicated 1,000 times. Draws come
    from one pool of 4,000, whose own mean is the centre of all replicates: it is off the model's by a standard
    deviation of a third of the replicates' (the root of 400 / 4,000), which p-values do not account for. ``ppc_*_p`` is
    the two-sided p-value: near 0 where the model's data would hardly ever look so, and it cannot be below 0.002.

    Raises:
        RefusedError: if x cannot be drawn, for want of a prior or of a density p(x|z).
    Source:
        Posterior predictive assessment of model fitness via realized discrepancies (Gelman et al., 1996), section 2; at
        the fitted weights instead of a posterior over them.
    """
    if not is_density(judged.example_p_x):
        raise RefusedError("The reconstruction term is a distance, not a density, so x cannot be drawn from it.")
    shown = judged.split.subset(ITEMS, judged.seed, "ppc")
    names = [name for name in STATISTICS if name != "ink" or judged.split.spec.kind != "real"]
    observed = [_statistics(batch.x, names) for batch in judged.batches(shown)]
    pool = torch.cat([_statistics(x, names) for x in judged.drawn("ppc", POOL, draw=True)])
    chosen = torch.randint(POOL, (REPLICATES, len(shown)), generator=generator(judged.seed, "ppc replicates"))
    found = torch.cat(observed).mean(0).tolist()
    result: dict[str, Any] = {"ppc_n": len(shown)}
    for name, value, drawn in zip(names, found, pool.unbind(1), strict=True):
        result |= {f"ppc_{name}": value, f"ppc_{name}_model": drawn.mean().item()}
        result[f"ppc_{name}_p"] = two_sided(value, drawn[chosen].mean(1))
    return result


def _statistics(x: Tensor, names: list[str]) -> Tensor:
    """The statistics of each example, (B, number of names), float64 on the CPU."""
    flat = x.flatten(1).cpu().double()
    return torch.stack([STATISTICS[name](flat) for name in names], 1)
