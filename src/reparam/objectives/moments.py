"""Bounds on the covariance of the aggregate posterior."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from reparam.distributions import factors
from reparam.errors import PartError, RefusedError, nearest
from reparam.objectives.base import Objective
from reparam.objectives.common import require_at_least, require_noise
from reparam.objectives.elbo import ELBO
from reparam.trace import Bound, Progress, Trace

Moments = Literal["means", "codes"]


def _outer(vectors: Float[Tensor, "B L"]) -> Float[Tensor, "B L L"]:
    return vectors.unsqueeze(-1) * vectors.unsqueeze(-2)


def _covariance_of(q: Distribution) -> Float[Tensor, "B L L"]:
    """Cov(z|x) of each example."""
    full: Tensor | None = getattr(q, "covariance_matrix", None)
    if full is not None:
        return full
    if factors(q) is None:
        raise RefusedError(
            "CovarianceBound: q(z|x) gives no covariance matrix and does not factorise over the dimensions of z, so "
            "Cov(z|x) is not at hand. Take moments 'means', or a posterior such as 'normal' or 'full-normal'."
        )
    return q.variance.diag_embed()


class CovarianceBound(Objective):
    r"""ELBO less the distance of the aggregate posterior's covariance from the unit matrix (DIP-VAE).

    .. math::
        \mathcal{L}(x) = \mathrm{ELBO}(x) - \lambda_{od} \sum_{i \ne j} C_{ij}^2 - \lambda_d \sum_i (C_{ii} - 1)^2

    DIP-VAE I takes the covariance of the posterior ``means``, C = Cov(E[z|x]); DIP-VAE II that of the ``codes``,
    C = Cov(E[z|x]) + E[Cov(z|x)]. Both are those of the whole batch.

    Args:
        samples: Draws of z per example, K.
        moments: ``means`` (I) or ``codes`` (II).
        off_diagonal: Weight of the covariances between dimensions.
        diagonal: Weight of the variances' distance from 1.
        warmup: Share of training over which the weight of the KL rises from 0.
        free_bits: Nats of KL per latent group that cost nothing.
    Raises:
        PartError: if a weight is negative, or the moments are unknown.
        RefusedError: if q is a point mass, has no closed moments, or no covariance where one is needed.
    Source:
        Variational inference of disentangled latent concepts from unlabeled observations (Kumar et al., 2018),
        arXiv:1711.00848, eqs. 5 to 7.
    """

    def __init__(
        self,
        samples: int = 1,
        moments: Moments = "means",
        off_diagonal: float = 10.0,
        diagonal: float = 100.0,
        warmup: float = 0.0,
        free_bits: float = 0.0,
    ) -> None:
        super().__init__(samples)
        require_at_least("CovarianceBound", 0, off_diagonal=off_diagonal, diagonal=diagonal)
        if moments not in ("means", "codes"):
            raise PartError(f"CovarianceBound: moments is {moments!r}. {nearest(moments, ('means', 'codes'))}")
        self.base = ELBO(samples, warmup=warmup, free_bits=free_bits)
        self.moments: Moments = moments
        self.off_diagonal, self.diagonal = off_diagonal, diagonal
        self.warmup, self.free_bits = warmup, free_bits

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        require_noise("CovarianceBound", trace)
        if not getattr(trace.q, "exact_moments", True):
            raise RefusedError(
                "CovarianceBound: the mean that q(z|x) gives here is not that of its draws, as of a flow or of several "
                "groups of z, each given those above it. Take a flat model with a posterior such as 'normal'."
            )
        base = self.base.bound(trace, progress)
        covariance = self._covariance(trace.q)
        variances = covariance.diagonal()
        between = covariance.square().sum() - variances.square().sum()
        cost = self.off_diagonal * between + self.diagonal * (variances - 1).square().sum()
        return Bound(base.value - cost, base.terms | {"covariance": cost.detach().expand_as(base.value)})

    def _covariance(self, q: Distribution) -> Float[Tensor, "L L"]:
        """The covariance over the whole batch."""
        means = q.mean
        centre = self.group.mean(means.mean(0))
        within = _covariance_of(q) if self.moments == "codes" else 0
        return self.group.mean((_outer(means - centre) + within).mean(0))
