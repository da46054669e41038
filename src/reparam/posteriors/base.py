"""What every posterior is."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from reparam.arguments import checked
from reparam.distributions import EUCLIDEAN, Codebook, Flow, Space, joint
from reparam.errors import PartError, RefusedError
from reparam.networks import Bijection, bounded, full_precision


class Posterior(nn.Module, ABC):
    """Turns the encoder's features into a distribution over z: one linear head, then the distribution.

    Shapes:
        h: (B, in_dim)  ->  q: batch (B,), event (L,)
    Args:
        in_dim: Number of features per example.
        latent_dim: Number of latent dimensions L.
        arguments: Numbers the head gives for the whole of z.
        head: What stands in place of the linear head, for posteriors that need several.
    Raises:
        PartError: if latent_dim < 1.
    """

    needs_prior = True
    starts = False  # True for those that begin from data
    relaxes = False  # True for those whose draws are relaxed in training, and have no density
    refines = False  # True for those that move their draws on by the gradient of log p(x, z)
    space: Space = EUCLIDEAN  # where z lies; the prior must lie there too

    @checked
    def __init__(self, in_dim: int, latent_dim: int, arguments: int, head: nn.Module | None = None) -> None:
        super().__init__()
        if latent_dim < 1:
            raise PartError(f"{type(self).__name__}: latent_dim is {latent_dim}, expected at least 1.")
        self.in_dim, self.latent_dim = in_dim, latent_dim
        self.head = nn.Linear(in_dim, arguments) if head is None else head

    @property
    def codebook(self) -> Codebook:
        """The codes that z is made of.

        Raises:
            RefusedError: if z is not made of codes.
        """
        raise RefusedError(f"{type(self).__name__} has no codebook: its z is not made of codes from a finite set.")

    @abstractmethod
    def forward(self, h: Float[Tensor, "*B F"]) -> Distribution:
        """q(z|x) for each example."""

    def start(self, h: Float[Tensor, "N F"]) -> None:
        """Looks at the features of some training examples before the first step, once; most posteriors need not."""

    def refine(
        self, z: Float[Tensor, "K B L"], noise: Float[Tensor, "K B L"], log_joint: Callable[[Tensor], Tensor]
    ) -> tuple[Float[Tensor, "K B L"], Float[Tensor, "K B"]]:
        """Moves draws on; only posteriors that refine are asked to.

        Args:
            z: Draws from q.
            noise: Standard Normal draws of the same shape.
            log_joint: z -> log p(x, z), (K, B).
        Returns:
            The moved draws, and what is to be added to log q of where they started.
        """
        raise NotImplementedError

    def numbers(self, h: Float[Tensor, "*B F"]) -> Float[Tensor, "*B N"]:
        """What the head gives, in full precision."""
        return full_precision(self.head(h))


def require_shared(owner: str, grid: Sequence[int], **sizes: int) -> None:
    """Checks that the positions of a grid can share features and latent dimensions equally.

    Raises:
        PartError: if they cannot.
    """
    positions = math.prod(grid)
    if not grid or min(grid) < 1:
        raise PartError(f"{owner}: the grid is {tuple(grid)}, expected extents of at least 1.")
    for name, value in sizes.items():
        if value > 0 and value % positions:
            raise PartError(f"{owner}: {name} is {value}, expected a multiple of the {positions} positions.")


def loc_scale(numbers: Float[Tensor, "*B N"]) -> tuple[Float[Tensor, "*B L"], Float[Tensor, "*B L"]]:
    """Location and bounded scale of each dimension, from 2 L numbers."""
    loc, log_scale = numbers.chunk(2, -1)
    return loc, bounded(log_scale).exp()


def diagonal_normal(numbers: Float[Tensor, "*B N"]) -> Independent:
    """The Normal with independent dimensions, of 2 L numbers."""
    return joint(Normal(*loc_scale(numbers), validate_args=False), 1)


def flow_of(numbers: Float[Tensor, "*B N"], latent_dim: int, bijection: Bijection) -> Flow:
    """A flow on a diagonal Normal, of the 2 L numbers of the Normal and then those of the map."""
    base = diagonal_normal(numbers[..., : 2 * latent_dim])
    return Flow(base, bijection, numbers[..., 2 * latent_dim :])
