"""Likelihoods of counts: whole numbers from 0 on, without an upper bound."""

from abc import ABC
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Independent

from reparam.distributions import NegativeBinomial, Poisson, ZeroInflated, joint
from reparam.errors import PartError, nearest
from reparam.likelihoods.base import Likelihood
from reparam.networks import bounded
from reparam.shapes import Shape

Dispersion = Literal["shared", "each"]

LOG_MEAN_RANGE = (-12.0, 20.0)
LOG_THETA_RANGE = (-6.0, 12.0)
LOG_THETA_START = (-3.0, 5.0)
LOGIT_RANGE = (-12.0, 12.0)


class InverseDispersion(nn.Module):
    """Where theta comes from: ``shared``, learned by gradient, one for each value of x; ``each``, from the decoder.

    log theta stays in (-6, 12), softly. A learned one begins where variance and mean of training examples put it as if
    they had no z, within (-3, 5): m^2 / (v - m).

    Raises:
        PartError: if the dispersion is neither.
    """

    def __init__(self, data_shape: Shape, dispersion: Dispersion) -> None:
        super().__init__()
        if dispersion not in get_args(Dispersion):
            raise PartError(f"dispersion is {dispersion!r}. {nearest(dispersion, get_args(Dispersion))}")
        self.arguments = int(dispersion == "each")
        self.log_theta = None if self.arguments else nn.Parameter(torch.zeros(data_shape))

    @torch.no_grad()
    def start(self, x: Float[Tensor, "N ..."]) -> None:
        """Looks how the data vary."""
        if self.log_theta is not None:
            mean, variance = x.mean(0) + 1 / len(x), x.var(0, correction=0)
            excess = (variance - mean).clamp_min(1e-6 * mean.square())
            self.log_theta.copy_((2 * mean.log() - excess.log()).clamp(*LOG_THETA_START))

    def forward(self, own: tuple[Tensor, ...]) -> Tensor:
        """theta, from the arguments that the decoder gives for it."""
        (log_theta,) = own if self.log_theta is None else (self.log_theta,)
        return bounded(log_theta, *LOG_THETA_RANGE).exp()


class CountLikelihood(Likelihood, ABC):
    r"""Whole numbers around a mean whose log the decoder gives, as a difference from where the data lie.

    .. math:: \log \mu_d = m_d + h_d, \qquad m_d = \log \frac{1 + \sum_n x_{nd}}{1 + N}

    m is that of N training examples, seen once before the first step, so that the decoder begins at the data in
    whatever size they come; until then it is 0. The log of mu stays in (-12, 20), softly.

    Attributes:
        log_mean: m, (*data_shape).
    """

    of_counts = True
    log_mean: Tensor
    seen: Tensor

    def __init__(self, data_shape: Shape, arguments: int) -> None:
        super().__init__(data_shape, arguments)
        self.register_buffer("log_mean", torch.zeros(self.data_shape))
        self.register_buffer("seen", torch.tensor(0.0))

    @property
    def starts(self) -> bool:  # type: ignore[override]
        """True until it has seen where the data lie."""
        return not bool(self.seen)

    @torch.no_grad()
    def start(self, x: Float[Tensor, "N ..."]) -> None:
        """Looks where the data lie."""
        self.log_mean.copy_(((1 + x.sum(0)) / (1 + len(x))).log())
        self.seen.fill_(1.0)
        for part in self.children():
            assert isinstance(part, InverseDispersion)
            part.start(x)

    def mean(self, h: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """mu, (*batch, *data_shape), from the first of the decoder's arguments."""
        return bounded(h + self.log_mean.to(h.dtype), *LOG_MEAN_RANGE).exp()


class PoissonLikelihood(CountLikelihood):
    r"""Counts of independent events: their variance is their mean.

    .. math:: \log p(x \mid z) = \sum_d \left[x_d \log \mu_d - \mu_d - \log x_d!\right]

    Shapes:
        h: (*batch, *data_shape), log mu beside m
        x: whole numbers from 0 on  ->  log p(x|z): nats
    Args:
        data_shape: Shape of one example.
    """

    def __init__(self, data_shape: Shape) -> None:
        super().__init__(data_shape, 1)

    def distribution(self, h: Float[Tensor, "..."]) -> Independent:
        return joint(Poisson(self.mean(h), validate_args=False), len(self.data_shape))


class NegativeBinomialLikelihood(CountLikelihood):
    r"""Counts that vary more than those of independent events, by mean mu and inverse dispersion theta.

    .. math::
        p(x_d \mid z) = \frac{\Gamma(x_d + \theta_d)}{\Gamma(\theta_d)\, x_d!}
            \left(\frac{\theta_d}{\theta_d + \mu_d}\right)^{\theta_d}
            \left(\frac{\mu_d}{\theta_d + \mu_d}\right)^{x_d},
        \qquad \mathrm{Var}[x_d] = \mu_d + \mu_d^2 / \theta_d

    Shapes:
        h: (*batch, *data_shape), log mu beside m; (*batch, 2 * C, ...) with log theta behind it for ``each``
        x: whole numbers from 0 on  ->  log p(x|z): nats
    Args:
        data_shape: Shape of one example.
        dispersion: ``shared``: a theta for each value of x, the same for all examples; ``each``: one for every value of
            every example, from the decoder.
    Raises:
        PartError: if the dispersion is unknown.
    Source:
        Deep generative modeling for single-cell transcriptomics (Lopez et al., 2018), scVI, there the dispersions
        ``gene`` and ``gene-cell``. Its mean is a share of the cell's total, which is a latent of its own there; here z
        codes the total.
    """

    def __init__(self, data_shape: Shape, dispersion: Dispersion = "shared") -> None:
        theta = InverseDispersion(data_shape, dispersion)
        super().__init__(data_shape, 1 + theta.arguments)
        self.dispersion, self.theta = dispersion, theta

    def distribution(self, h: Float[Tensor, "..."]) -> Independent:
        log_mean, *own = self.split(h)
        return joint(NegativeBinomial(self.mean(log_mean), self.theta(tuple(own))), len(self.data_shape))


class ZeroInflatedNegativeBinomialLikelihood(CountLikelihood):
    r"""A negative binomial likelihood in which some zeros have a reason of their own, such as a failed measurement.

    .. math::
        p(x_d \mid z) = \pi_d\, [x_d = 0] + (1 - \pi_d)\, \mathrm{NB}(x_d; \mu_d, \theta_d),
        \qquad \pi_d = \sigma(l_d)

    Shapes:
        h: (*batch, 2 * C, ...), log mu beside m, then the logits l beside -2; (*batch, 3 * C, ...) with log theta
            behind them for ``each``
        x: whole numbers from 0 on  ->  log p(x|z): nats
    Args:
        data_shape: Shape of one example.
        dispersion: As in :class:`NegativeBinomialLikelihood`. l stays in (-12, 12), softly.
    Raises:
        PartError: if the dispersion is unknown.
    Source:
        Deep generative modeling for single-cell transcriptomics (Lopez et al., 2018), scVI, ``zinb``.
    """

    def __init__(self, data_shape: Shape, dispersion: Dispersion = "shared") -> None:
        theta = InverseDispersion(data_shape, dispersion)
        super().__init__(data_shape, 2 + theta.arguments)
        self.dispersion, self.theta = dispersion, theta

    def distribution(self, h: Float[Tensor, "..."]) -> Independent:
        log_mean, logits, *own = self.split(h)
        counted = NegativeBinomial(self.mean(log_mean), self.theta(tuple(own)))
        return joint(ZeroInflated(counted, bounded(logits - 2, *LOGIT_RANGE)), len(self.data_shape))
