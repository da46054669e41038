"""Two players: a critic that tells two kinds of codes apart, and a model that it teaches."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from reparam.errors import PartError
from reparam.networks import full_precision
from reparam.objectives.base import Objective
from reparam.objectives.common import (
    comparable_codes,
    part_of,
    penalised,
    plain_terms,
    prior_draws,
    require_at_least,
    require_exchangeable,
    require_noise,
    require_prior,
)
from reparam.objectives.elbo import ELBO
from reparam.processes import Processes
from reparam.trace import Bound, HasNamedValues, Model, Player, Progress, Trace

HIDDEN = (256, 256, 256)


class Critic(nn.Module):
    r"""Gives the log odds that a code is of the first of two kinds.

    At its optimum they are the log ratio of the two densities, :math:`\log q_1(z) - \log q_2(z)`.

    Shapes:
        z: (*N, L)  ->  log odds: (*N)
    Args:
        latent_dim: Number of latent dimensions L.
        hidden_dims: Widths of the hidden layers.
    Raises:
        PartError: if hidden_dims is empty, or a width is below 1.
    """

    reads_weights = True  # to differentiate its slope

    def __init__(self, latent_dim: int, hidden_dims: Sequence[int] = HIDDEN) -> None:
        super().__init__()
        if not hidden_dims or min(hidden_dims) < 1:
            raise PartError(f"Critic: hidden_dims is {list(hidden_dims)}, expected at least one width of 1 or more.")
        layers: list[nn.Module] = []
        for width, following in pairwise((latent_dim, *hidden_dims)):
            layers += [nn.Linear(width, following), nn.LeakyReLU(0.2)]
        self.net = nn.Sequential(*layers, nn.Linear(hidden_dims[-1], 1))

    def forward(self, z: Float[Tensor, "*N L"]) -> Float[Tensor, "*N"]:
        return full_precision(self.net(z)).squeeze(-1)

    def told_apart(self, first: Float[Tensor, "K B L"], second: Float[Tensor, "K B L"]) -> Bound:
        """Minus the cross-entropy of the guesses, nats: minus log 2 where the kinds look alike."""
        right = F.logsigmoid(self(first)) + F.logsigmoid(-self(second))
        value = 0.5 * right.mean(0)
        return Bound(value, {"critic": -value.detach()})


def _slope(critic: Critic, z: Float[Tensor, "K B L"]) -> Float[Tensor, " B"]:
    """Half the squared slope of the log odds at codes, whose place is fixed."""
    z = z.detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(z).sum(), z, create_graph=True)
    return 0.5 * slope.square().sum(-1).mean(0)


def _players(
    objective: Objective, critic: Critic, model: Model, examine: Callable[[Trace], Bound]
) -> tuple[Player, Player]:
    """The model, who plays the objective, and then the critic, who looks at the codes of a pass of its own."""

    def play(batch: HasNamedValues, progress: Progress) -> Bound:
        with torch.no_grad():
            trace = objective.trace(model, batch)
        return examine(trace)

    return (
        Player("model", tuple(model.parameters()), lambda batch, progress: objective(model, batch, progress)),
        Player("critic", tuple(critic.parameters()), play),
    )


def permuted(z: Float[Tensor, "K B L"], group: Processes | None = None) -> Float[Tensor, "K B L"]:
    """Codes each of whose dimensions comes from another example: draws from the product of q(z_l).

    Each dimension is permuted by itself over the whole batch.

    Source:
        Disentangling by factorising (Kim & Mnih, 2018), arXiv:1802.05983, algorithm 1.
    """
    group = group or Processes()
    whole = group.whole(z, 1)
    return part_of(whole.gather(1, torch.rand_like(whole).argsort(1)), group)


class FactorBound(Objective):
    r"""ELBO less the total correlation of the aggregate posterior, as a critic sees it (FactorVAE).

    .. math::
        \mathcal{L}(x) = \mathrm{ELBO}(x) - \gamma\, E_q\left[\log \frac{D(z)}{1 - D(z)}\right], \qquad
        \log \frac{D(z)}{1 - D(z)} \approx \log \frac{q(z)}{\prod_l q(z_l)}

    The second player, the critic D, learns to tell codes from codes whose dimensions were permuted over the batch.

    Args:
        latent_dim: Number of latent dimensions L.
        samples: Draws of z per example, K.
        gamma: Weight of the total correlation.
        hidden_dims: Widths of the critic's hidden layers.
        warmup: Share of training over which the weight of the KL rises from 0.
        free_bits: Nats of KL per latent group that cost nothing.
    Raises:
        PartError: if gamma is negative, or hidden_dims is empty.
        RefusedError: if q is a point mass, codes are classes or lie in a curved space, or examples share draws.
    Source:
        Disentangling by factorising (Kim & Mnih, 2018), arXiv:1802.05983, eqs. 2 and 3, algorithm 2. The critic's codes
        come from the same batch, permuted ones too, where the paper takes a second batch for those; its critic has five
        hidden layers of 1000.
    """

    steady = False

    def __init__(
        self,
        latent_dim: int,
        samples: int = 1,
        gamma: float = 10.0,
        hidden_dims: Sequence[int] = HIDDEN,
        warmup: float = 0.0,
        free_bits: float = 0.0,
    ) -> None:
        super().__init__(samples)
        require_at_least("FactorBound", 0, gamma=gamma)
        self.base = ELBO(samples, warmup=warmup, free_bits=free_bits)
        self.critic = Critic(latent_dim, hidden_dims)
        self.latent_dim, self.gamma, self.hidden_dims = latent_dim, gamma, tuple(hidden_dims)
        self.warmup, self.free_bits = warmup, free_bits

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        codes = self._codes(trace)
        base = self.base.bound(trace, progress)
        correlation = self.critic(codes).mean(0)
        terms = base.terms | {"total_correlation": correlation.detach()}
        return Bound(base.value - self.gamma * correlation, terms)

    def examine(self, trace: Trace) -> Bound:
        """How well the critic tells codes from permuted ones."""
        codes = self._codes(trace)
        return self.critic.told_apart(codes, permuted(codes, self.group))

    def _codes(self, trace: Trace) -> Tensor:
        require_noise("FactorBound", trace)
        require_exchangeable("FactorBound", trace)
        return comparable_codes("FactorBound", trace)

    def players(self, model: Model) -> tuple[Player, ...]:
        return _players(self, self.critic, model, self.examine)


class AdversarialBound(Objective):
    r"""Matches the aggregate posterior to the prior by a critic (AAE, WAE-GAN).

    .. math::
        \mathcal{L}(x) = E_q[\log p(x \mid z)] + \lambda\, E_q[\log D(z)], \qquad
        \max_D E_{p(z)}[\log D(z)] + E_{q(z)}[\log(1 - D(z))]

    The second player, the critic D, learns to tell draws from the prior from codes. There is no KL, so q may be a point
    mass; then ``elbo`` shows minus the distortion alone, because what a critic says means something else at each
    step. The critic pays for the squared slope of its log odds at draws from the prior: both players have the same
    learning rate, and one without that penalty is soon so sure that the encoder finds no way. Codes come to the prior,
    not the prior to the codes: one that learns stays where it is.

    Args:
        latent_dim: Number of latent dimensions L.
        samples: Draws of z per example, K.
        weight: lambda.
        slope_weight: What the critic pays for half its squared slope; 0 for the papers' critics.
        hidden_dims: Widths of the critic's hidden layers.
    Raises:
        PartError: if a weight is negative, or hidden_dims is empty.
        RefusedError: if there is no prior, examples share draws, or draws are relaxed.
    Source:
        Adversarial autoencoders (Makhzani et al., 2016), arXiv:1511.05644, section 2; Wasserstein auto-encoders
        (Tolstikhin et al., 2018), arXiv:1711.01558, algorithm 1 (WAE-GAN). The encoder is moved by both terms in one
        step, as in the latter. Slope: Which training methods for GANs do actually converge? (Mescheder et al., 2018),
        arXiv:1801.04406, eq. 9 (R1), which neither paper has.
    """

    steady = False

    def __init__(
        self,
        latent_dim: int,
        samples: int = 1,
        weight: float = 1.0,
        slope_weight: float = 1.0,
        hidden_dims: Sequence[int] = HIDDEN,
    ) -> None:
        super().__init__(samples)
        require_at_least("AdversarialBound", 0, weight=weight, slope_weight=slope_weight)
        self.critic = Critic(latent_dim, hidden_dims)
        self.latent_dim, self.weight, self.slope_weight = latent_dim, weight, slope_weight
        self.hidden_dims = tuple(hidden_dims)

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        require_prior("AdversarialBound", trace)
        convincing = F.logsigmoid(self.critic(comparable_codes("AdversarialBound", trace))).mean(0)
        value = penalised(self.weight * convincing - trace.distortion, trace)
        return Bound(value, plain_terms(trace) | {"convincing": convincing.detach()})

    def examine(self, trace: Trace) -> Bound:
        """How well the critic tells draws from the prior from codes."""
        p_z, codes = require_prior("AdversarialBound", trace), comparable_codes("AdversarialBound", trace)
        samples, count, size = codes.shape
        draws = prior_draws(p_z, torch.Size([samples, count * self.group.world, size]))
        own = part_of(draws, self.group).detach()
        found = self.critic.told_apart(own, codes)
        return Bound(found.value - self.slope_weight * _slope(self.critic, own), found.terms)

    def players(self, model: Model) -> tuple[Player, ...]:
        return _players(self, self.critic, model, self.examine)
