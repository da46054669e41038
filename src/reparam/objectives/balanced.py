"""A warm-up of the KL that is shared by the latent groups."""

import torch

from reparam.objectives.base import Objective
from reparam.objectives.common import elbo_terms, penalised, penalty_terms
from reparam.objectives.schedules import require_warmup, warmup_weight
from reparam.trace import Bound, Progress, Trace

LEAST = 0.01  # nats, so that a group without KL keeps a weight


class BalancedELBO(Objective):
    r"""Evidence lower bound whose warm-up is easiest on the groups that say least, so that none falls silent early.

    .. math::
        \mathcal{L}(x) = \frac1K \sum_k \log p(x \mid z_k) - w(t) \sum_g \gamma_g \mathrm{KL}_g, \qquad
        \gamma_g = \frac{G\, (E|\mathrm{KL}_g| + 0.01)}{\sum_h (E|\mathrm{KL}_h| + 0.01)}

    The mean KL of a group over the batch is a constant in its weight. From the end of the warm-up on (w = 1) all
    weights are 1, and at validation: it is the ELBO then.

    Args:
        samples: Draws of z per example, K.
        warmup: Share of training over which w rises from 0.
    Raises:
        PartError: if samples < 1, or warmup is no share.
    Source:
        NVAE (Vahdat & Kautz, 2020), arXiv:2007.03898, appendix A, without its further factor for the size of a group.
    """

    def __init__(self, samples: int = 1, warmup: float = 0.3) -> None:
        super().__init__(samples)
        require_warmup("BalancedELBO", warmup, "linear", 1)
        self.warmup = warmup

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        distortion, rate = trace.distortion, trace.rate
        weight = warmup_weight(progress, self.warmup)
        cost = rate if weight >= 1 else self._balanced(trace)
        value = torch.add(distortion, cost, alpha=weight).neg()
        return Bound(penalised(value, trace), elbo_terms(distortion, rate) | penalty_terms(trace))

    def _balanced(self, trace: Trace) -> torch.Tensor:
        """KL per example, summed over the groups with their weights."""
        groups = trace.kl.mean(0)
        share = self.group.mean(groups.detach().abs().mean(0)) + LEAST
        return (groups * (share / share.mean())).sum(-1)
