"""Networks that look at whole examples: critics of one output, and classifiers of one for each class."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from reparam.errors import PartError
from reparam.networks.base import Encoder
from reparam.networks.bounded import full_precision
from reparam.networks.maps import MapEncoder
from reparam.networks.mlp import MLPEncoder
from reparam.networks.spectral import spectral_layers
from reparam.networks.standardized import Units
from reparam.shapes import Shape, suits_convolutions


class Seen(NamedTuple):
    """What a discriminator makes of a batch.

    Attributes:
        outputs: (B, outputs), the log odds of a critic, or the logits of a classifier.
        fine: (B, F), the last map of the convolutions, or the last but one layer.
        coarse: (B, hidden_dim), the layer before the outputs.
    """

    outputs: Tensor
    fine: Tensor
    coarse: Tensor


class Discriminator(nn.Module):
    r"""Convolutions (or dense layers, for vectors and tiny pictures), one dense layer h, and linear outputs.

    A critic that is told a class adds the inner product of h and a vector of that class to its one output:

    .. math:: D(x, c) = w^\top h(x) + e_c^\top h(x)

    Shapes:
        x: (B, *data_shape), labels: (B,)  ->  outputs: (B, outputs), with two layers of features
    Args:
        data_shape: Shape of one example.
        outputs: 1 for a critic, the number of classes for a classifier.
        classes: Number of classes a critic is told; 0 for one that is told nothing.
        channels: Channels of the stages; None doubles from 16 until the longer side is at most 8.
        hidden_dim: Width of the dense layer.
        spectral: Divide each layer's weight by its norm, see :class:`~reparam.networks.Spectral`.
        shift: One number per channel (or column) of x, taken off first; None for none.
        scale: One number per channel (or column) of x, divided by first.
    Raises:
        PartError: if a size is below 1.
    Source:
        cGANs with projection discriminator (Miyato & Koyama, 2018), arXiv:1802.05637, eq. 4.
    """

    reads_weights = True  # where the slope of its output is asked for

    def __init__(
        self,
        data_shape: Shape,
        outputs: int = 1,
        classes: int = 0,
        channels: Sequence[int] | None = None,
        hidden_dim: int = 256,
        spectral: bool = False,
        shift: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if hidden_dim < 1 or outputs < 1:
            raise PartError(
                f"Discriminator: hidden_dim is {hidden_dim}, outputs {outputs}; expected at least 1 of each."
            )
        self.classes = classes
        given = shift is not None and scale is not None
        self.units = Units(tuple(shift or ()), tuple(scale or ()), tuple(data_shape)) if given else nn.Identity()
        self.body = _body(tuple(data_shape), channels, hidden_dim)
        self.dense = nn.Linear(self.body.out_dim, hidden_dim)
        self.head = nn.Linear(hidden_dim, outputs)
        self.by_class = nn.Linear(classes, hidden_dim, bias=False) if classes else None
        if spectral:
            spectral_layers(self)

    def forward(self, x: Float[Tensor, "B ..."], c: Float[Tensor, "B C"] | None = None) -> Seen:
        return self.look(self.units(x), c)

    def look(self, values: Float[Tensor, "B ..."], c: Float[Tensor, "B C"] | None = None) -> Seen:
        """What it makes of values that are standardised already."""
        fine = self.body(values)
        coarse = F.silu(self.dense(fine))
        outputs = full_precision(self.head(coarse))
        if self.by_class is not None:
            if c is None:
                raise PartError("Discriminator: it must be told the class of each example, and was told nothing.")
            outputs = outputs + (full_precision(self.by_class(c.to(coarse))) * coarse).sum(-1, keepdim=True)
        return Seen(outputs, full_precision(fine), full_precision(coarse))


def _body(data_shape: Shape, channels: Sequence[int] | None, hidden_dim: int) -> Encoder:
    if suits_convolutions(data_shape):
        return MapEncoder(data_shape, channels)
    return MLPEncoder(data_shape, (hidden_dim,))


def squared_slope(
    network: Discriminator, values: Float[Tensor, "B ..."], c: Float[Tensor, "B C"] | None = None
) -> Float[Tensor, " B"]:
    """Squared norm of the slope of a critic's output at standardised examples, whose place is fixed."""
    values = values.detach().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(network.look(values, c).outputs.sum(), values, create_graph=True)
    return slope.square().flatten(1).sum(1)
