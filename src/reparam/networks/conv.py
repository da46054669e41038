"""Convolutional encoders and decoders for images and signals of any size.

A signal (C, T) is an image of height 1. The first step folds small patches into channels (and the last one unfolds
them), so that no convolution runs at full resolution; each further stage halves the extents that still have room.
Sizes that do not divide are padded with zeros on the way in and cropped on the way out.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from reparam.errors import PartError, nearest
from reparam.networks.base import Decoder, Encoder
from reparam.networks.spectral import spectral_layers
from reparam.shapes import Shape

Pair = tuple[int, int]
BlockKind = Literal["residual", "plain"]
COARSEST = 8
FIRST_CHANNELS, MOST_CHANNELS = 16, 128


def height_width(owner: str, shape: Shape) -> tuple[int, int, int]:
    """(C, H, W) of an image, or of a signal (C, T) as an image of height 1."""
    if len(shape) == 2:
        return shape[0], 1, shape[1]
    if len(shape) != 3:
        raise PartError(f"{owner}: the shape is {shape}, expected (C, H, W) or (C, T). Use kind 'mlp' for vectors.")
    return shape[0], shape[1], shape[2]


def _stages(extents: Pair, patch: int) -> int:
    """Stages needed until the longer side is at most 8."""
    longest, count = math.ceil(max(extents) / patch), 1
    while longest > COARSEST:
        longest, count = math.ceil(longest / 2), count + 1
    return count


@dataclass(frozen=True)
class Plan:
    """Strides of the patch and of each further stage, and the padded and coarsest extents they lead to."""

    channels: tuple[int, ...]
    blocks: tuple[int, ...]
    strides: tuple[Pair, ...]
    padded: Pair
    coarsest: Pair


def planned(
    owner: str, extents: Pair, patch: int | None, channels: Sequence[int] | None, blocks: int | Sequence[int] | None
) -> Plan:
    """The stages for images of these extents.

    Raises:
        PartError: if the sizes make no sense.
    """
    if patch is None:
        patch = 2 if max(extents) >= 2 * COARSEST else 1
    if patch < 1:
        raise PartError(f"{owner}: patch is {patch}, expected at least 1.")
    if channels is None:
        channels = [min(MOST_CHANNELS, FIRST_CHANNELS * 2**i) for i in range(_stages(extents, patch))]
    if blocks is None:
        blocks = [1, *(2 for _ in channels[1:])]
    counts = (blocks,) * len(channels) if isinstance(blocks, int) else tuple(blocks)
    if not channels or min(channels) < 1 or len(counts) != len(channels) or min(counts) < 1:
        raise PartError(
            f"{owner}: channels {list(channels)}, blocks {list(counts)}; expected as many blocks as channels, all of "
            "them at least 1."
        )
    left, strides = list(extents), []
    for factor in (patch, *(2 for _ in channels[1:])):
        stride = tuple(factor if extent >= 2 * factor else 1 for extent in left)
        left = [math.ceil(extent / step) for extent, step in zip(left, stride, strict=True)]
        strides.append((stride[0], stride[1]))
    padded = (left[0] * math.prod(s[0] for s in strides), left[1] * math.prod(s[1] for s in strides))
    return Plan(tuple(channels), counts, tuple(strides), padded, (left[0], left[1]))


def fold(x: Float[Tensor, "B C H W"], patch: Pair) -> Float[Tensor, "B C2 H2 W2"]:
    """Moves patches into channels: (B, C, H, W) -> (B, C ph pw, H/ph, W/pw)."""
    if patch == (1, 1):
        return x
    b, c, h, w = x.shape
    tiles = x.reshape(b, c, h // patch[0], patch[0], w // patch[1], patch[1])
    return tiles.permute(0, 1, 3, 5, 2, 4).reshape(b, c * patch[0] * patch[1], h // patch[0], w // patch[1])


def unfold(x: Float[Tensor, "B C H W"], patch: Pair) -> Float[Tensor, "B C2 H2 W2"]:
    """The inverse of :func:`fold`."""
    if patch == (1, 1):
        return x
    b, c, h, w = x.shape
    depth = c // (patch[0] * patch[1])
    tiles = x.reshape(b, depth, patch[0], patch[1], h, w)
    return tiles.permute(0, 1, 4, 2, 5, 3).reshape(b, depth, h * patch[0], w * patch[1])


def same_conv(c_in: int, c_out: int, extents: Pair, size: int, gain: float = 1.0, pixels: int = 1) -> nn.Conv2d:
    """A convolution that keeps the extents, ``size`` wide where there is more than one pixel; He initialisation.

    Where its outputs are unfolded into so many ``pixels`` each, these begin with one filter: an upsampling that repeats
    pixels, without the pattern of dots that filters of their own draw on every picture.

    Source:
        Checkerboard artifact free sub-pixel convolution (Aitken et al., 2017), arXiv:1707.02937, section 3.
    """
    kernel = (size if extents[0] > 1 else 1, size if extents[1] > 1 else 1)
    conv = nn.Conv2d(c_in, c_out, kernel, padding=(kernel[0] // 2, kernel[1] // 2))
    filters = torch.empty(c_out // pixels, c_in, *kernel).normal_(0.0, gain * math.sqrt(2 / (c_in * math.prod(kernel))))
    conv.weight.data.copy_(filters.repeat_interleave(pixels, 0))
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def _down(c_in: int, c_out: int, stride: Pair) -> nn.Conv2d:
    """A convolution over patches that do not overlap."""
    conv = nn.Conv2d(c_in, c_out, stride, stride)
    nn.init.normal_(conv.weight, 0.0, math.sqrt(2 / (c_in * math.prod(stride))))
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


class ResidualBlock(nn.Module):
    r"""Pre-activation residual block that starts as the identity.

    .. math:: y = x + W_{1 \times 1}\, a(W_{3 \times 3}\, a(x)), \qquad a = \mathrm{SiLU}

    Source:
        Identity mappings in deep residual networks (He et al., 2016), arXiv:1603.05027, with a 1x1 second layer.
    """

    def __init__(self, channels: int, extents: Pair) -> None:
        super().__init__()
        self.wide = same_conv(channels, channels, extents, 3)
        self.narrow = same_conv(channels, channels, extents, 1, gain=0.0)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        return x + self.narrow(F.silu(self.wide(F.silu(x)), inplace=True))


class PlainBlock(nn.Module):
    """Activation and 3x3 convolution, without a shortcut."""

    def __init__(self, channels: int, extents: Pair) -> None:
        super().__init__()
        self.conv = same_conv(channels, channels, extents, 3)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        return self.conv(F.silu(x))


BLOCKS: dict[str, Callable[[int, Pair], nn.Module]] = {"residual": ResidualBlock, "plain": PlainBlock}


def _block(owner: str, kind: str) -> Callable[[int, Pair], nn.Module]:
    if kind not in BLOCKS:
        raise PartError(f"{owner}: block is {kind!r}. {nearest(kind, BLOCKS)}")
    return BLOCKS[kind]


def down_stages(owner: str, plan: Plan, depth: int, block: str) -> nn.Sequential:
    """Stages of blocks from fine to coarse, for patches of ``depth`` channels."""
    make = _block(owner, block)
    at = _shrink(plan.padded, plan.strides[0])
    stages: list[nn.Module] = [same_conv(depth * math.prod(plan.strides[0]), plan.channels[0], at, 3)]
    for number, (width, count) in enumerate(zip(plan.channels, plan.blocks, strict=True)):
        if number:
            stages.append(_down(plan.channels[number - 1], width, plan.strides[number]))
            at = _shrink(at, plan.strides[number])
        stages += [make(width, at) for _ in range(count)]
    return nn.Sequential(*stages, nn.SiLU())


def up_stages(owner: str, plan: Plan, depth: int, block: str) -> nn.Sequential:
    """The mirror of :func:`down_stages`."""
    make = _block(owner, block)
    at = plan.coarsest
    stages: list[nn.Module] = []
    for number in reversed(range(len(plan.channels))):
        stages += [make(plan.channels[number], at) for _ in range(plan.blocks[number])]
        if number:
            stride = plan.strides[number]
            stages.append(_Up(plan.channels[number], plan.channels[number - 1], stride))
            at = at[0] * stride[0], at[1] * stride[1]
    pixels = math.prod(plan.strides[0])
    out = same_conv(plan.channels[0], depth * pixels, at, 3, gain=0.5, pixels=pixels)
    return nn.Sequential(*stages, nn.SiLU(), out)


def folded(x: Float[Tensor, "B ..."], plan: Plan) -> Float[Tensor, "B C H W"]:
    """Images, or signals as images of height 1, padded, with their patches as channels."""
    images = x.unsqueeze(2) if x.dim() == 3 else x
    height, width = plan.padded
    if images.shape[2:] != (height, width):
        images = F.pad(images, (0, width - images.shape[3], 0, height - images.shape[2]))
    return fold(images, plan.strides[0]).contiguous(memory_format=torch.channels_last)


def unfolded(h: Float[Tensor, "N C H W"], plan: Plan, out_shape: Shape) -> Float[Tensor, "N ..."]:
    """The inverse of :func:`folded`, for examples of this shape."""
    images = unfold(h, plan.strides[0])
    extents = out_shape[1:] if len(out_shape) == 3 else (1, *out_shape[1:])
    return images[:, :, : extents[0], : extents[1]].reshape(h.shape[0], *out_shape)


def position_major(h: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
    """A map as a vector: the channels of one position side by side, H W C numbers."""
    return h.permute(0, 2, 3, 1).flatten(1)


def as_map(h: Float[Tensor, "B F"], plan: Plan) -> Float[Tensor, "B C H W"]:
    """The inverse of :func:`position_major`, on the coarsest map."""
    height, width = plan.coarsest
    return h.reshape(h.shape[0], height, width, h.shape[1] // (height * width)).permute(0, 3, 1, 2)


class ConvEncoder(Encoder):
    """Stages of residual (or plain) convolution blocks, then one dense layer.

    Shapes:
        x: (B, C, H, W) or (B, C, T)  ->  h: (B, hidden_dim)
    Args:
        data_shape: Shape of one example.
        channels: Channels of each stage; None doubles from 16 until the longer side is at most 8.
        blocks: Blocks per stage, or one number for all; None takes one in the first stage and two in the others.
        hidden_dim: Width of the dense layer.
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
        hidden_dim: int = 256,
        patch: int | None = None,
        block: BlockKind = "residual",
    ) -> None:
        super().__init__(data_shape, hidden_dim)
        owner = type(self).__name__
        depth, *extents = height_width(owner, self.data_shape)
        self.plan = plan = planned(owner, (extents[0], extents[1]), patch, channels, blocks)
        self.channels, self.blocks, self.patch = plan.channels, plan.blocks, max(plan.strides[0])
        self.hidden_dim, self.block = hidden_dim, block
        self.stages = down_stages(owner, plan, depth, block)
        self.dense = nn.Sequential(nn.Linear(plan.channels[-1] * math.prod(plan.coarsest), hidden_dim), nn.SiLU())
        channels_last(self)

    def features(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B F"]:
        return self.dense(position_major(self.stages(folded(x, self.plan))))


def channels_last(module: nn.Module) -> None:
    """Lays the weights of convolutions out channels last, which the CPU's and the GPU's kernels prefer."""
    for weight in module.parameters():
        if weight.dim() == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)


def _shrink(extents: Pair, stride: Pair) -> Pair:
    return extents[0] // stride[0], extents[1] // stride[1]


class _Up(nn.Module):
    """Activation, 1x1 convolution, and unfolding of channels into patches."""

    def __init__(self, c_in: int, c_out: int, stride: Pair) -> None:
        super().__init__()
        self.stride = stride
        self.conv = same_conv(c_in, c_out * math.prod(stride), (1, 1), 1)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C2 H2 W2"]:
        return unfold(self.conv(F.silu(x)), self.stride).contiguous(memory_format=torch.channels_last)


class ConvDecoder(Decoder):
    """The mirror of :class:`ConvEncoder`: two dense layers, then stages of blocks from coarse to fine.

    Shapes:
        z: (N, latent_dim)  ->  h: (N, *out_shape)
    Args:
        latent_dim: Number of latent dimensions.
        out_shape: ``likelihood.out_shape``, an image or a signal.
        channels: Channels of each stage from fine to coarse, as in the encoder.
        blocks: Blocks per stage from fine to coarse, as in the encoder.
        hidden_dim: Width of the first dense layer.
        patch: Side of the patches unfolded at the end, as in the encoder.
        block: ``residual`` or ``plain``.
        spectral: Divide each layer's weight by its norm, see :class:`~reparam.networks.Spectral`.
    Raises:
        PartError: if out_shape is no image or signal, or the sizes make no sense.
    """

    def __init__(
        self,
        latent_dim: int,
        out_shape: Shape,
        channels: Sequence[int] | None = None,
        blocks: int | Sequence[int] | None = None,
        hidden_dim: int = 256,
        patch: int | None = None,
        block: BlockKind = "residual",
        spectral: bool = False,
    ) -> None:
        super().__init__(latent_dim, out_shape)
        owner = type(self).__name__
        if hidden_dim < 1:
            raise PartError(f"{owner}: hidden_dim is {hidden_dim}, expected at least 1.")
        depth, *extents = height_width(owner, self.out_shape)
        self.plan = plan = planned(owner, (extents[0], extents[1]), patch, channels, blocks)
        self.channels, self.blocks, self.patch = plan.channels, plan.blocks, max(plan.strides[0])
        self.hidden_dim, self.block, self.spectral = hidden_dim, block, spectral
        size = plan.channels[-1] * math.prod(plan.coarsest)
        self.dense = nn.Sequential(nn.Linear(latent_dim, hidden_dim), nn.SiLU(), nn.Linear(hidden_dim, size))
        self.stages = up_stages(owner, plan, depth, block)
        if spectral:
            spectral_layers(self)
        channels_last(self)

    def forward(self, z: Float[Tensor, "N L"]) -> Float[Tensor, "N ..."]:
        h = self.stages(as_map(self.dense(z), self.plan))
        return unfolded(h, self.plan, self.out_shape)
