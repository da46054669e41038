"""Games of models that also code examples: VAE-GAN and CVAE-GAN, and the game of the latter without an encoder."""

from typing import Any, Literal

import torch
from torch import Tensor

from reparam.networks import ClassCondition, Condition
from reparam.objectives.adversary import Adversary, CriticSettings, GANLoss, critic_settings
from reparam.objectives.common import elbo_terms, penalised, require_at_least, require_noise, told_in_games
from reparam.objectives.feature_matching import ClassMatching, half_squared, mean_distance
from reparam.objectives.games import Game, Units
from reparam.shapes import Shape
from reparam.trace import Bound, HasNamedValues, Maker, Model, Progress, Trace


def _traced(owner: str, model: Model, batch: HasNamedValues) -> Trace:
    named: dict[str, Any] = told_in_games(owner, model, batch)
    trace = model.trace(batch.x, samples=1, **named)
    require_noise(owner, trace)
    return trace


class VAEGANGame(Game):
    r"""VAE-GAN: examples are reconstructed in the features of a critic, which also tells made ones from real ones.

    With the features f of the critic's last map, x' the reconstruction and x'' a new example, what is minimised is

    .. math::
        \mathcal{L}_\mathrm{like} &= \tfrac1{2 \sigma^2} \| f(x) - f(x') \|^2, \qquad
        \mathcal{L}_\mathrm{GAN} = -\log s(D(x')) - \log s(D(x'')) \\
        \text{encoder:} &\quad \mathrm{KL}(q(z \mid x) \| p(z)) + \mathcal{L}_\mathrm{like} \\
        \text{decoder:} &\quad \gamma \mathcal{L}_\mathrm{like} + \mathcal{L}_\mathrm{GAN}

    and the critic learns to tell x from x' and x''. Features have no scale of their own, and where their differences
    are small beside sigma the code is not used; so sigma is the best one for each batch, as in the sigma-VAE. One pass
    gives both: what the decoder alone is to feel comes from codes that pass no gradient on. The likelihood of the model
    takes no part; until ``critic.start`` its ELBO is maximised instead.

    With ``adaptive`` gamma is what makes reconstructions and critic equally loud in each step, at the last weight W of
    the decoder (see :meth:`Game.as_loud`):

    .. math::
        \gamma = \frac{\| \nabla_W \mathcal{L}_\mathrm{GAN} \|}
        {\| \nabla_W \mathcal{L}_\mathrm{like} \| + 10^{-4}}

    Args:
        data_shape: Shape of one example.
        gamma: How much the decoder cares for its reconstructions against the critic, or ``adaptive``.
        beta: Weight of the KL.
        sigma: Standard deviation of features, or ``optimal``.
        gan_loss: What model and critic maximise.
        critic: Settings of the critic, see :class:`~reparam.objectives.adversary.CriticSettings`.
        condition: What model and critic are told of each example; None for nothing.
        units: ``shift`` and ``scale`` of the data, where they have any.
    Raises:
        PartError: if a setting is unknown or makes no sense.
        RefusedError: if q is a point mass.
    Source:
        Autoencoding beyond pixels using a learned similarity metric (Larsen et al., 2016), arXiv:1512.09300, eqs. 7 to
        9 and algorithm 1 (with sigma = 1); the decoder's part of the GAN loss is the non-saturating one. Best sigma:
        Simple and effective VAE training with calibrated decoders (Rybkin et al., 2021), arXiv:2006.13202, eq. 6.
        Adaptive gamma: after arXiv:2012.09841, eq. 7 (Esser et al., 2021), where it is the critic that has the weight.
    """

    def __init__(
        self,
        data_shape: Shape,
        gamma: float | Literal["adaptive"] = 1.0,
        beta: float = 1.0,
        sigma: float | Literal["optimal"] = "optimal",
        gan_loss: GANLoss = "non-saturating",
        critic: CriticSettings | None = None,
        condition: Condition | None = None,
        units: Units | None = None,
    ) -> None:
        require_at_least("VAEGANGame", 0, beta=beta)
        if gamma != "adaptive":
            require_at_least("VAEGANGame", 0, gamma=gamma)
        if sigma != "optimal":
            require_at_least("VAEGANGame", 1e-6, sigma=sigma)
        settings = critic_settings(critic)
        super().__init__(Adversary(data_shape, gan_loss, settings, condition, units), condition=condition)
        self.data_shape, self.critic = tuple(data_shape), settings
        self.gamma, self.beta, self.sigma, self.gan_loss, self.units = gamma, beta, sigma, gan_loss, units
        self.differentiates_twice = gamma == "adaptive"  # the weight of the decoder is asked for its own gradient

    def forward(self, model: Any, batch: HasNamedValues, progress: Progress) -> Bound:
        trace = _traced("VAEGANGame", model, batch)
        if not self.adversary.begun(progress):
            return Bound(penalised(trace.elbo, trace), elbo_terms(trace.distortion, trace.rate))
        c, named = self.told(batch), batch.pick(model.conditions)
        coded, made = trace.p_x.mean[0], self.new(model, batch)
        again = model.decode(trace.z[0].detach(), **named).mean  # x' once more, and no way back to the encoder
        with torch.no_grad():
            target = self.adversary(batch.x, c).fine
        seen = self.adversary(again, c)
        variance = self._variance(target, seen.fine)
        like = half_squared(target, self.adversary(coded, c).fine) / variance
        of_decoder = half_squared(target, seen.fine) / variance
        convincing = self.adversary.convinced(seen) + self.adversary.convinced(self.adversary(made, c))
        gamma = self.as_loud(model, convincing, of_decoder) if self.gamma == "adaptive" else self.gamma
        value = penalised(convincing - self.beta * trace.rate - like - (gamma - 1) * of_decoder, trace)
        shown = {
            "rate": trace.rate.detach(),
            "style": variance.sqrt().expand_as(like),
            "convincing": 0.5 * convincing.detach(),
        }
        if isinstance(gamma, Tensor) and self.training:  # at validation there are no gradients to compare
            shown["gamma"] = gamma.expand_as(like)
        return Bound(value, self.balance(batch, made, shown))

    def _variance(self, target: Tensor, found: Tensor) -> Tensor:
        """sigma squared, (): as told, or the mean squared difference over the batch."""
        if self.sigma != "optimal":
            return target.new_tensor(self.sigma**2)
        return self.group.mean((target - found.detach()).square().mean()).clamp_min(1e-12)

    def makes(self, model: Any, batch: HasNamedValues) -> tuple[Tensor, ...]:
        trace = model.trace(batch.x, samples=1, **batch.pick(model.conditions))
        return self.new(model, batch), trace.p_x.mean[0]


def _critic_and_classifier(
    data_shape: Shape, settings: CriticSettings, condition: Condition | None, units: Units | None
) -> tuple[Adversary, ClassMatching]:
    """Two networks of the same size; the critic is told nothing."""
    classes = condition.classes if isinstance(condition, ClassCondition) else 0
    matching = ClassMatching(data_shape, classes, settings.network, units)
    return Adversary(data_shape, "non-saturating", settings, units=units), matching


def _matched(
    game: Game, matching: ClassMatching, batch: HasNamedValues, made: Tensor, real: Tensor
) -> tuple[Tensor, Tensor]:
    """L_GD and L_GC of new examples, each (), where the critic's features of the real ones are known."""
    of_critic = mean_distance(real, game.adversary(made).coarse, game.group)
    return of_critic, matching.distance(matching(made).coarse, game.c(batch), game.group)


class FeatureMatchingGame(Game):
    r"""A GAN whose model matches mean features of critic and classifier instead of convincing the critic (FM-CGAN).

    .. math::
        \lambda_D \tfrac12 \| E f_D(x) - E f_D(G(z, c)) \|^2 +
        \lambda_C \tfrac12 \sum_c \| E f_C(x_c) - E f_C(G(z, c)) \|^2

    is what the model minimises; the critic learns to tell its examples from real ones, the classifier P(c|x).

    Args:
        data_shape: Shape of one example.
        critic_weight: lambda_D.
        class_weight: lambda_C.
        critic: Settings of the critic and, for channels and width, of the classifier.
        condition: The classes that the model and the classifier are told.
        units: ``shift`` and ``scale`` of the data, where they have any.
    Raises:
        PartError: if a setting is unknown or makes no sense, or the model is told no class.
    Source:
        CVAE-GAN (Bao et al., 2017), arXiv:1703.10155, section 3.2, eqs. 4 and 5 (FM-CGAN).
    """

    matching: ClassMatching

    def __init__(
        self,
        data_shape: Shape,
        critic_weight: float = 1.0,
        class_weight: float = 1.0,
        critic: CriticSettings | None = None,
        condition: Condition | None = None,
        units: Units | None = None,
    ) -> None:
        require_at_least("FeatureMatchingGame", 0, critic_weight=critic_weight, class_weight=class_weight)
        settings = critic_settings(critic)
        super().__init__(*_critic_and_classifier(data_shape, settings, condition, units), condition)
        self.data_shape, self.critic = tuple(data_shape), settings
        self.critic_weight, self.class_weight, self.units = critic_weight, class_weight, units

    def forward(self, model: Maker, batch: HasNamedValues, progress: Progress) -> Bound:
        made = self.new(model, batch)
        with torch.no_grad():
            real = self.adversary(batch.x).coarse
        of_critic, of_classes = _matched(self, self.matching, batch, made, real)
        cost = self.critic_weight * self.adversary.begun(progress) * of_critic + self.class_weight * of_classes
        each = torch.ones_like(batch.x.flatten(1)[:, 0])
        terms = {"critic_features": of_critic.detach() * each, "class_features": of_classes.detach() * each}
        return Bound(-cost * each, self.balance(batch, made, terms))


class CVAEGANGame(Game):
    r"""CVAE-GAN: encoder, generator, critic and classifier.

    With x' the reconstruction, x'' a new example of the same class, and features f_D, f_C before the last layers of
    critic and classifier, the model minimises

    .. math::
        \lambda_1 \mathrm{KL}(q(z \mid x, c) \| p(z))
        + \lambda_2 \tfrac12 \left( \|x - x'\|^2 + \|f_D(x) - f_D(x')\|^2 + \|f_C(x) - f_C(x')\|^2 \right)
        + \lambda_3 \tfrac12 \|E f_D(x) - E f_D(x'')\|^2
        + \lambda_4 \tfrac12 \sum_c \|E f_C(x_c) - E f_C(x''_c)\|^2

    of which the last two reach the generator alone; the critic learns to tell x'' from x, the classifier P(c|x). Real
    data are compared in units of their spread. The critic is shown no reconstructions, and new examples have the
    classes of the batch.

    Args:
        data_shape: Shape of one example.
        kl_weight: lambda_1.
        pair_weight: lambda_2.
        critic_weight: lambda_3.
        class_weight: lambda_4.
        critic: Settings of the critic and, for channels and width, of the classifier.
        condition: The classes that the model and the classifier are told.
        units: ``shift`` and ``scale`` of the data, where they have any.
    Raises:
        PartError: if a setting is unknown or makes no sense, or the model is told no class.
        RefusedError: if q is a point mass.
    Source:
        CVAE-GAN (Bao et al., 2017), arXiv:1703.10155, eqs. 1 to 7 and algorithm 1, with the weights given there.
    """

    matching: ClassMatching

    def __init__(
        self,
        data_shape: Shape,
        kl_weight: float = 3.0,
        pair_weight: float = 1.0,
        critic_weight: float = 1e-3,
        class_weight: float = 1e-3,
        critic: CriticSettings | None = None,
        condition: Condition | None = None,
        units: Units | None = None,
    ) -> None:
        weights = {"critic_weight": critic_weight, "class_weight": class_weight}
        require_at_least("CVAEGANGame", 0, kl_weight=kl_weight, pair_weight=pair_weight, **weights)
        settings = critic_settings(critic)
        super().__init__(*_critic_and_classifier(data_shape, settings, condition, units), condition)
        self.data_shape, self.critic = tuple(data_shape), settings
        self.kl_weight, self.pair_weight = kl_weight, pair_weight
        self.critic_weight, self.class_weight, self.units = critic_weight, class_weight, units

    def forward(self, model: Any, batch: HasNamedValues, progress: Progress) -> Bound:
        trace = _traced("CVAEGANGame", model, batch)
        coded, made = trace.p_x.mean[0], self.new(model, batch)
        with torch.no_grad():
            of_critic, of_classes = self.adversary(batch.x).coarse, self.matching(batch.x).coarse
        units, counts = self.adversary.network.units, self.adversary.begun(progress)
        pairs = (
            half_squared(units(batch.x), units(coded))
            + counts * half_squared(of_critic, self.adversary(coded).coarse)
            + half_squared(of_classes, self.matching(coded).coarse)
        )
        critic_cost, class_cost = _matched(self, self.matching, batch, made, of_critic)
        value = penalised(-self.kl_weight * trace.rate - self.pair_weight * pairs, trace)
        value = value - self.critic_weight * counts * critic_cost - self.class_weight * class_cost
        each = torch.ones_like(pairs.detach())
        terms = {"rate": trace.rate.detach(), "pairs": pairs.detach()}
        terms |= {"critic_features": critic_cost.detach() * each, "class_features": class_cost.detach() * each}
        return Bound(value, self.balance(batch, made, terms))
