"""What every prior is."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam.distributions import Codebook
from reparam.errors import PartError


class Prior(nn.Module, ABC):
    """Gives p(z), possibly with parameters of its own.

    Shapes:
        returns: batch (), event (L,)
    Args:
        latent_dim: Number of latent dimensions L.
    Raises:
        PartError: if latent_dim < 1.
    """

    over_codes = False  # True for those over codes from a finite set
    starts = False  # True for those that begin from data
    zero: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        if latent_dim < 1:
            raise PartError(f"{type(self).__name__}: latent_dim is {latent_dim}, expected at least 1.")
        self.latent_dim = latent_dim
        self.register_buffer("zero", torch.zeros(latent_dim), persistent=False)

    def start(self, x: Tensor) -> None:
        """Looks at some training examples before the first step, once; most priors need not."""

    def use(self, codebook: Codebook) -> None:
        """Takes note of the codes that z is made of; only priors over codes are asked to."""

    @abstractmethod
    def forward(self, infer: Callable[[Tensor], Distribution] | None = None) -> Distribution:
        """p(z). Priors made of posteriors read ``infer``: x -> q(z|x)."""
