"""Networks that look at whole examples: critics of one output, and classifiers of one for each class."""

import math
from collections.abc import Mapping, Sequence
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
        outputs: (B, outputs), the log odds of a critic (one, or one for each patch), or the logits of a classifier.
        fine: (B, F), the last map of the convolutions, or the last but one layer.
        coarse: (B, hidden_dim), the layer before the outputs; the mean over patches.
    """

    outputs: Tensor
    fine: Tensor
    coarse: Tensor


class Discriminator(nn.Module):
    r"""Convolutions (or dense layers, for vectors and tiny pictures), one dense layer h, and linear outputs.

    A critic that is told c adds the inner product of h and a linear function of c to its one output, which for a class
    is a vector of that class:

    .. math:: D(x, c) = w^\top h(x) + (E c)^\top h(x)

    With patches it judges each position of the last map by itself, so that it looks at textures and not at the whole.

    Shapes:
        x: (B, *data_shape), c: (B, C)  ->  outputs: (B, outputs), with two layers of features
    Args:
        data_shape: Shape of one example.
        outputs: 1 for a critic, the number of classes for a classifier.
        condition_dim: Length C of what a critic is told; 0 for one that is told nothing.
        channels: Channels of the stages; None doubles from 16 until the longer side is at most 8.
        hidden_dim: Width of the dense layer.
        spectral: Divide each layer's weight by its norm, see :class:`~reparam.networks.Spectral`.
        patches: One output for each position of the last map.
        units: ``shift`` and ``scale``, one number each per channel (or column) of x, which are taken off and divided by
            first; None for none.
    Raises:
        PartError: if a size is below 1, or what is no picture is to be judged by patches.
    Source:
        cGANs with projection discriminator (Miyato & Koyama, 2018), arXiv:1802.05637, eq. 4; patches: Image-to-image
        translation with conditional adversarial networks (Isola et al., 2017), arXiv:1611.07004, section 3.2.2.
    """

    reads_weights = True  # where the slope of its output is asked for

    def __init__(
        self,
        data_shape: Shape,
        outputs: int = 1,
        condition_dim: int = 0,
        channels: Sequence[int] | None = None,
        hidden_dim: int = 256,
        spectral: bool = False,
        patches: bool = False,
        units: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        super().__init__()
        if hidden_dim < 1 or outputs < 1:
            raise PartError(
                f"Discriminator: hidden_dim is {hidden_dim}, outputs {outputs}; expected at least 1 of each."
            )
        self.condition_dim = condition_dim
        own = None if units is None else (tuple(units["shift"]), tuple(units["scale"]))
        self.units = nn.Identity() if own is None else Units(*own, tuple(data_shape))
        self.body = _body(tuple(data_shape), channels, hidden_dim)
        self.positions = _positions(self.body) if patches else 1
        self.dense = nn.Linear(self.body.out_dim // self.positions, hidden_dim)
        self.head = nn.Linear(hidden_dim, outputs)
        self.by_condition = nn.Linear(condition_dim, hidden_dim, bias=False) if condition_dim else None
        if spectral:
            spectral_layers(self)

    def forward(self, x: Float[Tensor, "B ..."], c: Float[Tensor, "B C"] | None = None) -> Seen:
        return self.look(self.units(x), c)

    def look(self, values: Float[Tensor, "B ..."], c: Float[Tensor, "B C"] | None = None) -> Seen:
        """What it makes of values that are standardised already."""
        fine = self.body(values)
        each = F.silu(self.dense(fine.unflatten(1, (self.positions, -1))))
        outputs = full_precision(self.head(each)).flatten(1)
        coarse = each.mean(1)
        if self.by_condition is not None:
            if c is None:
                raise PartError("Discriminator: it must be told c of each example, and was told nothing.")
            outputs = outputs + (full_precision(self.by_condition(c.to(coarse))) * coarse).sum(-1, keepdim=True)
        return Seen(outputs, full_precision(fine), full_precision(coarse))


def _body(data_shape: Shape, channels: Sequence[int] | None, hidden_dim: int) -> Encoder:
    if suits_convolutions(data_shape):
        return MapEncoder(data_shape, channels)
    return MLPEncoder(data_shape, (hidden_dim,))


def _positions(body: Encoder) -> int:
    """Positions of the last map.

    Raises:
        PartError: if there is no map.
    """
    if not isinstance(body, MapEncoder):
        raise PartError(
            f"Discriminator: examples are {body.data_shape}, of which there are no patches. Leave patches false."
        )
    return math.prod(body.grid)


def squared_slope(
    network: Discriminator, values: Float[Tensor, "B ..."], c: Float[Tensor, "B C"] | None = None
) -> Float[Tensor, " B"]:
    """Squared norm of the slope of a critic's output at standardised examples, whose place is fixed."""
    values = values.detach().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(network.look(values, c).outputs.mean(1).sum(), values, create_graph=True)
    return slope.square().flatten(1).sum(1)
