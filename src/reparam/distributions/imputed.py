"""Codes of examples of which something is missing that is guessed first."""

from collections.abc import Callable

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints
from torch.types import _size

from reparam.distributions.by_class import Reshaped
from reparam.distributions.observations import SideBySide
from reparam.errors import RefusedError


class ImputedCodes(Distribution):
    r"""What is missing of x is drawn, and then the code of the whole.

    .. math:: q(h, z \mid d) = q(h \mid d)\, q(z \mid d, h)

    Its draws are those of z; its mean and variance are those of :math:`q(z \mid d, E[h])`, which leaves out what the
    guess is unsure of: ``exact_moments`` is False. Where something is missing, the density of z alone has no
    closed form.

    Shapes:
        x: (*batch, D), NaN where something is missing;  columns: (H,), the places of h in x  ->  event (L,)
    Args:
        x: Examples.
        columns: The places in x of what is guessed where it is missing.
        guess: q(h|d), batch (*batch), event (H,).
        encode: Examples (N, D) -> q(z|d, h), batch (N,).
        latent_dim: Number of latent dimensions L.
    """

    has_rsample = True
    exact_moments = False
    arg_constraints = {}
    support = constraints.real_vector

    def __init__(
        self, x: Tensor, columns: Tensor, guess: SideBySide, encode: Callable[[Tensor], Distribution], latent_dim: int
    ) -> None:
        self.x, self.columns, self.guess, self.encode = x, columns, guess, encode
        super().__init__(x.shape[:-1], Size([latent_dim]), validate_args=False)

    @property
    def missing(self) -> Tensor:
        """What is missing of h, (*batch, H)."""
        return self.x[..., self.columns].isnan()

    def filled(self, h: Tensor) -> Tensor:
        """Examples with h where it is missing: (*more, *batch, H) -> (*more, *batch, D)."""
        x = self.x.expand(*h.shape[:-1], self.x.shape[-1])
        own = x[..., self.columns]
        return x.index_copy(-1, self.columns, torch.where(own.isnan(), h, own))

    def _codes(self, h: Tensor) -> Distribution:
        x = self.filled(h)
        if x.ndim == 1:
            return self.encode(x)
        return Reshaped(self.encode(x.reshape(-1, x.shape[-1])), x.shape[:-1])

    @property
    def mean(self) -> Tensor:
        return self._codes(self.guess.mean).mean

    @property
    def variance(self) -> Tensor:
        return self._codes(self.guess.mean).variance

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "ImputedCodes":
        shape = Size(batch_shape)
        x = self.x.expand(*shape, self.x.shape[-1])
        return ImputedCodes(x, self.columns, self.guess.expand(shape), self.encode, self.event_shape[0])

    def rsample(self, sample_shape: _size = Size()) -> Tensor:
        return self._codes(self.guess.rsample(sample_shape)).rsample()

    def log_prob(self, value: Tensor) -> Tensor:
        if not self.missing.any():
            found: Tensor = self.encode(self.x).log_prob(value)
            return found
        raise RefusedError(
            "The density of the code of an example in which something was guessed has no closed form: it is a mixture "
            "over all that could be missing. Give the whole example."
        )
