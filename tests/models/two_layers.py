r"""A hierarchy of two linear-Gaussian groups, whose log p(x) and posterior are known.

.. math:: z_1 \sim N(0, 1), \; z_2 | z_1 \sim N(a z_1, s^2), \; x | z \sim N(W z + b, \sigma^2 I)

With z = (z_1, z_2) a Normal of covariance S: x ~ N(b, W S W^T + sigma^2 I), and z | x is a Normal of precision
S^-1 + W^T W / sigma^2, which factorises into z_1 | x and z_2 | z_1, x.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from reparam.likelihoods import NormalLikelihood
from reparam.models import HierarchicalVAE
from reparam.networks.bounded import LOG_SCALE_RANGE
from reparam.networks.hierarchy import (
    Codes,
    Features,
    Group,
    Hierarchy,
    Numbers,
    Path,
    descend,
    inference_of,
    loc_scale,
)
from reparam.priors import NormalPrior
from reparam.rng import reseed

D, A, S, SIGMA = 3, 0.8, 0.6, 0.5


def unbounded(scale: float) -> float:
    """What must be given for a scale: the inverse of ``bounded``, then exp."""
    low, high = LOG_SCALE_RANGE
    log_scale = torch.tensor(scale, dtype=torch.float64).log()
    above_low = torch.log(torch.expm1(log_scale - low))
    return (high - torch.log(torch.expm1(high - low - above_low))).item()


class Affine(nn.Module):
    """A location that is linear in all inputs, and a constant unbounded log-scale."""

    def __init__(self, weight: Tensor, bias: Tensor, scale: float) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.log_scale = nn.Parameter(torch.full_like(bias, unbounded(scale)))

    def forward(self, *inputs: Tensor) -> Numbers:
        loc = torch.cat(inputs, -1) @ self.weight.T + self.bias
        return loc, self.log_scale.expand_as(loc)


class LinearGroup(Group):
    """State: the codes so far."""

    def __init__(self, p_net: Affine | None, q_net: Affine) -> None:
        super().__init__()
        self.p_net, self.q_net = p_net, q_net

    def prior(self, state: Codes) -> tuple[Codes, Numbers | None]:
        return state, None if self.p_net is None else self.p_net(*state)

    def posterior(self, state: Codes, features: Features) -> Numbers:
        return self.q_net(*features, *state)

    def absorb(self, state: Codes, z: Tensor) -> Codes:
        return (*state, z)


class TwoLayers(Hierarchy):
    """Features are x itself."""

    def __init__(self, groups: list[LinearGroup], weight: Tensor, bias: Tensor) -> None:
        super().__init__((D,), (D,), (1, 1))
        self.up, self.groups = nn.Identity(), nn.ModuleList(groups)
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def bottom_up(self, x: Tensor) -> Features:
        return (x,)

    def top(self, features: Features) -> Numbers:
        return loc_scale(self.groups[0].posterior((), features))  # type: ignore[operator]

    def forward(self, features: Features | None, noise: Codes | None, given: Codes = ()) -> Path:
        return descend(self.groups, "joint", (), features, noise, given, self._finish)

    def _finish(self, state: Codes) -> Tensor:
        return torch.cat(state, -1) @ self.weight.T + self.bias

    def inference(self) -> Iterator[nn.Parameter]:
        return inference_of(self.up, self.groups)


@dataclass
class Truth:
    """All that is known."""

    weight: Tensor
    bias: Tensor

    @property
    def covariance(self) -> Tensor:
        """Of z under the prior."""
        return torch.tensor([[1.0, A], [A, A**2 + S**2]], dtype=torch.float64)

    @property
    def p_x(self) -> MultivariateNormal:
        noise = SIGMA**2 * torch.eye(D, dtype=torch.float64)
        return MultivariateNormal(self.bias, self.weight @ self.covariance @ self.weight.T + noise)

    @property
    def posterior_covariance(self) -> Tensor:
        return torch.linalg.inv(torch.linalg.inv(self.covariance) + self.weight.T @ self.weight / SIGMA**2)

    @property
    def gain(self) -> Tensor:
        """E[z|x] = gain (x - b), (2, D)."""
        return self.posterior_covariance @ self.weight.T / SIGMA**2

    def posterior(self, x: Tensor) -> MultivariateNormal:
        covariance = self.posterior_covariance
        return MultivariateNormal((x - self.bias) @ self.gain.T, (covariance + covariance.T) / 2)


def truth() -> Truth:
    reseed(0)
    return Truth(torch.randn(D, 2, dtype=torch.float64), torch.randn(D, dtype=torch.float64))


def affine(gain: Tensor, slope: float | None, at: Tensor, scale: float) -> Affine:
    """q of one group: gain (x - at), plus slope times the code above."""
    weight = gain[None] if slope is None else torch.cat([gain, gain.new_tensor([slope])])[None]
    return Affine(weight, -(gain @ at)[None], scale)


def exact(known: Truth) -> list[Affine]:
    """q that is the posterior."""
    covariance, gain = known.posterior_covariance, known.gain
    slope = (covariance[1, 0] / covariance[0, 0]).item()
    left = (covariance[1, 1] - slope * covariance[0, 1]).sqrt().item()
    return [
        affine(gain[0], None, known.bias, covariance[0, 0].sqrt().item()),
        affine(gain[1] - slope * gain[0], slope, known.bias, left),
    ]


def wrong(known: Truth) -> list[Affine]:
    """q that is not: too wide, so that importance weights are bounded, and in the wrong place."""
    wide = 1.6 * known.posterior_covariance.diagonal().sqrt()
    return [
        affine(0.8 * known.gain[0], None, known.bias, wide[0].item()),
        affine(0.7 * known.gain[1], 0.1, known.bias, wide[1].item()),
    ]


def model(known: Truth, q_nets: list[Affine], **more: Any) -> HierarchicalVAE:
    one = torch.full((1, 1), A, dtype=torch.float64)
    p_net = Affine(one, torch.zeros(1, dtype=torch.float64), S)
    groups = [LinearGroup(None, q_nets[0]), LinearGroup(p_net, q_nets[1])]
    hierarchy = TwoLayers(groups, known.weight.clone(), known.bias.clone())
    return HierarchicalVAE(hierarchy, NormalPrior(1), NormalLikelihood((D,), SIGMA), **more).double().eval()


def examples(known: Truth, count: int = 6) -> Tensor:
    reseed(9)
    return known.p_x.sample(torch.Size([count]))
