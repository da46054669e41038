"""What q becomes when its draws are moved on: a place to start from, and no density of its own."""

from torch import Size, Tensor
from torch.distributions import Distribution
from torch.types import _size

from reparam.distributions.independent import is_density, is_entangled
from reparam.errors import RefusedError


class Refined(Distribution):
    """Draws from a base that were moved on by what also drew further numbers, such as momenta.

    The draws have a density only together with those numbers, which the trace holds as ``log_q``; the density of z
    alone is an integral over them. Mean and variance are those of the base, so ``exact_moments`` is False.

    Args:
        base: Where the draws start.
    """

    arg_constraints = {}
    exact_moments = False
    marginal = False  # log_prob(z) is not at hand

    def __init__(self, base: Distribution) -> None:
        self.base, self.normalized, self.entangled = base, is_density(base), is_entangled(base)
        super().__init__(base.batch_shape, base.event_shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.base.mean

    @property
    def variance(self) -> Tensor:
        return self.base.variance

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "Refined":
        return Refined(self.base.expand(batch_shape))

    def sample(self, sample_shape: _size = Size()) -> Tensor:
        """Where draws start."""
        return self.base.sample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """The density of z alone, which is not at hand.

        Raises:
            RefusedError: always.
        """
        raise RefusedError(
            "The draws of this posterior are moved on after they are drawn, so q(z|x) at a given z is not at hand, "
            "only the trace's log_q is. Take a posterior such as 'normal' or a flow."
        )
