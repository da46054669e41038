"""Posteriors over codes from a finite set: each position of z takes one code, or some."""

import math
from abc import ABC
from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor

from reparam.distributions import CODES, Codebook, CodePoint
from reparam.errors import PartError
from reparam.networks import (
    FiniteScalarQuantiser,
    LookupFreeQuantiser,
    Metric,
    Quantiser,
    ResidualQuantiser,
    VectorQuantiser,
)
from reparam.posteriors.base import Posterior, require_shared


class QuantisedPosterior(Posterior, ABC):
    """One linear head for all positions, and a quantiser that gives each position its code.

    Shapes:
        h: (B, M F), position by position  ->  q: batch (B,), event (L,) with L = M D
    Args:
        in_dim: Number of features per example, M F.
        latent_dim: Number of latent dimensions, M D.
        grid: Extents of the grid of positions; there are M of them.
    Raises:
        PartError: if the positions cannot share the features or the latent dimensions equally.
    """

    needs_prior = False  # there is no noise
    space = CODES
    quantiser: Quantiser

    def __init__(self, in_dim: int, latent_dim: int, grid: Sequence[int]) -> None:
        require_shared(type(self).__name__, grid, in_dim=in_dim, latent_dim=latent_dim)
        positions = math.prod(grid)
        super().__init__(in_dim // positions, latent_dim, latent_dim // positions)
        self.in_dim, self.grid, self.positions = in_dim, tuple(grid), positions
        self.code_dim = latent_dim // positions

    @property
    def starts(self) -> bool:  # type: ignore[override]
        """True where the quantiser begins from data."""
        return self.quantiser.starts

    @property
    def codebook(self) -> Codebook:
        if self.quantiser.stages == 1:
            return Codebook(self.grid, self.quantiser.codes, self._vectors, self._indices)
        # the stages lie behind the grid; of a sum of codes one cannot tell which they were
        return Codebook((*self.grid, self.quantiser.stages), self.quantiser.codes, self._vectors)

    def forward(self, h: Float[Tensor, "*B F"]) -> CodePoint:
        found = self.quantiser(self._placed(h))
        return CodePoint(found.vectors.flatten(-2), found.indices.flatten(-2), self.codebook, found.penalty)

    def start(self, h: Float[Tensor, "N F"]) -> None:
        self.quantiser.start(self._placed(h).flatten(0, 1))

    def _placed(self, h: Tensor) -> Tensor:
        """The numbers of each position, (*B, M, D)."""
        return self.numbers(h.unflatten(-1, (self.positions, -1)))

    def _vectors(self, indices: Int[Tensor, "*N M"]) -> Float[Tensor, "*N L"]:
        stages = self.quantiser.stages
        return self.quantiser.vectors(indices.unflatten(-1, (self.positions, stages))).flatten(-2)

    def _indices(self, z: Float[Tensor, "*N L"]) -> Int[Tensor, "*N M"]:
        return self.quantiser.indices(z.unflatten(-1, (self.positions, self.code_dim)))


class VectorQuantisedPosterior(QuantisedPosterior):
    r"""The nearest code of a learned table for each position, with a straight-through gradient.

    .. math:: z_m = e_{k_m}, \qquad k_m = \operatorname{argmin}_j \|W h_m + b - e_j\|, \qquad
              \text{penalty} = \beta \sum_m \|W h_m + b - \mathrm{sg}(e_{k_m})\|^2

    Shapes:
        h: (B, M F), position by position  ->  q: batch (B,), event (L,) with L = M D
    Args:
        in_dim: Number of features per example, M F.
        latent_dim: Number of latent dimensions, M D.
        grid: Extents of the grid of positions; an encoder that keeps a map gives its own.
        codes: Number of codes, C.
        commitment: Weight beta of the penalty, nats.
        decay: Of the table's running averages; None for a table that learns by gradient.
        metric: ``euclidean`` or ``cosine``.
        revive: A code is moved when it is chosen less often than this share of an equal use; 0 for never.
    Raises:
        PartError: if the positions cannot share in_dim or latent_dim equally, or a number makes no sense.
    Source:
        Neural discrete representation learning (van den Oord et al., 2017), arXiv:1711.00937, eqs. 1 to 3; see
        :class:`~reparam.networks.VectorQuantiser`.
    """

    def __init__(
        self,
        in_dim: int,
        latent_dim: int,
        grid: Sequence[int] = (1,),
        codes: int = 256,
        commitment: float = 0.25,
        decay: float | None = 0.99,
        metric: Metric = "euclidean",
        revive: float = 0.02,
    ) -> None:
        super().__init__(in_dim, latent_dim, grid)
        self.quantiser = VectorQuantiser(self.code_dim, codes, commitment, decay, metric, revive)
        self.codes, self.commitment, self.decay, self.metric, self.revive = codes, commitment, decay, metric, revive


class ResidualQuantisedPosterior(QuantisedPosterior):
    r"""A sum of codes for each position: each further table quantises what the ones before it left.

    .. math:: z_m = \sum_{s=1}^{S} e^{(s)}_{k_{ms}}

    Shapes:
        h: (B, M F), position by position  ->  q: batch (B,), event (L,) with L = M D; M S numbers of codes
    Args:
        in_dim: Number of features per example, M F.
        latent_dim: Number of latent dimensions, M D.
        grid: Extents of the grid of positions; an encoder that keeps a map gives its own.
        codes: Number of codes in each table, C.
        stages: Number of tables, S.
        commitment: Weight of the penalty of each stage, nats.
        decay: Of the tables' running averages.
        revive: A code is moved when it is chosen less often than this share of an equal use; 0 for never.
    Raises:
        PartError: if the positions cannot share in_dim or latent_dim equally, or a number makes no sense.
    Source:
        Autoregressive image generation using residual quantization (Lee et al., 2022), arXiv:2203.01941, section 3.1;
        see :class:`~reparam.networks.ResidualQuantiser`.
    """

    def __init__(
        self,
        in_dim: int,
        latent_dim: int,
        grid: Sequence[int] = (1,),
        codes: int = 64,
        stages: int = 4,
        commitment: float = 0.25,
        decay: float = 0.99,
        revive: float = 0.02,
    ) -> None:
        super().__init__(in_dim, latent_dim, grid)
        self.quantiser = ResidualQuantiser(self.code_dim, codes, stages, commitment, decay, revive)
        self.codes, self.stages, self.commitment, self.decay, self.revive = codes, stages, commitment, decay, revive


class FiniteScalarPosterior(QuantisedPosterior):
    r"""Every number of a position rounded to a few levels; there is no table and no penalty.

    .. math:: z_{md} = \mathrm{round}_{n_d}\bigl(\tanh (W h_m + b)_d\bigr)

    Shapes:
        h: (B, M F), position by position  ->  q: batch (B,), event (L,) with L = M D
    Args:
        in_dim: Number of features per example, M F.
        latent_dim: Number of latent dimensions, M D.
        grid: Extents of the grid of positions; an encoder that keeps a map gives its own.
        code_levels: Number of levels n of each of the D numbers of a code.
    Raises:
        PartError: if the positions cannot share in_dim or latent_dim equally, or there are not D numbers of levels.
    Source:
        Finite scalar quantization: VQ-VAE made simple (Mentzer et al., 2023), arXiv:2309.15505, section 3.1; see
        :class:`~reparam.networks.FiniteScalarQuantiser`.
    """

    def __init__(
        self, in_dim: int, latent_dim: int, grid: Sequence[int] = (1,), code_levels: Sequence[int] = (8, 6, 5)
    ) -> None:
        super().__init__(in_dim, latent_dim, grid)
        if self.code_dim != len(code_levels):
            raise PartError(
                f"FiniteScalarPosterior: code_levels is {list(code_levels)}, each of {self.positions} positions has "
                f"{self.code_dim} numbers. Set latent_dim to {self.positions * len(code_levels)}."
            )
        self.quantiser = FiniteScalarQuantiser(code_levels)
        self.code_levels = tuple(code_levels)

    @property
    def codes(self) -> int:
        """Number of codes, the product of the levels."""
        return self.quantiser.codes


class LookupFreePosterior(QuantisedPosterior):
    r"""The sign of every number; the sign patterns of a position are its codes, and an entropy keeps all in use.

    .. math:: z_m = \mathrm{sign}(W h_m + b)

    Shapes:
        h: (B, M F), position by position  ->  q: batch (B,), event (L,) with L = M D
    Args:
        in_dim: Number of features per example, M F.
        latent_dim: Number of latent dimensions, M D; a code has D bits.
        grid: Extents of the grid of positions; an encoder that keeps a map gives its own.
        commitment: Weight of the squared distance from the signs, nats.
        entropy: Weight of the entropies: each position should choose clearly, all together use every code.
        temperature: Of the choice whose entropies these are.
    Raises:
        PartError: if the positions cannot share in_dim or latent_dim equally, or a code has more than 20 bits.
    Source:
        Language model beats diffusion: tokenizer is key to visual generation (Yu et al., 2023), arXiv:2310.05737,
        section 3.1; see :class:`~reparam.networks.LookupFreeQuantiser`.
    """

    def __init__(
        self,
        in_dim: int,
        latent_dim: int,
        grid: Sequence[int] = (1,),
        commitment: float = 0.25,
        entropy: float = 0.1,
        temperature: float = 1.0,
    ) -> None:
        super().__init__(in_dim, latent_dim, grid)
        self.quantiser = LookupFreeQuantiser(self.code_dim, commitment, entropy, temperature)
        self.commitment, self.entropy, self.temperature = commitment, entropy, temperature

    @property
    def codes(self) -> int:
        """Number of codes, 2 to the number of bits."""
        return self.quantiser.codes
