"""The waist: the record a model fills, the record an objective returns, and who moves which parameters."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution
from torch.nn import Parameter

from reparam.errors import ShapeError

Late = Tensor | Callable[[], Tensor]


class Trace:
    r"""What one pass of a model says about a batch; all that an objective may read.

    The identity every model keeps: :math:`\log w_k = \log p(x, z_k) - \log q(z_k \mid x)`
    is ``log_p_x + log_p_z - log_q``, and its log-mean-exp over K bounds log p(x) from below.

    A quantity is given as a tensor, or as a function that computes it when it is first read: a bound that needs no
    ``log_q`` does not pay for it.

    Shapes:
        z: (K, B, L), all latent groups side by side
        kl: (K, B, G), KL(q || p(z)) in nats for each latent group: one group per dimension where q and p factorise
        kl_dims: (K, B, L), the same for each latent dimension given the groups above it; None where it does not split
        log_q, log_p_z, log_p_x: (K, B), nats
        penalty: (B,), what the model itself wants kept small, nats; None for nothing
    """

    def __init__(
        self,
        z: Float[Tensor, "K B L"],
        q: Distribution,
        p_z: Distribution | None,
        p_x: Distribution,
        *,
        kl: Late,
        log_q: Late,
        log_p_z: Late,
        log_p_x: Late,
        penalty: Tensor | None = None,
        kl_dims: Callable[[], Tensor | None] | None = None,
    ) -> None:
        self.z, self.q, self.p_z, self.p_x, self.penalty = z, q, p_z, p_x, penalty
        self._kl_dims = kl_dims
        self._late = {"kl": kl, "log_q": log_q, "log_p_z": log_p_z, "log_p_x": log_p_x}

    def __repr__(self) -> str:
        names = (f"{name}={type(getattr(self, name)).__name__}" for name in ("q", "p_z", "p_x"))
        return f"Trace(z={list(self.z.shape)}, {', '.join(names)})"

    def _read(self, name: str) -> Tensor:
        """A quantity, which must have one value for each draw: others would be broadcast without a word.

        Raises:
            ShapeError: if it has not.
        """
        late = self._late[name]
        found = late if isinstance(late, Tensor) else late()
        if found.shape[: found.ndim - (name == "kl")] != self.z.shape[:2]:
            wanted = "(K, B, groups)" if name == "kl" else "(K, B)"
            raise ShapeError(
                f"Trace: {name} is {tuple(found.shape)}, expected {wanted} with K={self.z.shape[0]} draws of "
                f"B={self.z.shape[1]} examples. Give distributions their event: Independent(Normal(loc, scale), 1)."
            )
        return found

    @cached_property
    def kl(self) -> Float[Tensor, "K B G"]:
        """KL(q || p(z)) for each latent group, nats."""
        return self._read("kl")

    @cached_property
    def kl_dims(self) -> Float[Tensor, "K B L"] | None:
        """KL(q || p(z)) for each latent dimension, nats, where it splits into dimensions."""
        if self._kl_dims is not None:
            return self._kl_dims()
        return self.kl if self.kl.shape[-1] == self.z.shape[-1] else None

    @cached_property
    def log_q(self) -> Float[Tensor, "K B"]:
        """log q(z|x) at each draw, nats."""
        return self._read("log_q")

    @cached_property
    def log_p_z(self) -> Float[Tensor, "K B"]:
        """log p(z) at each draw, nats."""
        return self._read("log_p_z")

    @cached_property
    def log_p_x(self) -> Float[Tensor, "K B"]:
        """log p(x|z) at each draw, nats."""
        return self._read("log_p_x")

    @property
    def rate(self) -> Float[Tensor, " B"]:
        """KL summed over the groups, averaged over the samples, nats."""
        return _mean(self.kl.sum(-1))

    @property
    def distortion(self) -> Float[Tensor, " B"]:
        """-log p(x|z) averaged over the samples, nats."""
        return -_mean(self.log_p_x)

    @property
    def elbo(self) -> Float[Tensor, " B"]:
        """The evidence lower bound, E_q[log p(x|z)] - KL(q || p(z)), nats."""
        return -self.distortion - self.rate

    @property
    def log_w(self) -> Float[Tensor, "K B"]:
        """Log importance weights, log p(x, z) - log q(z|x), nats."""
        return self.log_p_x + self.log_p_z - self.log_q


def _mean(values: Float[Tensor, "K B"]) -> Float[Tensor, " B"]:
    """Mean over the samples; of one sample, that sample."""
    return values[0] if values.shape[0] == 1 else values.mean(0)


@dataclass(frozen=True)
class Bound:
    """What an objective makes of a Trace: the quantity to maximise and the terms to show, one value per example."""

    value: Float[Tensor, " B"]
    terms: dict[str, Float[Tensor, " B"]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.value.ndim != 1:
            raise ShapeError(
                f"Bound: value is {tuple(self.value.shape)}, expected (B,): one number for each example. The mean over "
                "the batch is taken later."
            )

    @property
    def loss(self) -> Float[Tensor, ""]:
        """The scalar to minimise: the one place where the mean over the batch is taken."""
        return -self.value.mean()


@dataclass(frozen=True)
class Progress:
    """How far training has come; schedules read it.

    ``planned_steps`` is the plan the training began with: a warm-up that is over stays over when more steps are added.
    ``examples`` is the size of the training split, for bounds on the aggregate posterior; 0 where it is not known.
    """

    step: int = 0
    total_steps: int = 0
    planned_steps: int = 0
    examples: int = 0

    @property
    def fraction(self) -> float:
        """Share of the training done, from 0 to 1 (1 when there is no training)."""
        return min(1.0, self.step / self.total_steps) if self.total_steps else 1.0

    @property
    def planned_fraction(self) -> float:
        """Share of the first plan done, from 0 to 1."""
        return min(1.0, self.step / self.planned_steps) if self.planned_steps else self.fraction


class HasNamedValues(Protocol):
    """A batch, as far as players and models look at it."""

    @property
    def x(self) -> Tensor: ...

    def pick(self, names: Iterable[str]) -> dict[str, Tensor]: ...

    def known(self, names: Iterable[str]) -> dict[str, Tensor]: ...


@dataclass(frozen=True)
class Player:
    """One party of the training: the parameters it moves and the loss it minimises.

    Attributes:
        name: What it is called.
        parameters: What it moves.
        play: (batch, progress) -> the bound whose loss it minimises.
        steps: How often it moves in each step of the training: on the same batch, with fresh draws.
        rate: Its learning rate as a share of the training's.
    """

    name: str
    parameters: tuple[Parameter, ...]
    play: Callable[[Any, Progress], Bound]
    steps: int = 1
    rate: float = 1.0


class Model(Protocol):
    """What training, evaluation and latents ask of a model with a density."""

    conditions: tuple[str, ...]
    observes: tuple[str, ...]

    def trace(
        self,
        x: Tensor,
        samples: int = 1,
        *,
        q: Distribution | None = None,
        p_z: Distribution | None = None,
        fixed_q: bool = False,
        **named: Any,
    ) -> Trace: ...

    def infer(self, x: Tensor, **named: Any) -> Distribution: ...

    def decode(self, z: Tensor, **named: Any) -> Distribution: ...

    def filtered(self, x: Tensor, particles: int, resample_below: float = 0.5, **named: Any) -> Tensor: ...

    def parameters(self) -> Iterator[Parameter]: ...

    def inference_parameters(self) -> Iterator[Parameter]: ...

    def generative_parameters(self) -> Iterator[Parameter]: ...


class Maker(Protocol):
    """What a game asks of a model: new examples."""

    conditions: tuple[str, ...]

    def p_z(self, **named: Any) -> Distribution: ...

    def decode(self, z: Tensor, **named: Any) -> Distribution: ...


class Playable(Protocol):
    """What the training loop asks of an objective: who plays, and a Bound of a batch to validate by."""

    training: bool

    def __call__(self, model: Any, batch: Any, progress: Progress) -> Bound: ...

    def players(self, model: Any) -> tuple[Player, ...]: ...

    def train(self, mode: bool = True) -> Any: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any: ...
