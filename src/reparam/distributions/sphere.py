"""Distributions on the unit sphere: uniform and von Mises-Fisher."""

import math

import numpy as np
import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints
from torch.nn import functional as F
from torch.types import _size

from reparam.distributions.bessel import log_bessel
from reparam.errors import RefusedError
from reparam.shapes import broadcast

PROPOSALS = 24
WIDTHS = 12.0
NODES, WEIGHTS = (values.tolist() for values in np.polynomial.legendre.leggauss(32))


def log_area(dim: int) -> float:
    r"""Logarithm of the area of the unit sphere in R^L, :math:`2 \pi^{L/2} / \Gamma(L/2)`."""
    return math.log(2) + 0.5 * dim * math.log(math.pi) - math.lgamma(0.5 * dim)


class UniformSphere(Distribution):
    r"""Uniform on the unit sphere in R^L.

    .. math:: p(z) = \frac{\Gamma(L/2)}{2 \pi^{L/2}}

    Shapes:
        like: (*batch, L), a tensor of the wanted shape, type and device
    """

    has_rsample = True
    arg_constraints = {}
    support = constraints.real_vector
    entangled = True

    def __init__(self, like: Tensor) -> None:
        self.like = like
        super().__init__(like.shape[:-1], like.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return torch.zeros_like(self.like)

    @property
    def variance(self) -> Tensor:
        return torch.full_like(self.like, 1 / self.like.shape[-1])

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "UniformSphere":
        return UniformSphere(self.like.expand(*batch_shape, self.like.shape[-1]))

    def rsample(self, sample_shape: _size = Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return F.normalize(torch.randn(shape, dtype=self.like.dtype, device=self.like.device), dim=-1)

    def tempered(self, shape: _size, temperature: float) -> Tensor:
        """Refuses: nothing of a uniform distribution can be made smaller.

        Raises:
            RefusedError: always.
        """
        raise RefusedError(
            f"The prior is uniform on the sphere: no draw is nearer to a centre than another, so a temperature of "
            f"{temperature:g} has no meaning. Use temperature=1."
        )

    def log_prob(self, value: Tensor) -> Tensor:
        shape = broadcast(value.shape, self.like.shape)[:-1]
        return value.new_full(shape, -log_area(self.like.shape[-1]))


class VonMisesFisher(Distribution):
    r"""The Normal of the sphere: directions around ``loc``, the narrower the larger the concentration.

    .. math:: q(z) = C_L(\kappa)\, e^{\kappa \langle \mu, z \rangle}, \qquad
              C_L(\kappa) = \frac{\kappa^{L/2 - 1}}{(2\pi)^{L/2} I_{L/2-1}(\kappa)}

    ``mean`` is the mean *direction* mu, the point of the sphere nearest to E[z]; E[z] itself lies inside the sphere and
    is ``resultant * loc``. ``variance`` is that of the coordinates of z. The gradient with respect to the concentration
    is the implicit one of the distribution function of <mu, z>, integrated numerically: it is unbiased and needs no
    correction for the rejections, unlike that of the paper.

    Shapes:
        loc: (*batch, L), of length 1, L >= 2
        concentration: (*batch,), positive
    Source:
        Hyperspherical variational auto-encoders (Davidson et al., 2018), arXiv:1804.00891, eq. 3-4 and algorithm 1;
        rejection: Simulation of the von Mises Fisher distribution (Wood, 1994), algorithm VM; implicit gradient:
        Implicit reparameterization gradients (Figurnov et al., 2018), arXiv:1805.08498, eq. 6.
    """

    has_rsample = True
    exact_moments = False
    arg_constraints = {}
    support = constraints.real_vector
    entangled = True

    def __init__(self, loc: Tensor, concentration: Tensor) -> None:
        dim = loc.shape[-1]
        scaled, ratio = log_bessel(0.5 * dim - 1, concentration)
        self.loc, self.concentration, self.ratio = loc, concentration, ratio
        self.log_peak = -0.5 * dim * math.log(2 * math.pi) - scaled  # log density at loc
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=False)

    @property
    def resultant(self) -> Tensor:
        """Length of E[z], from 0 to 1, (*batch,)."""
        return self.concentration * self.ratio

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        ratio, resultant = self.ratio.unsqueeze(-1), self.resultant.unsqueeze(-1)
        along = 1 - resultant.square() - self.loc.shape[-1] * ratio
        return (ratio + along * self.loc.square()).clamp_min(torch.finfo(self.loc.dtype).tiny)

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "VonMisesFisher":
        loc = self.loc.expand(*batch_shape, self.loc.shape[-1])
        return VonMisesFisher(loc, self.concentration.expand(batch_shape))

    def rsample(self, sample_shape: _size = Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        loc, dim = self.loc, shape[-1]
        eps = torch.randn(shape, dtype=loc.dtype, device=loc.device)
        across = _across(_across(eps, loc), loc)  # twice: where eps leads along loc the first one is rounding
        with torch.no_grad():
            gap = _draw_gap(shape[:-1], self.concentration, dim)
            slope = _gap_slope(gap, self.concentration, self.resultant, dim)
        gap = (gap + slope * (self.concentration - self.concentration.detach())).unsqueeze(-1)
        return (1 - gap) * loc + (gap * (2 - gap)).clamp_min(1e-20).sqrt() * across

    def tempered(self, shape: _size, temperature: float) -> Tensor:
        """Draws with the concentration over the squared temperature, to which the spread is proportional."""
        if temperature == 0:
            return self.loc.expand(self._extended_shape(shape))
        return VonMisesFisher(self.loc, self.concentration / temperature**2).sample(shape)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.log_peak - 0.5 * self.concentration * (value - self.loc).square().sum(-1)


def _across(eps: Tensor, loc: Tensor) -> Tensor:
    """The direction of what eps has at right angles to loc."""
    return F.normalize(eps - (eps * loc).sum(-1, keepdim=True) * loc, dim=-1)


def kl_to_uniform(q: VonMisesFisher, p: UniformSphere) -> Tensor:
    r"""KL(q || p) as one group, (*batch, 1), nats.

    .. math:: \mathrm{KL} = \kappa \frac{I_{L/2}(\kappa)}{I_{L/2-1}(\kappa)} + \log C_L(\kappa)
              + \log \frac{2 \pi^{L/2}}{\Gamma(L/2)}

    Source:
        Hyperspherical variational auto-encoders (Davidson et al., 2018), arXiv:1804.00891, eq. 5.
    """
    expected = q.log_peak + q.concentration * (q.resultant - 1)
    return (expected + log_area(p.event_shape[0])).unsqueeze(-1)


def _draw_gap(shape: Size, concentration: Tensor, dim: int) -> Tensor:
    """Draws 1 - <mu, z>, by the first accepted one of 24 of Wood's proposals.

    About two thirds of the proposals are accepted at worst, in any dimension, so that none of 24 is in less than one of
    10^10 draws; that one takes its first proposal. The symmetric Beta of the proposals is the coordinate of a uniform
    direction.
    """
    kappa = concentration.unsqueeze(-1)
    u = torch.rand((*shape, PROPOSALS, 3), dtype=kappa.dtype, device=kappa.device)
    b = (dim - 1) / (2 * kappa + (4 * kappa.square() + (dim - 1) ** 2).sqrt())
    radius = 1.0 if dim == 2 else (1 - u[..., 0] ** (2 / (dim - 2))).sqrt()
    beta = 0.5 * (1 + radius * (2 * math.pi * u[..., 1]).cos())
    gap = 2 * b * beta / (1 - (1 - b) * beta)
    log_ratio = kappa * (2 * b / (1 + b) - gap) + (dim - 1) * (0.5 * (1 + b) * (1 + gap * (1 - b) / (2 * b))).log()
    accepted = log_ratio >= u[..., 2].log()
    return gap.gather(-1, accepted.to(torch.uint8).argmax(-1, keepdim=True)).squeeze(-1)


def _gap_slope(gap: Tensor, concentration: Tensor, resultant: Tensor, dim: int) -> Tensor:
    r"""d gap / d kappa at a fixed value of the distribution function of w = <mu, z> = 1 - gap.

    With w = cos(theta), g(phi) = exp(kappa cos(phi)) sin(phi)^{L-2} and the mean resultant length A, it is
    sin(theta) times the integral of (cos(phi) - A) g(phi) / g(theta) from theta to either end, 0 or pi; the end on the
    far side of A is taken, where nothing cancels, or 12 widths of g where that is nearer.
    """
    width = WIDTHS / (concentration * resultant + dim - 2).sqrt()
    theta = 2 * (0.5 * gap).clamp(0, 1).sqrt().asin()
    end = torch.where(1 - gap > resultant, (theta - width).clamp_min(0), (theta + width).clamp_max(math.pi))
    nodes, weights = 0.5 * gap.new_tensor(NODES) + 0.5, 0.5 * gap.new_tensor(WEIGHTS)
    span, start = (end - theta).unsqueeze(-1), theta.unsqueeze(-1)
    phi = start + span * nodes
    tiny = torch.finfo(gap.dtype).tiny
    sines = phi.sin().clamp_min(tiny).log() - start.sin().clamp_min(tiny).log()
    cosines = -2 * (0.5 * (phi + start)).sin() * (0.5 * (phi - start)).sin()  # cos(phi) - cos(theta)
    ratio = (concentration.unsqueeze(-1) * cosines + (dim - 2) * sines).exp()
    above = (1 - gap - resultant).unsqueeze(-1) + cosines
    return theta.sin() * (above * ratio * weights).sum(-1) * (end - theta)
