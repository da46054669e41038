"""Distributions of whole numbers from 0 on, exact in float32 where counts and means are large."""

import math
from typing import Any

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints
from torch.distributions import Poisson as PlainPoisson
from torch.nn import functional as F
from torch.types import _size

from reparam.shapes import broadcast

HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)
SERIES_FROM = 8.0


def log_ratio(a: Tensor, b: Tensor, gap: Tensor) -> Tensor:
    """log(a / b) of positive numbers by a - b, the gap: log a - log b loses digits where they are close."""
    sign = torch.where(gap < 0, -1.0, 1.0).to(gap)
    return sign * torch.log1p(sign * gap / torch.minimum(a, b))


def stirling_error(y: Tensor) -> Tensor:
    r"""What Stirling's formula lacks, :math:`\log \Gamma(y) - (y - \tfrac12) \log y + y - \tfrac12 \log 2 \pi`.

    Source:
        Fast and accurate computation of binomial probabilities (Loader, 2000), whose errors are those of y!.
    """
    large = y.clamp_min(SERIES_FROM)
    square = 1 / (large * large)
    series = (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680))) / large
    small = y.clamp_max(SERIES_FROM)
    return torch.where(
        y < SERIES_FROM, torch.lgamma(small) - (small - 0.5) * small.log() + small - HALF_LOG_2_PI, series
    )


def digamma_error(y: Tensor) -> Tensor:
    r"""What the logarithm lacks of the digamma function, :math:`\psi(y) - \log y`: small, so two differ exactly."""
    large = y.clamp_min(SERIES_FROM)
    square = 1 / (large * large)
    series = -0.5 / large - square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - square / 240)))
    small = y.clamp_max(SERIES_FROM)
    return torch.where(y < SERIES_FROM, torch.digamma(small) - small.log(), series)


class Poisson(PlainPoisson):
    r"""Counts at a rate; torch's own, with a log probability that keeps its digits where counts are large.

    .. math:: \log p(n) = n \log \mu - \mu - \log n!
    """

    def log_prob(self, value: Tensor) -> Tensor:
        """As n log(mu / (n + 1)) + n + 1 - mu, and what Stirling's formula has besides."""
        above = value + 1
        rest = 0.5 * above.log() + HALF_LOG_2_PI + stirling_error(above)
        return value * log_ratio(self.rate, above, self.rate - above) + (above - self.rate) - rest


class _LogNegativeBinomial(torch.autograd.Function):
    r"""log p(n) of a negative binomial distribution, with its slopes by hand: half the time of those of each step.

    .. math::
        \frac{\partial \log p}{\partial \mu} = \frac{\theta (n - \mu)}{\mu (\theta + \mu)}, \qquad
        \frac{\partial \log p}{\partial \theta} = \psi(\theta + n) - \psi(\theta)
        - \log \frac{\theta + \mu}{\theta} + \frac{\mu - n}{\theta + \mu}
    """

    @staticmethod
    def forward(ctx: Any, n: Tensor, mu: Tensor, theta: Tensor) -> Tensor:
        """Gamma functions by Stirling's formula and its error, so that what cancels is never computed."""
        ctx.save_for_backward(n, mu, theta)
        total, above = theta + n, n + 1
        spread = log_ratio(total, theta + mu, n - mu)
        powers = theta * spread + n * (spread + log_ratio(mu, above, mu - above)) + 1
        roots = 0.5 * (theta.log() - total.log() - above.log()) - HALF_LOG_2_PI
        return powers + roots + stirling_error(total) - stirling_error(theta) - stirling_error(above)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[None, Tensor, Tensor]:
        """The slopes for mu and theta; n is no number that moves."""
        n, mu, theta = ctx.saved_tensors
        by_mu = (n - mu) / (theta + mu)
        total = theta + n
        by_theta = log_ratio(total, theta + mu, n - mu) - by_mu + digamma_error(total) - digamma_error(theta)
        (slope,) = slopes
        return None, (slope * by_mu * theta / mu).sum_to_size(mu.shape), (slope * by_theta).sum_to_size(theta.shape)


class NegativeBinomial(Distribution):
    r"""Counts at a rate that is drawn from a Gamma distribution: their variance is above their mean.

    .. math::
        p(n) = \frac{\Gamma(n + \theta)}{\Gamma(\theta)\, n!}
               \left(\frac{\theta}{\theta + \mu}\right)^\theta \left(\frac{\mu}{\theta + \mu}\right)^n, \qquad
        \mathrm{E}[n] = \mu, \quad \mathrm{Var}[n] = \mu + \mu^2 / \theta

    Shapes:
        mean, inverse_dispersion: (*batch), broadcast to each other
    Args:
        mean: mu, above 0.
        inverse_dispersion: theta, above 0; infinite it would be a Poisson distribution.
    """

    arg_constraints = {}
    support = constraints.nonnegative_integer

    def __init__(self, mean: Tensor, inverse_dispersion: Tensor) -> None:
        self.mu, self.theta = mean, inverse_dispersion  # a theta that many share is computed with once
        super().__init__(Size(broadcast(mean.shape, inverse_dispersion.shape)), validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.mu.expand(self.batch_shape)

    @property
    def variance(self) -> Tensor:
        return self.mu + self.mu.square() / self.theta

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "NegativeBinomial":
        return NegativeBinomial(self.mu.expand(batch_shape), self.theta)

    @torch.no_grad()
    def sample(self, sample_shape: _size = Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        noise = torch._standard_gamma(self.theta.expand(shape))
        return torch.poisson(noise * (self.mu / self.theta))

    def log_prob(self, value: Tensor) -> Tensor:
        found: Tensor = _LogNegativeBinomial.apply(value, self.mu, self.theta)  # type: ignore[no-untyped-call]
        return found


class ZeroInflated(Distribution):
    r"""Counts of which some are 0 for a reason of their own.

    .. math:: p(0) = \pi + (1 - \pi)\, p_0(0), \qquad p(n) = (1 - \pi)\, p_0(n), \quad \pi = \sigma(l)

    Shapes:
        base: batch (*batch), scalar events
        logits: l, (*batch)
    Source:
        Zero-inflated Poisson regression (Lambert, 1992), for any distribution of counts p_0.
    """

    arg_constraints = {}
    support = constraints.nonnegative_integer

    def __init__(self, base: Distribution, logits: Tensor) -> None:
        self.base, self.logits = base, logits
        super().__init__(base.batch_shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        return torch.sigmoid(-self.logits) * self.base.mean

    @property
    def variance(self) -> Tensor:
        extra = torch.sigmoid(self.logits) * self.base.mean.square()
        return torch.sigmoid(-self.logits) * (self.base.variance + extra)

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "ZeroInflated":
        return ZeroInflated(self.base.expand(batch_shape), self.logits.expand(batch_shape))

    @torch.no_grad()
    def sample(self, sample_shape: _size = Size()) -> Tensor:
        drawn = self.base.sample(sample_shape)
        return drawn * torch.rand_like(drawn).ge(torch.sigmoid(self.logits))

    def log_prob(self, value: Tensor) -> Tensor:
        counted = self.base.log_prob(value) - F.softplus(self.logits)
        return torch.where(value == 0, torch.logaddexp(counted, -F.softplus(-self.logits)), counted)
