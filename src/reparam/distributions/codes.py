"""Distributions over codes from a finite set: z is a vector, and its probability is a mass."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Size, Tensor
from torch.distributions import Distribution, constraints, register_kl
from torch.types import _size

from reparam.distributions.point_mass import PointMass


@dataclass(frozen=True)
class Codebook:
    """What a prior must know of the codes: how many there are, and how z and their numbers turn into each other.

    Attributes:
        grid: Extents of the grid of choices, M in all.
        codes: Number of codes to choose from each time, C.
        vectors: Numbers of codes, (*N, M)  ->  z, (*N, L).
        indices: z, (*N, L)  ->  numbers of the nearest codes, (*N, M); None where z does not tell them.
    """

    grid: tuple[int, ...]
    codes: int
    vectors: Callable[[Tensor], Tensor]
    indices: Callable[[Tensor], Tensor] | None = None

    @property
    def choices(self) -> int:
        """How many codes one z is made of, M."""
        return math.prod(self.grid)


class CodePoint(Distribution):
    r"""Puts all mass of z on the codes that were chosen.

    .. math:: q(z) = [z = e_{k_1} \dots e_{k_M}]

    ``log_prob`` is the log of a probability: 0 there and minus infinity elsewhere. With a prior over the same codes,
    KL(q || p) is -log p of the chosen codes, and the ELBO a bound of log p(x).

    Shapes:
        z: (*batch, L); the last axis is one event. Its gradient is that of what was quantised.
        indices: (*batch, M), numbers of the chosen codes
        penalty: (*batch,), what the quantiser wants kept small, nats; None for nothing
    Args:
        codebook: The codes.
    """

    discrete = True
    noiseless = True
    has_rsample = True
    arg_constraints = {"z": constraints.real_vector}
    support = constraints.real_vector

    def __init__(self, z: Tensor, indices: Tensor, codebook: Codebook, penalty: Tensor | None = None) -> None:
        self.z, self.indices, self.codebook, self.penalty = z, indices, codebook, penalty
        self.point = PointMass(z)
        super().__init__(z.shape[:-1], z.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.z

    @property
    def mode(self) -> Tensor:
        return self.z

    @property
    def variance(self) -> Tensor:
        return self.point.variance

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "CodePoint":
        shape = Size(batch_shape)
        penalty = None if self.penalty is None else self.penalty.expand(shape)
        indices = self.indices.expand(shape + self.indices.shape[-1:])
        return CodePoint(self.z.expand(shape + self.event_shape), indices, self.codebook, penalty)

    def rsample(self, sample_shape: _size = Size()) -> Tensor:
        return self.z.expand(self._extended_shape(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        return self.point.log_prob(value)


class _OverCodes(Distribution, ABC):
    """A prior over codes: draws numbers of codes, and gives them and z a probability.

    Args:
        codebook: The codes.
        like: (L,), gives the type of number, the device and the size of z.
        batch_shape: Of the distribution.
    """

    discrete = True
    has_rsample = False
    arg_constraints = {}
    support = constraints.real_vector

    def __init__(self, codebook: Codebook, like: Tensor, batch_shape: Size = Size()) -> None:
        self.codebook, self.like = codebook, like
        super().__init__(batch_shape, like.shape, validate_args=False)

    @abstractmethod
    def draw(self, count: int, temperature: float) -> Int[Tensor, "N M"]:
        """Numbers of codes, with all log odds divided by the temperature."""

    def sample(self, sample_shape: _size = Size()) -> Tensor:
        return self.tempered(sample_shape, 1.0)

    def tempered(self, shape: _size, temperature: float) -> Tensor:
        """Draws whose log odds are divided by a temperature; 0 takes the most probable code each time."""
        extended = self._extended_shape(shape)
        with torch.no_grad():
            numbers = self.draw(extended[:-1].numel(), temperature)
            return self.codebook.vectors(numbers).to(self.like).reshape(extended)


class UniformCodes(_OverCodes):
    r"""Gives all codes the same probability.

    .. math:: \log p(z) = -M \log C

    A temperature changes nothing: there is nothing to sharpen.

    Shapes:
        a value: (*batch, L); batch (), event (L,)
    """

    @property
    def entropy_nats(self) -> float:
        """M log C."""
        return self.codebook.choices * math.log(self.codebook.codes)

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "UniformCodes":
        return UniformCodes(self.codebook, self.like, Size(batch_shape))

    def draw(self, count: int, temperature: float) -> Int[Tensor, "N M"]:
        return torch.randint(self.codebook.codes, (count, self.codebook.choices), device=self.like.device)

    def log_prob(self, value: Tensor) -> Tensor:
        return torch.full_like(value[..., 0], -self.entropy_nats)


class AutoregressiveCodes(_OverCodes):
    r"""Chooses the codes one after the other, each given those before it.

    .. math:: p(z) = \prod_{m=1}^{M} p(k_m \mid k_1 \dots k_{m-1})

    A value is read as its nearest codes.

    Shapes:
        logits: indices (N, M)  ->  (N, M, C), those of position m from the indices before m alone
    Args:
        codebook: The codes; it can read their numbers from z.
        like: (L,), gives the type of number, the device and the size of z.
        logits: Log odds of every code at every position.
    """

    learns = True  # by log_prob: draws of codes pass no gradient

    def __init__(
        self, codebook: Codebook, like: Tensor, logits: Callable[[Tensor], Tensor], batch_shape: Size = Size()
    ) -> None:
        super().__init__(codebook, like, batch_shape)
        self.logits = logits

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "AutoregressiveCodes":
        return AutoregressiveCodes(self.codebook, self.like, self.logits, Size(batch_shape))

    def draw(self, count: int, temperature: float) -> Int[Tensor, "N M"]:
        return ancestral(self.logits, count, self.codebook.choices, temperature, self.like.device)

    def log_prob(self, value: Tensor) -> Tensor:
        assert self.codebook.indices is not None
        indices = self.codebook.indices(value.detach()).reshape(-1, self.codebook.choices)
        return log_mass(self.logits, indices).reshape(value.shape[:-1])


def log_mass(logits: Callable[[Tensor], Tensor], indices: Int[Tensor, "N M"]) -> Float[Tensor, " N"]:
    """log p of numbers of codes, each given those before it, nats."""
    log_probs = logits(indices).log_softmax(-1)
    return log_probs.gather(-1, indices.unsqueeze(-1)).squeeze(-1).sum(-1)


@torch.no_grad()
def ancestral(
    logits: Callable[[Tensor], Tensor], count: int, choices: int, temperature: float, device: torch.device
) -> Int[Tensor, "N M"]:
    """Draws numbers of codes, one after the other."""
    indices = torch.zeros(count, choices, dtype=torch.long, device=device)
    for m in range(choices):
        here = logits(indices)[:, m]
        if temperature == 0:
            indices[:, m] = here.argmax(-1)
        else:
            odds = (here - here.amax(-1, keepdim=True)) / temperature  # at most 0, however cold
            indices[:, m] = torch.multinomial(odds.softmax(-1), 1).squeeze(-1)
    return indices


@register_kl(CodePoint, UniformCodes)  # type: ignore[untyped-decorator]
def _kl_point_uniform(q: CodePoint, p: UniformCodes) -> Tensor:
    return q.z.new_full(q.batch_shape, p.entropy_nats)
