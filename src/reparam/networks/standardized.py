"""Encoders for data in any units."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reparam.errors import ShapeError
from reparam.networks.base import Encoder
from reparam.shapes import Shape


def per_channel(values: tuple[float, ...], data_shape: Shape) -> Float[Tensor, "..."]:
    """One number per channel (or column) in a shape that broadcasts over one example.

    Raises:
        ShapeError: if there are not as many numbers as channels.
    """
    if len(values) != data_shape[0]:
        raise ShapeError(f"shift and scale have {len(values)} values, x of shape {data_shape} has {data_shape[0]}.")
    return torch.tensor(values).reshape(-1, *(1 for _ in data_shape[1:]))


class Units(nn.Module):
    """The data's own units: constants that move with a model and are rebuilt, not saved with its weights.

    Args:
        shift: One number per channel (or column) of x.
        scale: One number per channel (or column) of x.
        data_shape: Shape of one example.
        counts: How many of the first channels (or columns) are counts n, of which log(1 + n) is standardised.
    """

    shift_values: Tensor
    scale_values: Tensor

    def __init__(self, shift: tuple[float, ...], scale: tuple[float, ...], data_shape: Shape, counts: int = 0) -> None:
        super().__init__()
        self.counts, self.axis = counts, -len(data_shape)
        self.register_buffer("shift_values", per_channel(shift, data_shape), persistent=False)
        self.register_buffer("scale_values", per_channel(scale, data_shape), persistent=False)

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Standardised values, (x - shift) / scale; of counts those of log(1 + x), x at least 0."""
        values = self._counts_by(lambda n: n.clamp_min(0).log1p(), x)
        return (values - self.shift_values) / self.scale_values

    def inverse(self, values: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Values in the data's own units."""
        return self._counts_by(torch.expm1, values * self.scale_values + self.shift_values)

    def _counts_by(self, function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """x with a function of the channels that are counts."""
        if not self.counts:
            return x
        rest = x.shape[self.axis] - self.counts
        counts, others = x.split([self.counts, rest], self.axis)
        return torch.cat([function(counts), others], self.axis) if rest else function(counts)


class StandardizedEncoder(Encoder):
    """Wraps an encoder so that it sees (x - shift) / scale.

    Args:
        base: The encoder of standardised values.
        shift: One number per channel (or column) of x.
        scale: One number per channel (or column) of x.
        counts: How many of the first channels are counts n, of which it sees log(1 + n) so.
    """

    def __init__(self, base: Encoder, shift: tuple[float, ...], scale: tuple[float, ...], counts: int = 0) -> None:
        super().__init__(base.data_shape, base.out_dim)
        self.base, self.shift, self.scale, self.counts = base, tuple(shift), tuple(scale), counts
        self.units = Units(self.shift, self.scale, base.data_shape, counts)

    def features(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B F"]:
        return self.base(self.units(x))
