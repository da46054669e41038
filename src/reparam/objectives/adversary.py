"""The critic of whole examples: how it is built, what it and its opponent maximise, and when it rests."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, NamedTuple, get_args

import torch
from jaxtyping import Float
from pydantic import ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from reparam.errors import PartError, nearest
from reparam.networks import Condition, Discriminator, Seen, squared_slope
from reparam.objectives.common import require_at_least, require_whole
from reparam.processes import Processes
from reparam.rng import per_example
from reparam.shapes import Shape
from reparam.trace import Bound, Progress

GANLoss = Literal["non-saturating", "saturating", "hinge", "wasserstein"]
Penalty = Literal["r1", "interpolated", "spectral", "none"]
Count = Annotated[int, Field(ge=1)]


class _Loss(NamedTuple):
    """What each side maximises, given the critic's outputs."""

    critic: Callable[[Tensor, Tensor], Tensor]
    model: Callable[[Tensor], Tensor]


def _sure(real: Tensor, made: Tensor) -> Tensor:
    return F.logsigmoid(real) + F.logsigmoid(-made)


GAN_LOSSES: dict[str, _Loss] = {
    "non-saturating": _Loss(_sure, F.logsigmoid),
    "saturating": _Loss(_sure, F.softplus),
    "hinge": _Loss(lambda real, made: -F.relu(1 - real) - F.relu(1 + made), lambda made: made),
    "wasserstein": _Loss(lambda real, made: real - made, lambda made: made),
}


@dataclass(frozen=True)
class Turns:
    """When a critic plays, how often, and how fast it learns.

    Attributes:
        start: Share of training before which the critic neither learns nor counts.
        rest_above: It does not learn in a step in which it tells more than this share of a batch rightly.
        steps: Its steps for each of the model's: on the same real examples, with newly made ones each time.
        rate: Its learning rate as a share of the training's.
    """

    start: Annotated[float, Field(ge=0, le=1)] = 0.0
    rest_above: Annotated[float, Field(ge=0, le=1)] = 1.0
    steps: Count = 1
    rate: Annotated[float, Field(gt=0)] = 1.0


@dataclass(frozen=True)
class CriticSettings(Turns):
    """How a critic of examples is built, held back, and when it plays (see :class:`Turns`).

    Attributes:
        channels: Channels of its stages; None doubles from 16 until the longer side is at most 8.
        hidden_dim: Width of its dense layer.
        patches: It judges each position of its last map by itself; the mean of what it says counts.
        penalty: What holds down its slope: ``r1``, half the squared slope at real examples; ``interpolated``, the
            squared distance of the slope from 1 between real and made ones (WGAN-GP); ``spectral``, which divides each
            layer's weight by its norm instead; ``none``.
        penalty_weight: Its weight.
        penalty_every: It is taken in every so many steps of the training, with so many times the weight.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    channels: Sequence[Count] | None = None
    hidden_dim: Count = 256
    patches: bool = False
    penalty: Penalty = "r1"
    penalty_weight: Annotated[float, Field(ge=0)] = 1.0
    penalty_every: Count = 16

    @property
    def network(self) -> dict[str, Any]:
        """What networks of its size are built with."""
        return {"channels": self.channels, "hidden_dim": self.hidden_dim, "spectral": self.penalty == "spectral"}


def critic_settings(given: CriticSettings | Mapping[str, object] | None) -> CriticSettings:
    """The settings of a critic, which may be given as a mapping.

    Raises:
        PartError: if one is unknown or makes no sense.
    """
    if isinstance(given, CriticSettings):
        found = given
    else:
        known = [field.name for field in fields(CriticSettings)]
        for name in given or {}:
            if name not in known:
                raise PartError(f"critic: there is no setting {name!r}. {nearest(name, known)}")
        found = CriticSettings(**dict(given or {}))  # type: ignore[arg-type]
    if found.penalty not in get_args(Penalty):
        raise PartError(f"critic: penalty is {found.penalty!r}. {nearest(found.penalty, get_args(Penalty))}")
    require_at_least("critic", 0, penalty_weight=found.penalty_weight, start=found.start, rest_above=found.rest_above)
    require_at_least("critic", 1e-6, rate=found.rate)
    require_whole("critic", 1, penalty_every=found.penalty_every, hidden_dim=found.hidden_dim, steps=found.steps)
    return found


class Adversary(nn.Module):
    r"""A critic D of examples, the second player of a game.

    =============== ============================================ ============================
    gan_loss        the critic maximises                         the model maximises
    =============== ============================================ ============================
    non-saturating  E log s(D(x)) + E log(1 - s(D(x')))          E log s(D(x'))
    saturating      the same                                     -E log(1 - s(D(x')))
    hinge           -E max(0, 1 - D(x)) - E max(0, 1 + D(x'))    E D(x')
    wasserstein     E D(x) - E D(x')                             E D(x')
    =============== ============================================ ============================

    with real examples x, made ones x', and the logistic function s.

    Args:
        data_shape: Shape of one example.
        gan_loss: What both sides maximise.
        settings: How the critic is built and held back.
        condition: What it is told of each example; None for nothing.
        units: ``shift`` and ``scale`` of the data, where they have any.
    Raises:
        PartError: if a setting makes no sense.
    Source:
        Generative adversarial nets (Goodfellow et al., 2014), arXiv:1406.2661, eq. 1 and section 3; hinge: Geometric
        GAN (Lim & Ye, 2017), arXiv:1705.02894; Wasserstein: arXiv:1704.00028, eq. 3 (Gulrajani et al., 2017), which is
        also ``interpolated``; R1: Which training methods for GANs do actually converge? (Mescheder et al., 2018),
        arXiv:1801.04406, eq. 9, taken now and then as in StyleGAN2 (arXiv:1912.04958).
    """

    def __init__(
        self,
        data_shape: Shape,
        gan_loss: GANLoss,
        settings: CriticSettings,
        condition: Condition | None = None,
        units: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if gan_loss not in GAN_LOSSES:
            raise PartError(f"Adversary: gan_loss is {gan_loss!r}. {nearest(gan_loss, GAN_LOSSES)}")
        self.gan_loss, self.settings, self.relative = GAN_LOSSES[gan_loss], settings, gan_loss == "wasserstein"
        self.told = 0 if condition is None else condition.dim
        self.network = Discriminator(
            data_shape, 1, self.told, patches=settings.patches, units=units, **settings.network
        )

    def forward(self, x: Float[Tensor, "B ..."], c: Float[Tensor, "B C"] | None = None) -> Seen:
        seen: Seen = self.network(x, c)
        return seen

    def begun(self, progress: Progress) -> bool:
        """Whether it counts yet; where there is no training it does."""
        return progress.planned_fraction >= self.settings.start

    def convinced(self, seen: Seen) -> Float[Tensor, " B"]:
        """What the model maximises of what it made."""
        return self.gan_loss.model(seen.outputs).mean(-1)

    def told_apart(
        self,
        x: Float[Tensor, "B ..."],
        made: Sequence[Float[Tensor, "B ..."]],
        c: Float[Tensor, "B C"] | None,
        progress: Progress,
        group: Processes,
    ) -> Bound:
        """What the critic maximises, the mean over the kinds of made examples; and the share that it tells rightly.

        Where it rests, nothing moves it: the value is a constant.
        """
        real = self(x, c).outputs
        fakes = torch.stack([self(one, c).outputs for one in made])
        right = self.accuracy(real, fakes, group)
        terms = {
            "critic": real.detach().mean(-1),
            "critic_made": fakes.detach().mean((0, -1)),
            "critic_accuracy": right,
        }
        settings = self.settings
        value = self.gan_loss.critic(real, fakes).mean((0, -1))
        if settings.penalty in ("r1", "interpolated") and progress.step % settings.penalty_every == 0:
            slope = self._penalty(x, made[0], c)
            terms["critic_penalty"] = slope.detach()
            value = value - settings.penalty_weight * settings.penalty_every * slope
        rests = not self.begun(progress)
        if settings.rest_above < 1:  # on a GPU this waits, so only where it is asked for
            rests |= bool(group.mean(right.mean()) > settings.rest_above)
        return Bound(torch.zeros_like(value, requires_grad=True) + value.detach() if rests else value, terms)

    @torch.no_grad()
    def accuracy(
        self, real: Float[Tensor, "B P"], made: Float[Tensor, "M B P"], group: Processes
    ) -> Float[Tensor, " B"]:
        """Share of examples (or patches of them) told rightly, real and made ones alike.

        The boundary is at 0, or, where the loss knows nothing but differences, in the middle of the two means.
        """
        middle = 0.5 * group.mean(real.mean() + made.mean()) if self.relative else real.new_zeros(())
        return 0.5 * (real > middle).float().mean(-1) + 0.5 * (made <= middle).float().mean((0, -1))

    def _penalty(self, x: Tensor, made: Tensor, c: Tensor | None) -> Float[Tensor, " B"]:
        x, made = self.network.units(x), self.network.units(made)
        if self.settings.penalty == "r1":
            return 0.5 * squared_slope(self.network, x, c)
        with per_example(0):
            share = torch.rand(len(x), *(1 for _ in x.shape[1:])).to(x)
        return ((squared_slope(self.network, torch.lerp(x, made, share), c) + 1e-12).sqrt() - 1).square()
