"""The game of image tokenizers: an autoencoder whose reconstructions must also pass a critic of patches."""

from typing import Any

from torch import Tensor

from reparam.networks import Condition
from reparam.objectives.adversary import Adversary, CriticSettings, GANLoss, critic_settings
from reparam.objectives.common import elbo_terms, penalised, penalty_terms, require_at_least, told_in_games
from reparam.objectives.games import Game, Units
from reparam.shapes import Shape
from reparam.trace import Bound, HasNamedValues, Progress


class ReconstructionGame(Game):
    r"""An autoencoder whose reconstructions x' also convince a critic, as loudly as the data speak.

    .. math::
        \max_\mathrm{model}\; \log p(x \mid z) - \beta\, \mathrm{KL}(q(z \mid x) \| p(z))
        + w \lambda\, V(D(x')), \qquad
        \lambda = \frac{\| \nabla_W \log p(x \mid z) \|}{\| \nabla_W V(D(x')) \| + 10^{-4}}

    W is the last weight of the decoder, so w = 1 gives critic and likelihood the same say there. The critic tells x'
    from x, and takes no part before ``critic.start``. With codes from a finite set the KL is what the prior pays for
    them, and their penalty is added.

    Args:
        data_shape: Shape of one example.
        weight: How loud the critic is, w.
        beta: Weight of the KL.
        gan_loss: What model and critic maximise.
        critic: Settings of the critic, see :class:`~reparam.objectives.adversary.CriticSettings`.
        condition: What model and critic are told of each example; None for nothing.
        units: ``shift`` and ``scale`` of the data, where they have any.
    Raises:
        PartError: if a setting is unknown or makes no sense.
    Source:
        Taming transformers for high-resolution image synthesis (Esser et al., 2021), arXiv:2012.09841, eqs. 5 to 7;
        with a KL: High-resolution image synthesis with latent diffusion models (Rombach et al., 2022),
        arXiv:2112.10752, appendix G. lambda is at most 10,000; it and the 1e-4 are those of the latter's code.
    """

    trains_likelihood = True
    differentiates_twice = True  # the weight of the decoder is asked for its own gradient

    def __init__(
        self,
        data_shape: Shape,
        weight: float = 0.5,
        beta: float = 1e-3,
        gan_loss: GANLoss = "hinge",
        critic: CriticSettings | None = None,
        condition: Condition | None = None,
        units: Units | None = None,
    ) -> None:
        require_at_least("ReconstructionGame", 0, weight=weight, beta=beta)
        settings = critic_settings(critic)
        super().__init__(Adversary(data_shape, gan_loss, settings, condition, units), condition=condition)
        self.data_shape, self.critic = tuple(data_shape), settings
        self.weight, self.beta, self.gan_loss, self.units = weight, beta, gan_loss, units

    def forward(self, model: Any, batch: HasNamedValues, progress: Progress) -> Bound:
        named = told_in_games("ReconstructionGame", model, batch)
        trace = model.trace(batch.x, samples=1, **named)
        value = penalised(-trace.distortion - self.beta * trace.rate, trace)
        terms = elbo_terms(trace.distortion, trace.rate) | penalty_terms(trace)
        made = trace.p_x.mean[0]
        if not self.adversary.begun(progress):
            return Bound(value, self.balance(batch, made, terms))
        convincing = self.adversary.convinced(self.adversary(made, self.told(batch)))
        louder = self.as_loud(model, trace.distortion, convincing)
        terms |= {"convincing": convincing.detach(), "critic_weight": louder.expand_as(convincing)}
        return Bound(value + self.weight * louder * convincing, self.balance(batch, made, terms))

    def makes(self, model: Any, batch: HasNamedValues) -> tuple[Tensor, ...]:
        """Reconstructions."""
        return (model.trace(batch.x, samples=1, **batch.pick(model.conditions)).p_x.mean[0],)
