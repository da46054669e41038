"""The evidence lower bound and its common weights."""

import torch

from reparam.objectives.base import Objective
from reparam.objectives.common import elbo_terms, mean_kl, penalised, penalty_terms, require_at_least
from reparam.objectives.schedules import Warmup, require_warmup, warmup_weight
from reparam.trace import Bound, Progress, Trace


class ELBO(Objective):
    r"""Evidence lower bound, with a weight on the KL, a warm-up of that weight, and free bits.

    .. math::
        \mathcal{L}(x) = \frac1K \sum_k \log p(x \mid z_k) - \beta w(t) \sum_g \mathrm{KL}_g

    With free bits, the mean of KL_g over the batch counts at least ``free_bits`` nats in each latent group g.
    The plain bound (beta = w = 1, no free bits) is always reported as ``elbo``.

    Args:
        samples: Draws of z per example, K.
        beta: Weight of the KL.
        warmup: Share of training over which that weight rises from 0.
        warmup_kind: ``linear`` or ``cyclic``.
        cycles: Number of cycles of the cyclic warm-up.
        free_bits: Nats of KL per latent group that cost nothing.
    Raises:
        PartError: if beta or free_bits is negative, samples < 1, or the warm-up makes no sense.
    Source:
        ELBO: Auto-encoding variational Bayes (Kingma & Welling, 2014), arXiv:1312.6114, eq. 3; beta: beta-VAE
        (Higgins et al., 2017), eq. 4; free bits: Improved variational inference with inverse autoregressive flow
        (Kingma et al., 2016), arXiv:1606.04934, eq. 15.
    """

    def __init__(
        self,
        samples: int = 1,
        beta: float = 1.0,
        warmup: float = 0.0,
        warmup_kind: Warmup = "linear",
        cycles: int = 4,
        free_bits: float = 0.0,
    ) -> None:
        super().__init__(samples)
        require_at_least("ELBO", 0, beta=beta, free_bits=free_bits)
        require_warmup("ELBO", warmup, warmup_kind, cycles)
        self.beta, self.free_bits = beta, free_bits
        self.warmup, self.warmup_kind, self.cycles = warmup, warmup_kind, cycles

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        distortion, rate = trace.distortion, trace.rate
        weight = self.beta * warmup_weight(progress, self.warmup, self.warmup_kind, self.cycles)
        cost = self._above_free_bits(trace) if self.free_bits else rate
        value = torch.add(distortion, cost, alpha=weight).neg()
        return Bound(penalised(value, trace), elbo_terms(distortion, rate) | penalty_terms(trace))

    def _above_free_bits(self, trace: Trace) -> torch.Tensor:
        """Cost of the KL per example, whose mean over the batch is sum_g max(free_bits, mean KL_g)."""
        groups, mean = trace.kl.mean(0), mean_kl(trace, self.group)
        return torch.where(mean > self.free_bits, groups, mean.new_tensor(self.free_bits)).sum(-1)
