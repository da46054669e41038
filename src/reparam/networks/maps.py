"""Convolutional networks that keep a map: features for each position, and codes read position by position.

A map of extents (H, W) with F numbers a position is passed on as one vector of H W F numbers, position by position,
so that a posterior with that grid can give each position a code of its own.
"""

import math
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from reparam.errors import PartError
from reparam.networks.base import Decoder, Encoder
from reparam.networks.conv import (
    BlockKind,
    Pair,
    Plan,
    as_map,
    channels_last,
    down_stages,
    folded,
    height_width,
    planned,
    position_major,
    same_conv,
    unfolded,
    up_stages,
)
from reparam.shapes import Shape


def map_grid(shape: Shape, channels: Sequence[int] | None = None) -> Pair:
    """Extents of the map that :class:`MapEncoder` gives of such examples, with these channels or its own.

    Raises:
        PartError: if the shape is no image or signal.
    """
    return _planned("map_grid", shape, None, channels, None)[1].coarsest


def _planned(
    owner: str,
    shape: Shape,
    patch: int | None,
    channels: Sequence[int] | None,
    blocks: int | Sequence[int] | None,
) -> tuple[int, Plan]:
    """Channels of x, and the plan of the stages."""
    depth, height, width = height_width(owner, shape)
    return depth, planned(owner, (height, width), patch, channels, blocks)


class MapEncoder(Encoder):
    """The stages of :class:`~reparam.networks.ConvEncoder` without its dense layer: a map of features.

    Shapes:
        x: (B, C, H, W) or (B, C, T)  ->  h: (B, H' W' channels[-1]), position by position
    Args:
        data_shape: Shape of one example.
        channels: Channels of each stage; None doubles from 16 until the longer side of the map is at most 8.
        blocks: Blocks per stage, or one number for all; None takes one in the first stage and two in the others.
        patch: Side of the patches folded into channels; None takes 2 from 16 pixels on, else 1.
        block: ``residual`` or ``plain``.
    Raises:
        PartError: if data_shape is no image or signal, or the sizes make no sense.
    """

    def __init__(
        self,
        data_shape: Shape,
        channels: Sequence[int] | None = None,
        blocks: int | Sequence[int] | None = None,
        patch: int | None = None,
        block: BlockKind = "residual",
    ) -> None:
        owner = type(self).__name__
        depth, plan = _planned(owner, tuple(data_shape), patch, channels, blocks)
        super().__init__(data_shape, plan.channels[-1] * math.prod(plan.coarsest))
        self.plan, self.grid = plan, plan.coarsest
        self.channels, self.blocks, self.patch, self.block = plan.channels, plan.blocks, max(plan.strides[0]), block
        self.stages = down_stages(owner, plan, depth, block)
        channels_last(self)

    def features(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B F"]:
        return position_major(self.stages(folded(x, self.plan)))


class MapDecoder(Decoder):
    """The mirror of :class:`MapEncoder`: reads a code for each position, then stages of blocks from coarse to fine.

    Shapes:
        z: (N, H' W' D), position by position  ->  h: (N, *out_shape)
    Args:
        latent_dim: Number of latent dimensions, H' W' times the numbers of one code.
        out_shape: ``likelihood.out_shape``, an image or a signal.
        channels: Channels of each stage from fine to coarse, as in the encoder.
        blocks: Blocks per stage from fine to coarse, as in the encoder.
        patch: Side of the patches unfolded at the end, as in the encoder.
        block: ``residual`` or ``plain``.
    Raises:
        PartError: if out_shape is no image or signal, the sizes make no sense, or latent_dim cannot be shared equally
            by the positions.
    """

    def __init__(
        self,
        latent_dim: int,
        out_shape: Shape,
        channels: Sequence[int] | None = None,
        blocks: int | Sequence[int] | None = None,
        patch: int | None = None,
        block: BlockKind = "residual",
    ) -> None:
        super().__init__(latent_dim, out_shape)
        owner = type(self).__name__
        depth, plan = _planned(owner, self.out_shape, patch, channels, blocks)
        positions = math.prod(plan.coarsest)
        if latent_dim % positions:
            raise PartError(
                f"{owner}: latent_dim is {latent_dim}, expected a multiple of {positions}: the map is "
                f"{plan.coarsest[0]} x {plan.coarsest[1]}, and each position has as many numbers."
            )
        self.plan, self.grid = plan, plan.coarsest
        self.channels, self.blocks, self.patch, self.block = plan.channels, plan.blocks, max(plan.strides[0]), block
        self.first = same_conv(latent_dim // positions, plan.channels[-1], plan.coarsest, 3)
        self.stages: nn.Sequential = up_stages(owner, plan, depth, block)
        channels_last(self)

    def forward(self, z: Float[Tensor, "N L"]) -> Float[Tensor, "N ..."]:
        return unfolded(self.stages(self.first(as_map(z, self.plan))), self.plan, self.out_shape)
