"""Quantisers: numbers at each position -> one of finitely many codes there, with a gradient straight through."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from reparam.errors import PartError
from reparam.processes import current

MOST_CODES = 1 << 20
JOINT_BITS = 8  # the entropy of so many bits together is summed over all their values


@dataclass(frozen=True)
class Quantised:
    """What a quantiser chose.

    Shapes:
        vectors: (*B, M, D), the codes; their gradient goes straight through to what was quantised
        indices: (*B, M, S), the numbers of the codes, S of them for each position
        penalty: (*B,), what the quantiser wants kept small, nats; None for nothing
    """

    vectors: Tensor
    indices: Tensor
    penalty: Tensor | None = None


class Quantiser(nn.Module, ABC):
    """Replaces the numbers at each position by a code.

    Args:
        code_dim: Numbers at each position, D.
        codes: Number of codes, C.
    Raises:
        PartError: if there are fewer than 2 codes, or more than 2^20.
    """

    stages = 1  # codes for each position, S
    starts = False  # True for those that begin from data

    def __init__(self, code_dim: int, codes: int) -> None:
        super().__init__()
        if not 2 <= codes <= MOST_CODES:
            raise PartError(f"{type(self).__name__}: there are {codes} codes, expected 2 to {MOST_CODES:,}.")
        self.code_dim, self.codes = code_dim, codes

    @abstractmethod
    def forward(self, h: Float[Tensor, "*B M D"]) -> Quantised:
        """The codes of these numbers."""

    @abstractmethod
    def indices(self, z: Float[Tensor, "*B M D"]) -> Int[Tensor, "*B M"]:
        """The numbers of the codes nearest to z.

        Raises:
            RefusedError: if z does not tell which codes it is made of.
        """

    @abstractmethod
    def vectors(self, indices: Int[Tensor, "*B M S"]) -> Float[Tensor, "*B M D"]:
        """The codes with these numbers."""

    def start(self, h: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        """Looks at numbers of some training examples, once; returns their codes. Most need not."""
        return h


def straight_through(codes: Tensor, h: Tensor) -> Tensor:
    r"""The values of ``codes``, exactly, with the gradient of h.

    .. math:: z = \mathrm{sg}(e) + h - \mathrm{sg}(h)
    """
    return codes.detach() + (h - h.detach())


def squared_distance(a: Tensor, b: Tensor) -> Tensor:
    """Sum of squared differences over positions and their numbers, (*B,)."""
    return (a - b).square().sum((-2, -1))


class _Levels(nn.Module):
    """Evenly spaced values in [-1, 1], some of them for each dimension, numbered by all combinations.

    Args:
        counts: How many values each dimension has, n.
    """

    reach: Tensor
    counts: Tensor
    places: Tensor

    def __init__(self, counts: Sequence[int]) -> None:
        super().__init__()
        sizes = torch.tensor(counts)
        self.register_buffer("reach", (sizes - 1) / 2, persistent=False)
        self.register_buffer("counts", sizes, persistent=False)
        self.register_buffer("places", sizes.cumprod(0) // sizes, persistent=False)

    def number(self, levels: Tensor) -> Int[Tensor, "*N"]:
        """The number of a combination of levels 0 to n - 1, the first dimension running fastest."""
        return (levels.long() * self.places).sum(-1)

    def nearest(self, values: Float[Tensor, "*N D"]) -> Int[Tensor, "*N"]:
        """The number of the combination nearest to these values."""
        return self.number((self.reach * values.clamp(-1, 1) + self.reach).round())

    def forward(self, number: Int[Tensor, "*N"]) -> Float[Tensor, "*N D"]:
        """The values of the combination with this number."""
        levels = (number.unsqueeze(-1) // self.places) % self.counts
        return (levels - self.reach) / self.reach


class FiniteScalarQuantiser(Quantiser):
    r"""Rounds each bounded number to one of a few levels; every combination of levels is a code.

    .. math:: u_d = \tfrac{n_d - 1}{2} \tanh h_d, \qquad
              z_d = \tfrac{2}{n_d - 1}\, \bigl(k_d - \tfrac{n_d - 1}{2}\bigr), \qquad
              k_d = \mathrm{round}\bigl(u_d + \tfrac{n_d - 1}{2}\bigr)

    Args:
        code_levels: Number of levels n of each of the D numbers.
    Raises:
        PartError: if there is no number, or one with fewer than 2 levels.
    Source:
        Finite scalar quantization: VQ-VAE made simple (Mentzer et al., 2023), arXiv:2309.15505, section 3.1. For an
        even n our levels lie evenly around 0, where the paper moves them by half a level.
    """

    def __init__(self, code_levels: Sequence[int]) -> None:
        if not code_levels or min(code_levels) < 2:
            raise PartError(f"FiniteScalarQuantiser: code_levels is {list(code_levels)}, expected 2 or more each.")
        super().__init__(len(code_levels), math.prod(code_levels))
        self.code_levels = tuple(code_levels)
        self.levels = _Levels(self.code_levels)

    def forward(self, h: Float[Tensor, "*B M D"]) -> Quantised:
        bounded = h.tanh()
        indices = self.indices(bounded.detach()).unsqueeze(-1)
        return Quantised(straight_through(self.vectors(indices), bounded), indices)

    def indices(self, z: Float[Tensor, "*B M D"]) -> Int[Tensor, "*B M"]:
        return self.levels.nearest(z)

    def vectors(self, indices: Int[Tensor, "*B M S"]) -> Float[Tensor, "*B M D"]:
        return self.levels(indices.squeeze(-1))


class LookupFreeQuantiser(Quantiser):
    r"""Takes the sign of each number; the 2^D sign patterns are the codes.

    .. math:: z = \mathrm{sign}(h), \qquad
              \text{penalty} = \beta \|h - z\|^2 + \lambda \sum_m \Bigl(H[q(z_m \mid h)] - H\bigl[E\, q(z)\bigr]\Bigr)

    with :math:`q(z \mid h) \propto e^{2 h \cdot z / \tau}`: each position should choose clearly, all of them together
    should use every code. The mean is over the positions of the whole batch.

    Args:
        code_dim: Numbers at each position D, the bits of a code.
        commitment: Weight beta.
        entropy: Weight lambda.
        temperature: tau.
    Raises:
        PartError: if a weight is negative, or the temperature not positive.
    Source:
        Language model beats diffusion: tokenizer is key to visual generation (Yu et al., 2023), arXiv:2310.05737,
        section 3.1. The entropy of the mean is that of groups of 8 bits, exact for D <= 8, where the paper sums over
        all codes.
    """

    def __init__(self, code_dim: int, commitment: float = 0.25, entropy: float = 0.1, temperature: float = 1.0) -> None:
        super().__init__(code_dim, 1 << min(code_dim, 62))
        if not (commitment >= 0 and entropy >= 0 and temperature > 0):
            raise PartError(
                f"LookupFreeQuantiser: commitment {commitment}, entropy {entropy}, temperature {temperature}; expected "
                "weights of 0 or more and a temperature above 0."
            )
        self.commitment, self.entropy, self.temperature = commitment, entropy, temperature
        self.levels = _Levels([2] * code_dim)

    def forward(self, h: Float[Tensor, "*B M D"]) -> Quantised:
        indices = self.indices(h.detach()).unsqueeze(-1)
        codes = self.vectors(indices)
        penalty = self.commitment * squared_distance(h, codes) + self.entropy * self._entropies(h)
        return Quantised(straight_through(codes, h), indices, penalty)

    def indices(self, z: Float[Tensor, "*B M D"]) -> Int[Tensor, "*B M"]:
        return self.levels.number(z > 0)

    def vectors(self, indices: Int[Tensor, "*B M S"]) -> Float[Tensor, "*B M D"]:
        return self.levels(indices.squeeze(-1))

    def _entropies(self, h: Tensor) -> Tensor:
        """Sum over the positions of the entropy of each choice, less that of the mean choice, (*B,), nats."""
        logits = 4 / self.temperature * h
        own = (F.softplus(logits) - logits * logits.sigmoid()).sum((-2, -1))
        shared = sum(_joint_entropy(group) for group in logits.flatten(0, -2).split(JOINT_BITS, -1))
        return own - h.shape[-2] * shared


def _joint_entropy(logits: Float[Tensor, "N b"]) -> Tensor:
    """Entropy of the mean over N of the products of b Bernoullis, nats, over the whole batch."""
    places = torch.arange(logits.shape[-1], device=logits.device)
    bits = ((torch.arange(1 << len(places), device=logits.device).unsqueeze(-1) >> places) & 1).to(logits)
    log_probs = F.logsigmoid(logits) @ bits.T + F.logsigmoid(-logits) @ (1 - bits).T
    mean = current().mean(log_probs.exp().mean(0)).clamp_min(torch.finfo(logits.dtype).tiny)
    return torch.special.entr(mean).sum()
