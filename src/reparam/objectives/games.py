"""Games: a model that makes examples against a critic of examples, and what all of them share."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reparam.errors import PartError, RefusedError
from reparam.networks import Condition
from reparam.objectives.adversary import Adversary, CriticSettings, GANLoss, critic_settings
from reparam.objectives.common import new_codes
from reparam.objectives.feature_matching import ClassMatching
from reparam.processes import Processes, current
from reparam.shapes import Shape
from reparam.trace import Bound, HasNamedValues, Maker, Model, Player, Progress

Units = dict[str, Sequence[float]]
LEAST, MOST = 1e-4, 1e4


class Game(nn.Module, ABC):
    """An objective of two players or more: a model, and a critic of the examples that it makes.

    No term of a game says on the validation split which weights are best, so the newest ones are kept (averaged, as
    ``train.ema`` says).

    Args:
        adversary: The critic.
        matching: A classifier, which learns from the real examples as the third player; None for none.
        condition: What critic or classifier are told of each example; None for nothing.
    """

    judged_by: str | None = None
    trains_likelihood = False
    noiseless = False

    def __init__(
        self, adversary: Adversary, matching: ClassMatching | None = None, condition: Condition | None = None
    ) -> None:
        super().__init__()
        self.adversary, self.matching, self.condition = adversary, matching, condition

    @property
    def group(self) -> Processes:
        """Who shares a batch: all processes in training; this one alone at validation."""
        return current() if self.training else Processes()

    @abstractmethod
    def forward(self, model: Maker, batch: HasNamedValues, progress: Progress) -> Bound:
        """What the model maximises, and the terms to show, one value per example."""

    def makes(self, model: Any, batch: HasNamedValues) -> tuple[Float[Tensor, "B ..."], ...]:
        """The kinds of examples that the critic is to tell from the batch: new ones, where a game has no others."""
        return (self.new(model, batch),)

    def examine(self, model: Maker, batch: HasNamedValues, progress: Progress) -> Bound:
        """What the critic maximises; it looks at examples of a pass of its own."""
        with torch.no_grad():
            made = self.makes(model, batch)
        return self.adversary.told_apart(batch.x, made, self.told(batch), progress, self.group)

    def codes(self, model: Maker, batch: HasNamedValues) -> Float[Tensor, "B L"]:
        """Draws from p(z), one for each example of the batch."""
        return new_codes(model, batch, self.group)

    def new(self, model: Maker, batch: HasNamedValues) -> Float[Tensor, "B ..."]:
        """As many new examples as the batch has, of its classes or whatever the model is told."""
        return model.decode(self.codes(model, batch), **batch.pick(model.conditions)).mean

    def as_loud(self, model: Model, first: Float[Tensor, " B"], second: Float[Tensor, " B"]) -> Float[Tensor, ""]:
        r"""The weight at which the second term moves the last weight W of the decoder as much as the first one does.

        .. math::
            \lambda = \frac{\| \nabla_W E[\mathrm{first}] \|}{\| \nabla_W E[\mathrm{second}] \| + 10^{-4}} \le 10^4

        It is 0 where there is no gradient to be compared, as at validation.

        Source:
            Taming transformers for high-resolution image synthesis (Esser et al., 2021), arXiv:2012.09841, eq. 7; the
            bound is that of the code of arXiv:2112.10752 (Rombach et al., 2022).
        """
        if not first.requires_grad:
            return first.new_zeros(())
        weights = [weight for weight in model.generative_parameters() if weight.ndim > 1 and weight.requires_grad]
        for last in reversed(weights):  # a prior's, if it is the last, does not depend on what is decoded
            found = [
                torch.autograd.grad(term.mean(), last, retain_graph=True, allow_unused=True)[0]
                for term in (first, second)
            ]
            if all(gradient is not None for gradient in found):
                of_first, of_second = (self.group.mean(gradient).norm() for gradient in found)
                return (of_first / (of_second + LEAST)).clamp_max(MOST).detach()
        return first.new_zeros(())

    def require_heard(self, model: Maker) -> None:
        """Checks that the critic hears all that the model is told.

        Raises:
            RefusedError: if it does not.
        """
        unheard = set(model.conditions) - (set() if self.condition is None else {self.condition.name})
        if unheard:
            raise RefusedError(
                f"{type(self).__name__}: the model is told {' and '.join(sorted(unheard))}, of which the critic hears "
                "nothing, so the model need not care. Build the game with condition=model.condition."
            )

    def examiners(self) -> tuple[nn.Parameter, ...]:
        """What moves when examples are examined."""
        return tuple(self.adversary.parameters())

    def told(self, batch: HasNamedValues) -> Float[Tensor, "B C"] | None:
        """What the critic is told of each example, or nothing."""
        return self.c(batch) if self.adversary.told else None

    def c(self, batch: HasNamedValues) -> Float[Tensor, "B C"]:
        """The condition of each example; of a class that is not known, all zeros."""
        assert self.condition is not None
        c: Tensor = self.condition(batch.pick([self.condition.name])[self.condition.name])
        return c.to(batch.x)

    def balance(self, batch: HasNamedValues, made: Tensor, known: dict[str, Tensor]) -> dict[str, Tensor]:
        """Terms to show, with the critic's accuracy where nobody but validation would find it out."""
        if self.training:
            return known
        c = self.told(batch)
        with torch.no_grad():
            outputs = [self.adversary(x, c).outputs for x in (batch.x, made)]
        return known | {"critic_accuracy": self.adversary.accuracy(outputs[0], outputs[1].unsqueeze(0), self.group)}

    def players(self, model: Any) -> tuple[Player, ...]:
        """The model, then the critic, then the classifier, where there is one."""

        def play(batch: HasNamedValues, progress: Progress) -> Bound:
            return self(model, batch, progress)

        def examine(batch: HasNamedValues, progress: Progress) -> Bound:
            return self.examine(model, batch, progress)

        settings = self.adversary.settings
        pair = (
            Player("model", tuple(model.parameters()), play),
            Player("critic", self.examiners(), examine, settings.steps, settings.rate),
        )
        matching = self.matching
        if matching is None:
            return pair

        def learn(batch: HasNamedValues, progress: Progress) -> Bound:
            return matching.learn(batch.x, self.c(batch), self.group)

        return (*pair, Player("classifier", tuple(matching.parameters()), learn))


def require_begun(owner: str, settings: CriticSettings) -> None:
    """Checks that the critic plays from the first step, where nobody else teaches the model.

    Raises:
        PartError: if it does not.
    """
    if settings.start:
        raise PartError(f"{owner}: critic.start is {settings.start}, but only its critic teaches a GAN. Leave it at 0.")


class GANGame(Game):
    r"""A generative adversarial network: the model makes examples, the critic tells them from real ones.

    .. math::
        \max_D E_x[\log s(D(x))] + E_{p(z)}[\log(1 - s(D(G(z))))], \qquad \max_G E_{p(z)}[\log s(D(G(z)))]

    G(z) is the mean of p(x|z), s the logistic function; other losses and the critic's penalties: see
    :class:`~reparam.objectives.adversary.Adversary`. Any model with a prior can play, and q is not trained. The
    critic is told what the model is told.

    Args:
        data_shape: Shape of one example.
        gan_loss: ``non-saturating``, ``saturating``, ``hinge`` or ``wasserstein``.
        critic: Settings of the critic, see :class:`~reparam.objectives.adversary.CriticSettings`.
        condition: What model and critic are told of each example; None for nothing.
        units: ``shift`` and ``scale`` of the data, where they have any.
    Raises:
        PartError: if a setting is unknown or makes no sense.
    Source:
        Generative adversarial nets (Goodfellow et al., 2014), arXiv:1406.2661, eq. 1; with classes: Conditional
        generative adversarial nets (Mirza & Osindero, 2014), arXiv:1411.1784, eq. 2.
    """

    def __init__(
        self,
        data_shape: Shape,
        gan_loss: GANLoss = "non-saturating",
        critic: CriticSettings | None = None,
        condition: Condition | None = None,
        units: Units | None = None,
    ) -> None:
        settings = critic_settings(critic)
        require_begun("GANGame", settings)
        super().__init__(Adversary(data_shape, gan_loss, settings, condition, units), condition=condition)
        self.data_shape, self.critic = tuple(data_shape), settings
        self.gan_loss, self.units = gan_loss, units

    def forward(self, model: Maker, batch: HasNamedValues, progress: Progress) -> Bound:
        self.require_heard(model)
        made = self.new(model, batch)
        value = self.adversary.convinced(self.adversary(made, self.told(batch)))
        return Bound(value, self.balance(batch, made, {"convincing": value.detach()}))
