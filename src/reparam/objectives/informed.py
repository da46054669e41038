"""InfoGAN: a game in which examples must tell which code made them."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional as F

from reparam.errors import PartError
from reparam.networks import Condition, bounded, full_precision
from reparam.objectives.adversary import Adversary, CriticSettings, GANLoss, critic_settings
from reparam.objectives.common import require_at_least
from reparam.objectives.games import Game, Units, require_begun
from reparam.shapes import Shape
from reparam.trace import Bound, HasNamedValues, Maker, Progress

FINEST = 0.1  # else model and recogniser agree on ever finer differences, which nobody else can see


class Recogniser(nn.Module):
    r"""Q(c|x): which classes were chosen and which numbers drawn, from the critic's last layer of features.

    .. math:: \log Q(c \mid x) = \sum_g \log \pi_{g, c_g}(x) + \sum_u \log \mathcal{N}(c_u; \mu_u(x), \sigma_u(x)^2),
              \qquad \sigma_u > 0.1

    Shapes:
        features: (B, in_dim), codes: (B, L)  ->  log Q of choices and of numbers, (B,) each, nats
    """

    def __init__(self, in_dim: int, classes: int, choices: int, uniform: int) -> None:
        super().__init__()
        self.classes, self.choices, self.uniform = classes, choices, uniform
        self.dense = nn.Linear(in_dim, in_dim)
        self.head = nn.Linear(in_dim, classes * choices + 2 * uniform)

    def forward(
        self, features: Float[Tensor, "B F"], z: Float[Tensor, "B L"]
    ) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
        one_hot = self.classes * self.choices
        logits, numbers = full_precision(self.head(F.silu(self.dense(features)))).split([one_hot, 2 * self.uniform], 1)
        log_probs = logits.unflatten(1, (self.choices, self.classes)).log_softmax(-1).flatten(1)
        loc, log_scale = numbers.chunk(2, 1)
        found = Normal(loc, FINEST + bounded(log_scale).exp(), validate_args=False)
        drawn = z[:, one_hot : one_hot + self.uniform]
        return (log_probs * z[:, :one_hot]).sum(1), found.log_prob(drawn).sum(1)


class InfoGANGame(Game):
    r"""InfoGAN: a GAN whose examples tell the structured part c of their code, so that each part of c means something.

    .. math::
        \max_{G, Q} \min_D V(D, G) + \lambda L_I(G, Q), \qquad
        L_I = E_{p(c)} E_{x \sim G(z, c)}[\log Q(c \mid x)] + H(c) \le I(c; G(z, c))

    c are the choices and uniform numbers of a ``structured`` prior. Q shares all but its last layers with the critic,
    and is the critic's player; both it and the model climb :math:`\lambda L_I`. Choices and numbers have weights of
    their own. The term ``information`` is L_I in nats, at most H(c) for the choices.

    Args:
        data_shape: Shape of one example.
        gan_loss: ``non-saturating``, ``saturating``, ``hinge`` or ``wasserstein``.
        choice_weight: lambda of the choices.
        number_weight: lambda of the numbers.
        critic: Settings of the critic, see :class:`~reparam.objectives.adversary.CriticSettings`.
        structure: Classes, choices and numbers of the prior.
        condition: What model and critic are told of each example; None for nothing.
        units: ``shift`` and ``scale`` of the data, where they have any.
    Raises:
        PartError: if a setting is unknown or makes no sense, or the prior has no structure.
    Source:
        InfoGAN: interpretable representation learning by information maximizing generative adversarial nets (Chen et
        al., 2016), arXiv:1606.03657, eqs. 5 and 6; the weights after appendix C.
    """

    def __init__(
        self,
        data_shape: Shape,
        gan_loss: GANLoss = "non-saturating",
        choice_weight: float = 1.0,
        number_weight: float = 0.1,
        critic: CriticSettings | None = None,
        structure: tuple[int, int, int] | None = None,
        condition: Condition | None = None,
        units: Units | None = None,
    ) -> None:
        require_at_least("InfoGANGame", 0, choice_weight=choice_weight, number_weight=number_weight)
        if structure is None:
            raise PartError(
                "InfoGANGame: the model's prior has no choices or numbers that examples could tell. Take the prior "
                "'structured'."
            )
        settings = critic_settings(critic)
        require_begun("InfoGANGame", settings)
        super().__init__(Adversary(data_shape, gan_loss, settings, condition, units), condition=condition)
        self.recogniser = Recogniser(settings.hidden_dim, *structure)
        self.data_shape, self.critic = tuple(data_shape), settings
        self.choice_weight, self.number_weight = choice_weight, number_weight
        self.gan_loss, self.structure, self.units = gan_loss, structure, units
        classes, choices, uniform = structure
        self.entropy = choices * math.log(classes), uniform * math.log(2)

    def forward(self, model: Maker, batch: HasNamedValues, progress: Progress) -> Bound:
        self.require_heard(model)
        z = self.codes(model, batch)
        made = model.decode(z, **batch.pick(model.conditions)).mean
        seen = self.adversary(made, self.told(batch))
        convincing = self.adversary.convinced(seen)
        told, information = self._told(seen.coarse, z)
        terms = {"convincing": convincing.detach(), "information": information}
        return Bound(convincing + told, self.balance(batch, made, terms))

    def examine(self, model: Maker, batch: HasNamedValues, progress: Progress) -> Bound:
        """What critic and recogniser maximise; they look at examples of a pass of their own."""
        with torch.no_grad():
            z = self.codes(model, batch)
            made = model.decode(z, **batch.pick(model.conditions)).mean
        c = self.told(batch)
        bound = self.adversary.told_apart(batch.x, (made,), c, progress, self.group)
        told, _ = self._told(self.adversary(made, c).coarse, z)
        return Bound(bound.value + told, bound.terms)

    def examiners(self) -> tuple[nn.Parameter, ...]:
        return (*self.adversary.parameters(), *self.recogniser.parameters())

    def _told(self, features: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """lambda log Q(c|x), and L_I, of each example, nats."""
        choices, numbers = self.recogniser(features, z.detach())
        information = choices.detach() + self.entropy[0] + numbers.detach() + self.entropy[1]
        return self.choice_weight * choices + self.number_weight * numbers, information
