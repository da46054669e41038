"""The ELBO's KL taken apart by what the aggregate posterior does."""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from reparam.errors import PartError, nearest
from reparam.objectives.base import Objective
from reparam.objectives.common import penalised, plain_terms, require_at_least, require_factors, require_noise
from reparam.objectives.schedules import require_warmup, warmup_weight
from reparam.processes import Processes
from reparam.trace import Bound, Progress, Trace

Sampling = Literal["stratified", "weighted"]


def _shares(sampling: Sampling, batch: int, examples: int) -> tuple[float, float]:
    """What q(z|x) of an example itself, and of each other example of the batch, weigh in the estimate of q(z)."""
    if sampling == "weighted":
        return 1 / (batch * examples), 1 / (batch * examples)
    if batch == 1:
        return 1.0, 0.0
    return 1 / examples, (examples - 1) / (examples * (batch - 1))


def _of_whole_batch(factors: Distribution, group: Processes) -> Distribution:
    """q(z_l|x) for the examples of all processes."""
    if group.world == 1:
        return factors
    family: Callable[..., Distribution] = type(factors)
    given = {name: group.whole(getattr(factors, name)) for name in factors.arg_constraints}
    return family(**given, validate_args=False)


def log_aggregate(
    factors: Distribution,
    z: Float[Tensor, "K B L"],
    examples: int = 0,
    sampling: Sampling = "stratified",
    group: Processes | None = None,
) -> tuple[Float[Tensor, "K B"], Float[Tensor, "K B"]]:
    r"""Estimates the log density of the aggregate posterior, and the sum of those of its single dimensions, nats.

    .. math::
        \log q(z) \approx \log \sum_j a_j\, q(z \mid x_j), \qquad
        \sum_l \log q(z_l) \approx \sum_l \log \sum_j a_j\, q(z_l \mid x_j)

    ``stratified``: 1/N for the example that z was drawn for, and the rest in equal parts for the others, which is
    unbiased for q(z). ``weighted``: 1/(N B) for every example, which is biased low.

    Args:
        factors: q(z_l|x_j), batch (B, L).
        z: Draws, the k-th of them for each example.
        examples: Size N of the training split; the batch itself where that is larger, or N is not known.
        sampling: ``stratified`` or ``weighted``.
        group: Who shares the batch.
    """
    group = group or Processes()
    everybody = _of_whole_batch(factors, group)
    own, batch = z.shape[1], z.shape[1] * group.world
    itself, others = _shares(sampling, batch, max(examples, batch))
    shares = z.new_full((own, batch), others)
    rows = torch.arange(own, device=z.device)
    shares[rows, rows + group.rank * own] = itself
    log_shares = shares.log()
    each = everybody.log_prob(z.unsqueeze(2))  # (K, B, all of the batch, L)
    joint = (each.sum(-1) + log_shares).logsumexp(2)
    return joint, (each + log_shares.unsqueeze(-1)).logsumexp(2).sum(-1)


class TotalCorrelationBound(Objective):
    r"""ELBO whose KL is taken apart: mutual information, total correlation, and the KL of each dimension (beta-TCVAE).

    .. math::
        \mathcal{L}(x) = E_q[\log p(x \mid z)] - w(t) \left(
        \alpha E_q\left[\log \frac{q(z \mid x)}{q(z)}\right]
        + \beta E_q\left[\log \frac{q(z)}{\prod_l q(z_l)}\right]
        + \gamma E_q\left[\log \frac{\prod_l q(z_l)}{p(z)}\right] \right)

    alpha = beta = gamma = 1 is the ELBO with a sampled KL, whatever the estimate of q(z), because it cancels.

    Args:
        samples: Draws of z per example, K.
        alpha: Weight of the mutual information of x and z.
        beta: Weight of the total correlation.
        gamma: Weight of the KL of single dimensions.
        sampling: How q(z) is estimated from a batch: ``stratified`` or ``weighted``, see :func:`log_aggregate`.
        warmup: Share of training over which all three weights rise from 0.
    Raises:
        PartError: if a weight is negative, the sampling is unknown, or the warm-up is not in [0, 1].
        RefusedError: if q does not factorise over the dimensions of z.
    Source:
        Isolating sources of disentanglement in VAEs (Chen et al., 2018), arXiv:1802.04942, eq. 4; estimators: appendix
        C. Of the stratified one, we give all other examples the same weight, where the paper's code gives one of them
        another; the expectation is the same.
    """

    def __init__(
        self,
        samples: int = 1,
        alpha: float = 1.0,
        beta: float = 6.0,
        gamma: float = 1.0,
        sampling: Sampling = "stratified",
        warmup: float = 0.0,
    ) -> None:
        super().__init__(samples)
        require_at_least("TotalCorrelationBound", 0, alpha=alpha, beta=beta, gamma=gamma)
        require_warmup("TotalCorrelationBound", warmup, "linear", 1)
        if sampling not in ("stratified", "weighted"):
            raise PartError(
                f"TotalCorrelationBound: sampling is {sampling!r}. {nearest(sampling, ('stratified', 'weighted'))}"
            )
        self.alpha, self.beta, self.gamma = alpha, beta, gamma
        self.sampling: Sampling = sampling
        self.warmup = warmup

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        require_noise("TotalCorrelationBound", trace)
        factors = require_factors("TotalCorrelationBound", trace)
        joint, each = log_aggregate(factors, trace.z, progress.examples, self.sampling, self.group)
        information = (trace.log_q - joint).mean(0)
        correlation = (joint - each).mean(0)
        single = (each - trace.log_p_z).mean(0)
        cost = self.alpha * information + self.beta * correlation + self.gamma * single
        value = -(trace.distortion + warmup_weight(progress, self.warmup) * cost)
        shown = {"mutual_information": information, "total_correlation": correlation, "dimension_kl": single}
        return Bound(
            penalised(value, trace), plain_terms(trace) | {name: term.detach() for name, term in shown.items()}
        )
