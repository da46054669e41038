"""Bounds that hold a rate or a distortion at a target."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reparam.errors import PartError
from reparam.objectives.base import Objective
from reparam.objectives.common import elbo_terms, penalised, require_at_least, require_noise
from reparam.objectives.schedules import require_warmup, warmup_weight
from reparam.trace import Bound, Progress, Trace

MOST_LOG = 14.0  # a multiplier stays between one millionth and a million


class Multiplier(nn.Module):
    r"""A positive Lagrange multiplier that follows the moving average of its constraint.

    .. math::
        \bar C \leftarrow d\, \bar C + (1 - d)\, C, \qquad \lambda \leftarrow \lambda\, e^{\nu \bar C}

    It is no parameter: no player moves it, and a checkpoint keeps it with the objective's buffers. A constraint that
    is not finite leaves everything as it was.

    Args:
        speed: nu.
        decay: d.
    Raises:
        PartError: if speed is negative, or decay is not in [0, 1).
    Source:
        Taming VAEs (Rezende & Viola, 2018), arXiv:1810.00597, algorithm 1. The constraint counts as at most +-1, so
        that the first steps do not wind lambda up, and lambda is kept within exp(+-14).
    """

    log_value: Tensor
    average: Tensor
    steps: Tensor

    def __init__(self, speed: float, decay: float) -> None:
        super().__init__()
        require_at_least("Multiplier", 0, speed=speed)
        if not 0 <= decay < 1:
            raise PartError(f"Multiplier: decay is {decay}, expected a number from 0 to below 1.")
        self.speed, self.decay = speed, decay
        for name in ("log_value", "average", "steps"):
            self.register_buffer(name, torch.zeros(()))

    def forward(self) -> Float[Tensor, ""]:
        """lambda."""
        return self.log_value.exp()

    @torch.no_grad()
    def follow(self, constraint: Float[Tensor, ""]) -> None:
        """Takes note of a constraint: above 0 it is violated, and the multiplier grows."""
        sound, found = constraint.isfinite(), constraint.to(self.average).clamp(-1.0, 1.0)
        average = torch.where(self.steps == 0, found, found.lerp(self.average, self.decay))
        self.average.copy_(torch.where(sound, average, self.average))
        moved = (self.log_value + self.speed * self.average).clamp(-MOST_LOG, MOST_LOG)
        self.log_value.copy_(torch.where(sound, moved, self.log_value))
        self.steps.add_(sound)


class ReconstructionConstraint(Objective):
    r"""Smallest rate whose distortion stays below a tolerance (GECO).

    .. math::
        \min \mathrm{KL}(q \| p) \;\text{ subject to }\; C = \tfrac1D E_q[-\log p(x \mid z)] - \tau \le 0, \qquad
        \mathcal{L}(x) = -\mathrm{KL}(q \| p) - \lambda D\, C

    lambda = 1 is the ELBO but for a constant. The distortion is counted in nats for each of the D values of x: with
    Normal noise of a fixed scale that is the paper's squared error, with Bernoulli noise the cross-entropy. D counts
    values that are not there too, such as those behind the end of a sequence.

    Args:
        samples: Draws of z per example, K.
        tau: Tolerated distortion per data dimension, nats; below 0 where densities are above 1.
        speed: How fast lambda follows.
        decay: Decay of the constraint's moving average.
    Raises:
        PartError: if tau is not finite, speed is negative, or decay is not in [0, 1).
        RefusedError: if q is a point mass.
    Source:
        Taming VAEs (Rezende & Viola, 2018), arXiv:1810.00597, section 2 and algorithm 1.
    """

    steady = False

    def __init__(self, samples: int = 1, tau: float = 0.1, speed: float = 0.01, decay: float = 0.99) -> None:
        super().__init__(samples)
        require_at_least("ReconstructionConstraint", -1e6, tau=tau)
        self.tau, self.speed, self.decay = tau, speed, decay
        self.multiplier = Multiplier(speed, decay)

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        require_noise("ReconstructionConstraint", trace)
        distortion, rate = trace.distortion, trace.rate
        size = trace.p_x.event_shape.numel()
        multiplier = self.multiplier()
        value = -(rate + multiplier * (distortion - size * self.tau))
        if self.training:
            self.multiplier.follow(self.group.mean(distortion.detach().mean()) / size - self.tau)
        shown = {"multiplier": multiplier.to(value).expand_as(value)}
        return Bound(penalised(value, trace), elbo_terms(distortion, rate) | shown)


class RateConstraint(Objective):
    r"""Smallest distortion whose rate stays below a target (information bottleneck).

    .. math::
        \min E_q[-\log p(x \mid z)] \;\text{ subject to }\; C = \mathrm{KL}(q \| p) / R - 1 \le 0, \qquad
        \mathcal{L}(x) = -E_q[-\log p(x \mid z)] - \lambda \left(\mathrm{KL}(q \| p) - R\right)

    The rate bounds the information I(x; z) that codes carry from above, so R is the width of the bottleneck. lambda is
    the beta of a beta-VAE, found instead of guessed.

    Args:
        samples: Draws of z per example, K.
        target: Rate R, nats.
        speed: How fast lambda follows.
        decay: Decay of the constraint's moving average.
    Raises:
        PartError: if target is not positive, speed is negative, or decay is not in [0, 1).
        RefusedError: if q is a point mass.
    Source:
        Deep variational information bottleneck (Alemi et al., 2017), arXiv:1612.00410, eq. 2 (the constrained form),
        with x in place of its label and the multiplier of :class:`Multiplier`, which the paper keeps fixed.
    """

    steady = False

    def __init__(self, samples: int = 1, target: float = 10.0, speed: float = 0.01, decay: float = 0.99) -> None:
        super().__init__(samples)
        require_at_least("RateConstraint", 1e-6, target=target)
        self.target, self.speed, self.decay = target, speed, decay
        self.multiplier = Multiplier(speed, decay)

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        require_noise("RateConstraint", trace)
        distortion, rate = trace.distortion, trace.rate
        multiplier = self.multiplier()
        value = -(distortion + multiplier * (rate - self.target))
        if self.training:
            self.multiplier.follow(self.group.mean(rate.detach().mean()) / self.target - 1)
        shown = {"multiplier": multiplier.to(value).expand_as(value)}
        return Bound(penalised(value, trace), elbo_terms(distortion, rate) | shown)


class CapacityBound(Objective):
    r"""Holds the rate at a capacity that rises as training goes on.

    .. math::
        \mathcal{L}(x) = E_q[\log p(x \mid z)] - \gamma \left| \mathrm{KL}(q \| p) - C(t) \right|

    The KL between the bars is the mean over the batch. C(t) rises from 0 to ``capacity`` and stays there.

    Args:
        samples: Draws of z per example, K.
        gamma: Weight of the deviation.
        capacity: Last value of C, nats.
        warmup: Share of training over which C rises.
    Raises:
        PartError: if gamma or capacity is negative, or the warm-up is not in [0, 1].
        RefusedError: if q is a point mass.
    Source:
        Understanding disentangling in beta-VAE (Burgess et al., 2018), arXiv:1804.03599, eq. 8.
    """

    def __init__(self, samples: int = 1, gamma: float = 1000.0, capacity: float = 25.0, warmup: float = 0.5) -> None:
        super().__init__(samples)
        require_at_least("CapacityBound", 0, gamma=gamma, capacity=capacity)
        require_warmup("CapacityBound", warmup, "linear", 1)
        self.gamma, self.capacity, self.warmup = gamma, capacity, warmup

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        require_noise("CapacityBound", trace)
        distortion, rate = trace.distortion, trace.rate
        capacity = self.capacity * warmup_weight(progress, self.warmup)
        side = (self.group.mean(rate.detach().mean()) - capacity).sign()
        value = -(distortion + self.gamma * side * (rate - capacity))
        return Bound(penalised(value, trace), elbo_terms(distortion, rate))
