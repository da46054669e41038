"""Reconstruction terms that are no densities: exp(-energy) without its normaliser."""

from collections.abc import Callable

from torch import Size, Tensor
from torch.distributions import Distribution, constraints
from torch.types import _size


class Energy(Distribution):
    r"""Scores x by its distance from a reconstruction, in place of a log density.

    .. math:: \log \tilde p(x) = -E(x, \mathrm{loc})

    ``normalized`` is False: what is built on it is a training loss, not a likelihood, and log p(x) is refused.

    Shapes:
        loc: (*batch, *event)
        energy(x, loc): (*some, *event), (*batch, *event) -> (*batch); the batches are not expanded to one another
    """

    normalized = False
    has_rsample = True
    arg_constraints = {"loc": constraints.real}
    support = constraints.real

    def __init__(self, loc: Tensor, energy: Callable[[Tensor, Tensor], Tensor], event_dim: int) -> None:
        self.loc, self.energy = loc, energy
        batch_dim = loc.dim() - event_dim
        super().__init__(loc.shape[:batch_dim], loc.shape[batch_dim:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.loc

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "Energy":
        return Energy(self.loc.expand(Size(batch_shape) + self.event_shape), self.energy, len(self.event_shape))

    def rsample(self, sample_shape: _size = Size()) -> Tensor:
        """The reconstruction itself: without a density there is nothing to draw from."""
        return self.loc.expand(self._extended_shape(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        return -self.energy(value, self.loc)
