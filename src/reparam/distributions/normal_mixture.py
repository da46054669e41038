"""Mixtures of Normals: one whose draws have a gradient, and one that many codes are measured against."""

import math

import torch
from torch import Size, Tensor
from torch.distributions import Independent, MixtureSameFamily, Normal
from torch.nn import functional as F
from torch.types import _size

from reparam.distributions.noise import gumbel


class NormalMixture(MixtureSameFamily):
    r"""Mixture of M diagonal Normals with implicit reparameterisation gradients.

    .. math:: q(z) = \sum_m \pi_m \prod_l \mathcal{N}(z_l; \mu_{ml}, \sigma_{ml}^2)

    A draw chooses a component, which has no gradient. Yet all conditional distribution functions
    :math:`u_l = F(z_l \mid z_{<l})` together are a smooth, invertible map of z; holding u fixed gives
    :math:`\nabla_\phi z = -(\partial F / \partial z)^{-1} \nabla_\phi F`, with a triangular Jacobian. It is the exact
    gradient of the draw, for the weights of the components too. Where components lie far apart, that one has its
    mass in the gaps between them, where draws are rare: unbiased, and of so large a variance that weights hardly learn.

    Shapes:
        mixture: logits (*batch, M); components: Independent Normal, batch (*batch, M), event (L,)
    Source:
        Implicit reparameterization gradients (Figurnov et al., 2018), arXiv:1805.08498, section 4 and eq. 7; the
        distributional transform of a mixture: Stochastic backpropagation through mixture density distributions
        (Graves, 2016), arXiv:1607.05690, eq. 6-12.
    """

    has_rsample = True

    def _draw(self, sample_shape: _size) -> Tensor:
        logits, normal = self._mixture_distribution.logits, self._component_distribution.base_dist  # type: ignore[attr-defined]
        shape = self._extended_shape(sample_shape)
        chosen = (logits + gumbel((*shape[:-1], logits.shape[-1]), logits)).argmax(-1)[..., None, None]
        chosen = chosen.expand(*shape[:-1], 1, shape[-1])
        wide = (*shape[:-1], *normal.loc.shape[-2:])
        loc, scale = (values.expand(wide).gather(-2, chosen).squeeze(-2) for values in (normal.loc, normal.scale))
        return loc + scale * torch.randn(shape, dtype=loc.dtype, device=loc.device)

    def sample(self, sample_shape: _size = Size()) -> Tensor:
        with torch.no_grad():
            return self._draw(sample_shape)

    def rsample(self, sample_shape: _size = Size()) -> Tensor:
        z = self.sample(sample_shape)
        if not torch.is_grad_enabled():
            return z
        normal = self._component_distribution.base_dist  # type: ignore[attr-defined]
        log_normal = normal.log_prob(z.unsqueeze(-2))
        before = F.pad(log_normal[..., :-1].cumsum(-1), (1, 0))  # log density of the dimensions in front
        weights = (self._mixture_distribution.logits.unsqueeze(-1) + before).softmax(-2)
        cdf = normal.cdf(z.unsqueeze(-2))
        level = (weights * cdf).sum(-2)  # F(z_l | z_<l), (*samples, *batch, L)
        with torch.no_grad(), torch.autocast(z.device.type, enabled=False):
            score = (normal.loc - z.unsqueeze(-2)) / normal.scale.square()
            below = torch.einsum("...md,...mj->...dj", weights * (cdf - level.unsqueeze(-2)), score).tril(-1)
            jacobian = below + torch.diag_embed((weights * log_normal.exp()).sum(-2))
        moved = torch.linalg.solve_triangular(jacobian, (level - level.detach()).unsqueeze(-1), upper=False)
        return z - moved.squeeze(-1)


def squared_distances(z: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    r"""Squared distances of codes from the same M places, each in units of its own scales, by products of matrices.

    .. math:: d_m = \sum_l \frac{z_l^2}{\sigma_{ml}^2} - 2 \sum_l z_l \frac{\mu_{ml}}{\sigma_{ml}^2}
              + \sum_l \frac{\mu_{ml}^2}{\sigma_{ml}^2}

    Nothing of size codes x M x L is made. The sums cancel, so they are taken in double precision (single where the
    device has no doubles), around the mean of the places, and the answer is given in that precision.

    Shapes:
        z: (*N, L);  loc, scale: (M, L)  ->  (*N, M)
    """
    exact = torch.float32 if z.device.type == "mps" else torch.float64
    with torch.autocast(z.device.type, enabled=False):
        loc, precision = loc.to(exact), scale.to(exact).square().reciprocal()
        middle = loc.detach().mean(0)
        z, loc = z.to(exact) - middle, loc - middle
        pull = precision * loc
        return z.square() @ precision.T - 2 * z @ pull.T + (pull * loc).sum(-1)


class SharedMixture(MixtureSameFamily):
    r"""A mixture whose M components are the same for every code, with its density by products of matrices.

    .. math:: \log \mathcal{N}(z; \mu_m, \sigma_m)
              = -\tfrac12 \Bigl[ d_m(z) + 2 \sum_l \log \sigma_{ml} + L \log 2\pi \Bigr]

    d_m are the :func:`squared_distances`. Components that are no diagonal Normals are measured one by one.

    Shapes:
        mixture: logits (M,); components: batch (M,), event (L,)
    """

    def log_prob(self, x: Tensor) -> Tensor:
        parts = self._component_distribution
        if self.batch_shape or not (isinstance(parts, Independent) and type(parts.base_dist) is Normal):
            found: Tensor = super().log_prob(x)  # type: ignore[no-untyped-call]
            return found
        loc, scale = parts.base_dist.loc, parts.base_dist.scale
        distance = squared_distances(x, loc, scale)
        volume = scale.to(distance).log().sum(-1) + 0.5 * x.shape[-1] * math.log(2 * math.pi)
        weights = self._mixture_distribution.logits.to(distance).log_softmax(-1)
        return (weights - volume - 0.5 * distance).logsumexp(-1).to(x.dtype)
