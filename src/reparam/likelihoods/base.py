"""What every likelihood is."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam.arguments import checked
from reparam.errors import ShapeError
from reparam.networks import full_precision
from reparam.shapes import Shape, times


class Likelihood(nn.Module, ABC):
    """Turns the decoder's output into a distribution over x.

    Shapes:
        h: (*batch, arguments * C, ...), the decoder's ``out_shape``
        returns: batch (*batch), event ``data_shape``
    Args:
        data_shape: Shape of one example.
        arguments: Numbers the decoder gives for each value of x.
    Attributes:
        binary: True where x must be 0 or 1, so that grey data are binarised first.
        unit_interval: True where x must lie in [0, 1].
        of_classes: True where x must be one-hot.
        of_counts: True where x must be whole numbers from 0 on.
        starts: True until it was shown what it begins from, for those that begin from data.
    """

    binary = False
    unit_interval = False
    of_classes = False
    of_counts = False
    starts = False

    @checked
    def __init__(self, data_shape: Shape, arguments: int = 1) -> None:
        super().__init__()
        self.data_shape = tuple(data_shape)
        self.arguments = arguments

    @property
    def out_shape(self) -> Shape:
        """What the decoder must give for one example: the first axis of x, ``arguments`` times."""
        return times(self.data_shape, self.arguments)

    def forward(self, h: Float[Tensor, "..."]) -> Distribution:
        """p(x|z) for each row of h.

        Raises:
            ShapeError: if h does not end in ``out_shape``.
        """
        expected = self.out_shape
        if tuple(h.shape[-len(expected) :]) != expected:
            given = ", ".join(map(str, h.shape))
            raise ShapeError(
                f"{type(self).__name__}: the decoder gave ({given}), x is (..., {', '.join(map(str, self.data_shape))})"
                f" and needs {self.arguments} number(s) a value. Pass out_shape={expected} to the decoder."
            )
        return self.distribution(full_precision(h))

    @abstractmethod
    def distribution(self, h: Float[Tensor, "..."]) -> Distribution:
        """p(x|z) from an output whose shape has been checked."""

    def start(self, x: Float[Tensor, "N ..."]) -> None:
        """Looks at some training examples before the first step, once; most likelihoods need not."""

    def split(self, h: Float[Tensor, "..."]) -> tuple[Tensor, ...]:
        """The arguments, each (*batch, *data_shape)."""
        return h.chunk(self.arguments, -len(self.data_shape))
