"""What every prior is."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam.arguments import checked
from reparam.distributions import EUCLIDEAN, Codebook, Space
from reparam.errors import PartError
from reparam.shapes import Shape, numel

MOST_VALUES = 2**31


class Prior(nn.Module, ABC):
    """Gives p(z), possibly with parameters of its own.

    Shapes:
        returns: batch (), event (L,)
    Args:
        latent_dim: Number of latent dimensions L.
    Raises:
        PartError: if latent_dim < 1.
    """

    starts = False  # True for those that begin from data
    infers = False  # True for those made of posteriors q(z|u) of examples u of their own
    space: Space | None = EUCLIDEAN  # where z lies; None for that of the posteriors it is made of
    zero: Tensor

    @checked
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


def posteriors_of(owner: str, infer: Callable[[Tensor], Distribution] | None, x: Tensor) -> Distribution:
    """q(z|x) of each x, for priors that are made of posteriors.

    Raises:
        PartError: if there is no ``infer``.
    """
    if infer is None:
        raise PartError(f"{owner} is made of posteriors q(z|x). Call it with infer=model.infer.")
    return infer(x)


def require_components(owner: str, components: int, data_shape: Shape) -> None:
    """Checks a number of components, each of which holds an example of this shape.

    Raises:
        PartError: if it is below 1, or so large that the examples would fill the memory.
    """
    if components < 1:
        raise PartError(f"{owner}: components is {components}, expected at least 1.")
    if components * numel(data_shape) > MOST_VALUES:
        raise PartError(
            f"{owner}: {components:,} examples of shape {data_shape} are too many to keep. Lower components."
        )


def chosen(x: Tensor, components: int) -> Tensor:
    """A random choice of examples, each as often as any other where there are too few of them, (M, *data_shape)."""
    order = torch.randperm(len(x), device=x.device)
    return x[order[torch.arange(components, device=x.device) % len(x)]]
