"""Groups of one-hot vectors: exact draws with a straight-through gradient, or relaxed ones."""

from torch import Size, Tensor
from torch.distributions import Distribution, constraints
from torch.nn import functional as F
from torch.types import _size

from reparam.distributions.noise import gumbel


class OneHot(Distribution):
    r"""G independent choices among C classes, each written as a one-hot vector; L = G C values side by side.

    .. math:: q(z) = \prod_g \prod_c \pi_{gc}^{z_{gc}}, \qquad
              z_g = \mathrm{onehot}\left(\arg\max_c\, [\log \pi_{gc} + \epsilon_{gc}]\right), \quad
              \epsilon_{gc} \sim \mathrm{Gumbel}(0, 1)

    With ``relaxation`` = 0 draws are exact and pass the gradient of their probabilities straight through, which is
    biased. With a relaxation tau > 0 they are softmax((log pi + eps) / tau), whose gradient is exact for the relaxed
    draw. A relaxed draw is no one-hot vector: ``normalized`` is False then, and ``log_prob`` is the log probability
    continued linearly between the one-hot vectors, not a density.

    Shapes:
        logits: (*batch, G, C)  ->  event (G C,)
    Args:
        logits: Unnormalised log probabilities.
        relaxation: Temperature tau of the relaxation; 0 for exact draws.
    Source:
        Categorical reparameterization with Gumbel-softmax (Jang et al., 2017), arXiv:1611.01144, eq. 1-2; straight
        through: section 2.2 there.
    """

    has_rsample = True
    arg_constraints = {}
    support = constraints.one_hot
    entangled = True

    def __init__(self, logits: Tensor, relaxation: float = 0.0) -> None:
        self.log_probs, self.relaxation = logits.log_softmax(-1), relaxation
        self.normalized = relaxation == 0
        super().__init__(logits.shape[:-2], Size([logits.shape[-2] * logits.shape[-1]]), validate_args=False)

    @property
    def probs(self) -> Tensor:
        """Probability of each class in each group, (*batch, G, C)."""
        return self.log_probs.exp()

    @property
    def mean(self) -> Tensor:
        return self.probs.flatten(-2)

    @property
    def variance(self) -> Tensor:
        return self.mean * (1 - self.mean)

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "OneHot":
        return OneHot(self.log_probs.expand(*batch_shape, *self.log_probs.shape[-2:]), self.relaxation)

    def _perturbed(self, sample_shape: _size, temperature: float = 1.0) -> Tensor:
        return self.log_probs + temperature * gumbel(Size(sample_shape) + self.log_probs.shape, self.log_probs)

    def rsample(self, sample_shape: _size = Size()) -> Tensor:
        perturbed = self._perturbed(sample_shape)
        if self.relaxation:
            return (perturbed / self.relaxation).softmax(-1).flatten(-2)
        return (_choice(perturbed) + (self.probs - self.probs.detach())).flatten(-2)

    def tempered(self, shape: _size, temperature: float) -> Tensor:
        """Exact draws with probabilities in proportion to pi^(1/T): the Gumbel noise is multiplied by T."""
        return _choice(self._perturbed(shape, temperature)).flatten(-2)

    def log_prob_by_group(self, value: Tensor) -> Tensor:
        """Log probability of each group's choice, (*samples, *batch, G)."""
        return (value.unflatten(-1, self.log_probs.shape[-2:]) * self.log_probs).sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.log_prob_by_group(value).sum(-1)


def _choice(scores: Tensor) -> Tensor:
    """One-hot vectors of the largest score."""
    return F.one_hot(scores.argmax(-1), scores.shape[-1]).to(scores)


def kl_one_hot(q: OneHot, p: OneHot) -> Tensor:
    r"""KL(q || p) of each group, (*batch, G), nats: of the choices themselves, relaxed or not.

    .. math:: \mathrm{KL}_g = \sum_c \pi^q_{gc} \left(\log \pi^q_{gc} - \log \pi^p_{gc}\right)
    """
    return (q.probs * (q.log_probs - p.log_probs)).sum(-1)
