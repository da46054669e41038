"""Posterior-predictive checks: do data that the model draws look like the data in simple statistics?"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from reparam.data import DataSpec
from reparam.distributions import is_density
from reparam.errors import RefusedError
from reparam.evaluation.judged import Judged
from reparam.rng import generator

POOL, REPLICATES, ITEMS = 4000, 1000, 400


def neighbours(x: Float[Tensor, "B C ..."]) -> Float[Tensor, " B"]:
    r"""Correlation of values side by side in a channel, averaged over axes and channels; 0 where nothing varies.

    .. math:: T(x) = \frac{1}{A C} \sum_{a, c}
              \frac{\mathrm{mean}_i (x_{c, i} - \bar x_c)(x_{c, i + e_a} - \bar x_c)}{\mathrm{var}(x_c)}

    The sum goes over channels that vary.
    """
    flat = x.flatten(2)
    varies = flat.amin(2) != flat.amax(2)
    centred = x - flat.mean(2).reshape(*x.shape[:2], *(1 for _ in x.shape[2:]))
    variance = torch.where(varies, flat.var(2, correction=0), 1.0)
    axes = [axis for axis in range(2, x.ndim) if x.shape[axis] > 1]
    pairs = [(centred.narrow(axis, 1, x.shape[axis] - 1), centred.narrow(axis, 0, x.shape[axis] - 1)) for axis in axes]
    along = torch.stack([(one * other).flatten(2).mean(2) for one, other in pairs]).mean(0)
    return torch.where(varies, along / variance, 0.0).sum(1) / varies.sum(1).clamp(min=1)


Statistic = Callable[[Tensor], Tensor]
STATISTICS: dict[str, Statistic] = {
    "mean": lambda x: x.flatten(1).mean(1),
    "variance": lambda x: x.flatten(1).var(1, correction=0),
    "ink": lambda x: (x > 0.5).to(x).flatten(1).mean(1),
    "zeros": lambda x: (x == 0).to(x).flatten(1).mean(1),
    "neighbours": neighbours,
}


def _asked(spec: DataSpec) -> list[str]:
    """The statistics that say something of these data, and not the same twice."""
    left_out = set()
    if spec.effective_kind not in ("levels", "unit"):  # the ink of zeros and ones is their mean
        left_out.add("ink")
    if spec.kind != "counts":
        left_out.add("zeros")
    if max(spec.shape[1:], default=1) == 1:
        left_out.add("neighbours")
    return [name for name in STATISTICS if name not in left_out]


def two_sided(observed: float, replicated: Float[Tensor, " R"]) -> float:
    r"""Twice the share of replicates at least as extreme as what was observed, on the side where there are fewer.

    .. math:: p = \min\Bigl(1, 2\, \frac{1 + \min(\#\{T_r \ge T\}, \#\{T_r \le T\})}{R + 1}\Bigr)
    """
    fewer = min(int((replicated >= observed).sum()), int((replicated <= observed).sum()))
    return min(1.0, 2 * (1 + fewer) / (len(replicated) + 1))


def ppc(judged: Judged) -> dict[str, Any]:
    """Compares simple statistics of an example, averaged over examples, between data and draws of the model.

    They are the mean and the variance of its values, their ink (the share of values above 0.5, for data in [0, 1] that
    are not all 0 or 1), of counts the share of zeros, and, of pictures and signals, how its values go with their
    neighbours. What is observed is the average over at most 400 random judged examples; what the model predicts is the
    average over as many draws of x, replicated 1,000 times. Draws come from one pool of 4,000, whose own mean is the
    centre of all replicates: it is off the model's by a standard deviation of a third of the replicates' (the root of
    400 / 4,000), which p-values do not account for. ``ppc_*_p`` is the two-sided p-value: near 0 where the model's data
    would hardly ever look so, and it cannot be below 0.002.

    Raises:
        RefusedError: if x cannot be drawn, for want of a prior or of a density p(x|z).
    Source:
        Posterior predictive assessment of model fitness via realized discrepancies (Gelman et al., 1996), section 2; at
        the fitted weights instead of a posterior over them.
    """
    if not is_density(judged.example_p_x):
        raise RefusedError("The reconstruction term is a distance, not a density, so x cannot be drawn from it.")
    shown = judged.split.subset(ITEMS, judged.seed, "ppc")
    names = _asked(judged.split.spec)
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
    x = x.cpu().double()
    return torch.stack([STATISTICS[name](x) for name in names], 1)
