"""Importance-weighted bounds: several draws make one tighter bound."""

import math

from jaxtyping import Float
from torch import Tensor

from reparam.errors import PartError
from reparam.objectives.base import Objective
from reparam.objectives.common import mean_kl, penalised, plain_terms, require_at_least, require_draws
from reparam.trace import Bound, HasNamedValues, Model, Player, Progress, Trace


def importance_bound(log_w: Float[Tensor, "K B"], groups: int = 1) -> Float[Tensor, " B"]:
    r"""Log of the mean weight; of several groups of draws, the mean of theirs.

    .. math:: \frac1M \sum_{m=1}^M \log \frac{M}{K} \sum_{k=1}^{K/M} w_{mk}
    """
    grouped = log_w.unflatten(0, (groups, -1))
    return (grouped.logsumexp(1) - math.log(grouped.shape[1])).mean(0)


def _require_groups(owner: str, samples: int, groups: int) -> None:
    if groups < 1 or samples % groups:
        raise PartError(
            f"{owner}: {samples} samples cannot be shared by {groups} groups. Let samples be a multiple of groups."
        )


class ImportanceBound(Objective):
    r"""Importance-weighted bound (IWAE), over groups of draws (MIWAE), mixed with the ELBO (CIWAE).

    .. math::
        \mathcal{L}(x) = (1 - s)\, \frac1M \sum_{m=1}^M \log \frac{M}{K} \sum_{k=1}^{K/M} w_{mk}
        + s\, \mathrm{ELBO}(x), \qquad w = \frac{p(x \mid z)\, p(z)}{q(z \mid x)}

    One group and no share of the ELBO give IWAE; as many groups as draws give the ELBO again. Free bits add what they
    add to the ELBO: each latent group g pays for what its mean KL over the batch lacks,
    :math:`\sum_g \max(0, \lambda - \overline{\mathrm{KL}}_g)`.

    Args:
        samples: Draws of z per example in all, K.
        groups: Number of groups M that share them.
        elbo_share: Weight s of the ELBO, from 0 to 1.
        free_bits: Nats of KL per latent group that cost nothing, lambda.
    Raises:
        PartError: if the groups cannot share the draws equally, the share is not in [0, 1], or free_bits is negative.
        RefusedError: if q is a point mass.
    Source:
        IWAE: Importance weighted autoencoders (Burda et al., 2016), arXiv:1509.00519, eq. 8; MIWAE and CIWAE: Tighter
        variational bounds are not necessarily better (Rainforth et al., 2018), arXiv:1802.04537, section 4. The ELBO
        of CIWAE has its KL in closed form where there is one. Free bits: Improved variational inference with inverse
        autoregressive flow (Kingma et al., 2016), arXiv:1606.04934, appendix C.8, there for the ELBO.
    """

    judged_by = "importance_bound"

    def __init__(self, samples: int = 5, groups: int = 1, elbo_share: float = 0.0, free_bits: float = 0.0) -> None:
        super().__init__(samples)
        _require_groups("ImportanceBound", samples, groups)
        if not 0 <= elbo_share <= 1:
            raise PartError(f"ImportanceBound: elbo_share is {elbo_share}, expected a share from 0 to 1.")
        require_at_least("ImportanceBound", 0, free_bits=free_bits)
        self.groups, self.elbo_share, self.free_bits = groups, elbo_share, free_bits

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        require_draws("ImportanceBound", trace)
        value = importance_bound(trace.log_w, self.groups)
        if self.elbo_share:
            value = value.lerp(trace.elbo, self.elbo_share)
        if self.free_bits:
            value = value - (self.free_bits - mean_kl(trace, self.group)).clamp_min(0).sum()
        return Bound(penalised(value, trace), plain_terms(trace) | {"importance_bound": value.detach()})


class PartialImportanceBound(Objective):
    r"""Partially importance-weighted bound (PIWAE): two players with a bound each, over the same number of draws.

    .. math::
        \text{generation:} \; \log \frac1K \sum_k w_k, \qquad
        \text{inference:} \; \frac1M \sum_{m=1}^M \log \frac{M}{K} \sum_{k=1}^{K/M} w_{mk}

    The tight bound suits p(x, z), while the gradient of q drowns in noise as K grows; its own bound is looser.

    Args:
        samples: Draws of z per example in all, K.
        groups: Number of groups M that share them in the bound of q.
    Raises:
        PartError: if the groups cannot share the draws equally.
        RefusedError: if q is a point mass.
    Source:
        Tighter variational bounds are not necessarily better (Rainforth et al., 2018), arXiv:1802.04537, section 4.
        Each player draws for itself, q second, while the paper takes both gradients at the same draws.
    """

    judged_by = "importance_bound"

    def __init__(self, samples: int = 16, groups: int = 4) -> None:
        super().__init__(samples)
        _require_groups("PartialImportanceBound", samples, groups)
        self.groups = groups

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        require_draws("PartialImportanceBound", trace)
        value = importance_bound(trace.log_w)
        return Bound(penalised(value, trace), plain_terms(trace) | {"importance_bound": value.detach()})

    def infer_better(self, model: Model, batch: HasNamedValues) -> Bound:
        """The bound of q alone."""
        trace = self.trace(model, batch)
        value = importance_bound(trace.log_w, self.groups)
        return Bound(penalised(value, trace), {"inference_bound": value.detach()})

    def players(self, model: Model) -> tuple[Player, ...]:
        generative, inference = tuple(model.generative_parameters()), tuple(model.inference_parameters())
        return (
            Player("generation", generative, lambda batch, progress: self(model, batch, progress)),
            Player("inference", inference, lambda batch, progress: self.infer_better(model, batch)),
        )
