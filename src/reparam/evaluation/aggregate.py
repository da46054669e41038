"""Is the code used, and does the prior fit? The aggregate posterior q(z), the mean of q(z|x) over examples."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from reparam.distributions import is_density
from reparam.errors import RefusedError
from reparam.evaluation.judged import Judged
from reparam.evaluation.likelihood import standard_error
from reparam.rng import seeded

ITEMS = 4000
_MOST_VALUES = 1 << 22


def log_densities(q: Distribution, z: Float[Tensor, "N L"]) -> Float[Tensor, "N B"]:
    """log q(z_n|x_b) for every code and every member of a batch, nats, some codes at a time."""
    rows = max(1, _MOST_VALUES // (math.prod(q.batch_shape) * z.shape[1]))
    return torch.cat([q.log_prob(part.unsqueeze(1)).double() for part in z.split(rows)])


def collapse(judged: Judged) -> dict[str, Any]:
    r"""Mutual information of x and z, and the mismatch of q(z) and p(z), with one draw of z for each of N examples.

    .. math:: I(x; z) \approx \frac1N \sum_i \log q(z_i \mid x_i) - \log q(z_i), \qquad
              \mathrm{KL}(q(z) \Vert p(z)) \approx \frac1N \sum_i \log q(z_i) - \log p(z_i), \qquad
              q(z) = \frac1N \sum_j q(z \mid x_j)

    The two add up to the rate. Both are unbiased for the N examples themselves. For the distribution that they come
    from, I(x; z) is biased downwards and is never above log N (given as ``mutual_information_most``), and the mismatch
    is biased upwards by as much. At most 4,000 random examples are taken.

    Raises:
        RefusedError: if q or p(z) has no density, or q(z|x) is not one distribution over all of z.
    Source:
        ELBO surgery (Hoffman & Johnson, 2016), eqs. 7 to 9, with the estimate of q(z) over all examples at hand; the
        bound log N as in On variational bounds of mutual information (Poole et al., 2019), arXiv:1905.06922, eq. 12.
    """
    model, split = judged.model, judged.split.subset(ITEMS, judged.seed, "collapse")
    parts, own, prior = [], [], []
    with seeded(judged.seed, "collapse"):
        for batch in judged.batches(split):
            q = model.infer(batch.x, **batch.named)
            trace = model.trace(batch.x, samples=1, q=q, **batch.named)
            marginal = getattr(trace.q, "marginal", True)
            if trace.p_z is None or not marginal or not is_density(q) or q.event_shape != trace.z.shape[2:]:
                raise RefusedError("Mutual information needs a density q(z|x) of the whole code, and a prior p(z).")
            if trace.p_z.batch_shape:
                raise RefusedError("The prior p(z|c) differs between examples: there is no one p(z) to compare with.")
            parts.append(trace.z[0])
            own.append(trace.log_q[0].double())
            prior.append(trace.log_p_z[0].double())
    z, log_q_given_x, log_p = torch.cat(parts), torch.cat(own), torch.cat(prior)
    log_q = torch.full_like(log_p, -torch.inf)
    for batch in judged.batches(split):
        found = log_densities(model.infer(batch.x, **batch.named), z)
        log_q = torch.logaddexp(log_q, found.logsumexp(1))
    information, mismatch = log_q_given_x - log_q + math.log(len(z)), log_q - math.log(len(z)) - log_p
    return {
        "mutual_information": information.mean().item(),
        **standard_error("mutual_information", information),
        "mutual_information_most": math.log(len(z)),
        "aggregate_kl": mismatch.mean().item(),
        **standard_error("aggregate_kl", mismatch),
        "collapse_n": len(z),
    }
