"""Bounds on the distance of the aggregate posterior from the prior, measured by draws from both."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from reparam.distributions import Grouped, PointMass
from reparam.errors import PartError, RefusedError, nearest
from reparam.objectives.base import Objective
from reparam.objectives.common import (
    comparable_codes,
    penalised,
    plain_terms,
    prior_draws,
    require_at_least,
    require_moved,
    require_prior,
)
from reparam.objectives.elbo import ELBO
from reparam.trace import Bound, Progress, Trace

Draws = Float[Tensor, "K N L"]
Kernel = Literal["rbf", "imq"]
SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def _rbf(squares: Tensor, width: float) -> Tensor:
    return torch.exp(-squares / width)


def _imq(squares: Tensor, width: float) -> Tensor:
    return width / (width + squares)


KERNELS: dict[str, Callable[[Tensor, float], Tensor]] = {"rbf": _rbf, "imq": _imq}


def _likeness(x: Draws, y: Float[Tensor, "K M L"], kernel: Kernel, scales: Sequence[float]) -> Float[Tensor, "K N M"]:
    """The kernel of each pair, summed over the widths; of a draw with itself it is their number."""
    squares = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").square()
    return torch.stack([KERNELS[kernel](squares, 2 * x.shape[-1] * scale) for scale in scales]).sum(0)


def maximum_mean_discrepancy(
    a: Float[Tensor, "K N L"], b: Float[Tensor, "K M L"], kernel: Kernel = "imq", scales: Sequence[float] = SCALES
) -> Float[Tensor, " K"]:
    r"""Unbiased squared maximum mean discrepancy of two sets of draws, by a sum of kernels of several widths.

    .. math::
        \mathrm{MMD}^2 = \frac{\sum_{i \ne j} k(a_i, a_j)}{N (N - 1)} + \frac{\sum_{i \ne j} k(b_i, b_j)}{M (M - 1)}
        - \frac{2}{N M} \sum_{i, j} k(a_i, b_j), \qquad
        k = \sum_s e^{-d^2 / c_s} \text{ (rbf)}, \quad k = \sum_s \frac{c_s}{c_s + d^2} \text{ (imq)}, \quad c_s = 2 L s

    It may fall below 0. A set of one draw has no pairs, and nothing can be said of it: the answer is 0.

    Source:
        A kernel two-sample test (Gretton et al., 2012), eq. 3; widths: Wasserstein auto-encoders (Tolstikhin et al.,
        2018), arXiv:1711.01558, whose 2 L is the mean squared distance of two draws from N(0, I).
    """

    def total(x: Tensor, y: Tensor) -> Tensor:
        return _likeness(x, y, kernel, scales).sum((-2, -1))

    def within(x: Tensor) -> Tensor:
        count = x.shape[-2]
        return (total(x, x) - count * len(scales)) / (count * (count - 1))

    if min(a.shape[-2], b.shape[-2]) < 2:
        return 0 * total(a, b)
    return within(a) + within(b) - 2 * total(a, b) / (a.shape[-2] * b.shape[-2])


def sliced_wasserstein(
    a: Float[Tensor, "K N L"], b: Float[Tensor, "K N L"], projections: int = 50
) -> Float[Tensor, " K"]:
    r"""Squared 2-Wasserstein distance of two sets of draws, averaged over random lines through the origin.

    .. math::
        \mathrm{SW}_2^2 = \frac{1}{P N} \sum_{p, i} \left( (\theta_p^\top a)_{(i)} - (\theta_p^\top b)_{(i)} \right)^2

    For few draws it is biased upwards: two sets of ten from the same N(0, I) are about 0.4 apart.

    Source:
        Sliced Wasserstein auto-encoders (Kolouri et al., 2018), arXiv:1804.01947, algorithm 1.
    """
    lines = torch.randn(projections, a.shape[-1], dtype=a.dtype, device=a.device)
    lines = lines / lines.norm(dim=-1, keepdim=True)

    def sorted_along(x: Tensor) -> Tensor:
        return (x.unsqueeze(-2) * lines).sum(-1).sort(-2).values

    return (sorted_along(a) - sorted_along(b)).square().mean((-2, -1))


def _matched(
    objective: Objective, base: ELBO, weight: float, trace: Trace, progress: Progress, distance: Callable[..., Tensor]
) -> Bound:
    """A weighted ELBO less the weighted distance of the whole batch's codes from as many draws from the prior."""
    owner = type(objective).__name__
    if base.beta and isinstance(trace.q, PointMass):
        raise RefusedError(
            f"{owner}: q(z|x) is a point mass, so KL(q || p) is infinite. Set alpha to 1, which leaves the KL out, or "
            "take a posterior with a density, such as 'normal'."
        )
    p_z = require_prior(owner, trace)
    codes = objective.group.whole(comparable_codes(owner, trace), 1)
    if not base.beta:
        require_moved(owner, p_z, codes)
    found = distance(codes, prior_draws(p_z, codes.shape)).mean()
    cost = weight * found
    value = base.bound(trace, progress).value if base.beta else penalised(-trace.distortion, trace)
    return Bound(value - cost, plain_terms(trace, cost) | {"distance": found.detach().expand_as(value)})


def _require_weights(owner: str, alpha: float, weight: float, base: ELBO) -> None:
    if not (alpha <= 1 and alpha + weight >= 1):
        raise PartError(
            f"{owner}: alpha is {alpha} and weight {weight}, expected alpha of 1 or less and alpha + weight of 1 or "
            "more: KL and distance weigh 1 - alpha and alpha + weight - 1."
        )
    if alpha == 1 and (base.warmup or base.free_bits):
        raise PartError(
            f"{owner}: warmup and free_bits are of the KL, which alpha = 1 leaves out. Remove them, or lower alpha."
        )


def _require_kernel(owner: str, kernel: str, scales: Sequence[float]) -> None:
    if kernel not in KERNELS:
        raise PartError(f"{owner}: kernel is {kernel!r}. {nearest(kernel, KERNELS)}")
    if not scales or not min(scales) > 0:
        raise PartError(f"{owner}: scales is {list(scales)}, expected one or more positive numbers.")


class DiscrepancyBound(Objective):
    r"""Matches the aggregate posterior to the prior by maximum mean discrepancy (InfoVAE, WAE-MMD).

    .. math::
        \mathcal{L}(x) = E_q[\log p(x \mid z)] - (1 - \alpha)\, \mathrm{KL}(q(z \mid x) \| p(z))
        - (\alpha + \lambda - 1)\, \mathrm{MMD}^2(q(z) \| p(z))

    alpha = 1 leaves the KL out: the Wasserstein autoencoder, whose q may be a point mass. There ``elbo`` shows minus
    the distortion and the weighted discrepancy, and the best weights are chosen by that.

    Args:
        samples: Draws of z per example, K.
        alpha: Weight of the mutual information of x and z, 1 or less.
        weight: lambda.
        kernel: ``imq`` (inverse multiquadratic) or ``rbf`` (Gaussian).
        scales: Widths of the kernels, as multiples of 2 L.
        warmup: Share of training over which the weight of the KL rises from 0.
        free_bits: Nats of KL per latent group that cost nothing.
    Raises:
        PartError: if a weight would be negative, the kernel is unknown, or a scale is not positive.
        RefusedError: if there is no prior, examples share draws, draws are relaxed, or q is a point mass and alpha is
            not 1.
    Source:
        InfoVAE (Zhao et al., 2017), arXiv:1706.02262, eq. 6; Wasserstein auto-encoders (Tolstikhin et al., 2018),
        arXiv:1711.01558, algorithm 2 (WAE-MMD).
    """

    def __init__(
        self,
        samples: int = 1,
        alpha: float = 1.0,
        weight: float = 10.0,
        kernel: Kernel = "imq",
        scales: Sequence[float] = SCALES,
        warmup: float = 0.0,
        free_bits: float = 0.0,
    ) -> None:
        super().__init__(samples)
        _require_kernel("DiscrepancyBound", kernel, scales)
        self.base = ELBO(samples, beta=max(0.0, 1 - alpha), warmup=warmup, free_bits=free_bits)
        _require_weights("DiscrepancyBound", alpha, weight, self.base)
        self.alpha, self.weight, self.scales = alpha, weight, tuple(scales)
        self.kernel: Kernel = kernel
        self.warmup, self.free_bits = warmup, free_bits

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        weight = self.alpha + self.weight - 1
        return _matched(self, self.base, weight, trace, progress, self.distance)

    def distance(self, codes: Draws, draws: Draws) -> Float[Tensor, " K"]:
        """The squared discrepancy of codes from draws."""
        return maximum_mean_discrepancy(codes, draws, self.kernel, self.scales)


class SlicedBound(Objective):
    r"""Matches the aggregate posterior to the prior by the sliced Wasserstein distance (SWAE).

    .. math::
        \mathcal{L}(x) = E_q[\log p(x \mid z)] - (1 - \alpha)\, \mathrm{KL}(q(z \mid x) \| p(z))
        - (\alpha + \lambda - 1)\, \mathrm{SW}_2^2(q(z), p(z))

    alpha = 1, the paper's method, leaves the KL out, as in :class:`DiscrepancyBound`.

    Args:
        samples: Draws of z per example, K.
        alpha: 1 less the weight of the KL, 1 or less.
        weight: lambda.
        projections: Number of random lines.
        warmup: Share of training over which the weight of the KL rises from 0.
        free_bits: Nats of KL per latent group that cost nothing.
    Raises:
        PartError: if a weight would be negative, or projections < 1.
        RefusedError: if there is no prior, examples share draws, draws are relaxed, or q is a point mass and alpha is
            not 1.
    Source:
        Sliced Wasserstein auto-encoders (Kolouri et al., 2018), arXiv:1804.01947, algorithm 1. The paper adds an
        absolute error to its squared one; we leave the likelihood to the model.
    """

    def __init__(
        self,
        samples: int = 1,
        alpha: float = 1.0,
        weight: float = 10.0,
        projections: int = 50,
        warmup: float = 0.0,
        free_bits: float = 0.0,
    ) -> None:
        super().__init__(samples)
        require_at_least("SlicedBound", 1, projections=projections)
        self.base = ELBO(samples, beta=max(0.0, 1 - alpha), warmup=warmup, free_bits=free_bits)
        _require_weights("SlicedBound", alpha, weight, self.base)
        self.alpha, self.weight, self.projections = alpha, weight, projections
        self.warmup, self.free_bits = warmup, free_bits

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        return _matched(self, self.base, self.alpha + self.weight - 1, trace, progress, self.distance)

    def distance(self, codes: Draws, draws: Draws) -> Float[Tensor, " K"]:
        """The squared sliced distance of codes from draws."""
        return sliced_wasserstein(codes, draws, self.projections)


class StyleMatchBound(Objective):
    r"""ELBO of a model of groups, whose styles have the prior's distribution within each group.

    .. math::
        \mathcal{L}(x) = \mathrm{ELBO}(x) - \lambda\, E_G\left[\mathrm{MMD}^2(q(s \mid G) \| p(s))\right], \qquad
        q(s \mid G) = \tfrac{1}{|G|} \sum_{i \in G} q(s \mid x_i)

    The KL of the styles is :math:`I(s; x \mid G) + \mathrm{KL}(q(s \mid G) \| p(s))`: what the term weighs more is what
    a style tells of its group, which the content should tell. Groups count by their members in the batch, but for those
    of one, of which nothing can be said. On the validation split, where examples are encoded by themselves, the bound
    is the ELBO.

    Args:
        samples: Draws of z per example, K.
        weight: lambda.
        kernel: ``imq`` (inverse multiquadratic) or ``rbf`` (Gaussian).
        scales: Widths of the kernels, as multiples of 2 L.
        warmup: Share of training over which the weight of the KL rises from 0.
        free_bits: Nats of KL per latent group that cost nothing.
    Raises:
        PartError: if the weight is negative, the kernel is unknown, or a scale is not positive.
        RefusedError: in training, if the model is none of groups.
    Source:
        The distance is that of InfoVAE (Zhao et al., 2017), arXiv:1706.02262, taken group by group; that is ours.
    """

    def __init__(
        self,
        samples: int = 1,
        weight: float = 100.0,
        kernel: Kernel = "imq",
        scales: Sequence[float] = SCALES,
        warmup: float = 0.0,
        free_bits: float = 0.0,
    ) -> None:
        super().__init__(samples)
        _require_kernel("StyleMatchBound", kernel, scales)
        require_at_least("StyleMatchBound", 0, weight=weight)
        self.base = ELBO(samples, warmup=warmup, free_bits=free_bits)
        self.weight, self.scales = weight, tuple(scales)
        self.kernel: Kernel = kernel
        self.warmup, self.free_bits = warmup, free_bits

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        base = self.base.bound(trace, progress)
        if not isinstance(trace.q, Grouped):
            if self.training:
                raise RefusedError(
                    "StyleMatchBound: there are no groups in this batch. Take a model of groups, such as 'ml-vae', and "
                    "data with labels."
                )
            return base
        styles = self.group.whole(trace.z[..., trace.q.content_dim :], 1)
        found = self.distance(styles, trace.q.members.together).mean()
        cost = self.weight * found
        return Bound(base.value - cost, base.terms | {"distance": found.detach().expand_as(base.value)})

    def distance(self, styles: Draws, together: Bool[Tensor, "N N"]) -> Float[Tensor, " K"]:
        """The mean squared discrepancy of the styles of each group from draws of the prior N(0, I)."""
        together = together.to(styles).fill_diagonal_(0)
        peers = together.sum(1)
        counted = (peers > 0).to(styles)
        draws = torch.randn_like(styles)
        within = _likeness(styles, styles, self.kernel, self.scales) * (together / peers.clamp_min(1).unsqueeze(1))
        across = _likeness(styles, draws, self.kernel, self.scales).mean(-1) * counted
        own = _likeness(draws, draws, self.kernel, self.scales).sum((-2, -1)) - len(draws[0]) * len(self.scales)
        own = own / max(1, len(draws[0]) * (len(draws[0]) - 1))
        many = counted.sum().clamp_min(1)
        return within.sum((-2, -1)) / many + own * (counted.sum() > 0) - 2 * across.sum(-1) / many
