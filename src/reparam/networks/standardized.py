"""Encoders for data in any units."""

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
    """

    shift_values: Tensor
    scale_values: Tensor

    def __init__(self, shift: tuple[float, ...], scale: tuple[float, ...], data_shape: Shape) -> None:
        super().__init__()
        self.register_buffer("shift_values", per_channel(shift, data_shape), persistent=False)
        self.register_buffer("scale_values", per_channel(scale, data_shape), persistent=False)

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Standardised values, (x - shift) / scale."""
        return (x - self.shift_values) / self.scale_values

    def inverse(self, values: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Values in the data's own units."""
        return values * self.scale_values + self.shift_values


class StandardizedEncoder(Encoder):
    """Wraps an encoder so that it sees (x - shift) / scale.

    Args:
        base: The encoder of standardised values.
        shift: One number per channel (or column) of x.
        scale: One number per channel (or column) of x.
    """

    def __init__(self, base: Encoder, shift: tuple[float, ...], scale: tuple[float, ...]) -> None:
        super().__init__(base.data_shape, base.out_dim)
        self.base, self.shift, self.scale = base, tuple(shift), tuple(scale)
        self.units = Units(self.shift, self.scale, base.data_shape)

    def features(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B F"]:
        return self.base(self.units(x))
