"""Hierarchies of maps: many latent groups over resolutions that grow on the way down, for images and signals."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from reparam.errors import PartError
from reparam.networks.conv import Pair, channels_last, fold, height_width, same_conv, unfold
from reparam.networks.hierarchy import (
    BottomUp,
    Codes,
    Features,
    Group,
    Hierarchy,
    Merge,
    Numbers,
    Path,
    descend,
    inference_of,
    loc_scale,
    require_merge,
)
from reparam.shapes import Shape

Depth = int | str | Sequence[str] | Sequence[Sequence[int]]
COARSE = 4  # resolutions above it are halved; below it comes the single pixel
PATCHED = 16
MOST_GROUPS = 1000
WIDE = 2.0


def even_depth(groups: int, longest: int) -> list[Pair]:
    """One group on a single pixel, and this many at each further resolution, up to (half) that of the data."""
    resolution = math.ceil(longest / 2) if longest >= PATCHED else longest
    levels: list[Pair] = []
    while resolution > 1:
        levels.append((resolution, groups))
        resolution = math.ceil(resolution / 2) if resolution > COARSE else 1
    return [(1, 1 if levels else 1 + groups), *reversed(levels)]


def _level(word: str | Sequence[int]) -> Pair:
    resolution, blocks = word.split("x") if isinstance(word, str) else word
    return int(resolution), int(blocks)


def read_depth(owner: str, depth: Depth, longest: int) -> list[Pair]:
    """Resolutions and their numbers of groups, from the top down.

    Raises:
        PartError: if it is no depth, or does not fit data whose longer side is ``longest``.
    """
    try:
        if isinstance(depth, int):
            levels = even_depth(depth, longest)
        else:
            levels = [_level(word) for word in (depth.split(",") if isinstance(depth, str) else depth)]
    except (TypeError, ValueError):
        levels = []
    resolutions, blocks = [0, *(level[0] for level in levels)], [level[1] for level in levels]
    rising = all(above < below for above, below in pairwise(resolutions))
    if not levels or not rising or resolutions[-1] > longest or min(blocks) < 1 or sum(blocks) > MOST_GROUPS:
        raise PartError(
            f"{owner}: depth is {str(depth)[:100]!r}, expected rising resolutions from 1 to {longest}, the longer side "
            f"of x, each with a number of latent groups (in all at most {MOST_GROUPS}), from the top down, such as "
            "'1x1,4x2,7x3', or one number for all."
        )
    return levels


def _extents(resolution: int, extents: Pair) -> Pair:
    """Extents of a map whose longer side is ``resolution``, in the proportions of the data."""
    longest = max(extents)
    return math.ceil(extents[0] * resolution / longest), math.ceil(extents[1] * resolution / longest)


def _bottleneck(c_in: int, c_out: int, hidden: int, extents: Pair, gain: float) -> nn.Sequential:
    """Activated convolutions: narrow, over the neighbours, wide again."""
    return nn.Sequential(
        nn.SiLU(),
        same_conv(c_in, hidden, extents, 1),
        nn.SiLU(),
        same_conv(hidden, hidden, extents, 3),
        nn.SiLU(),
        same_conv(hidden, c_out, extents, 1, gain),
    )


def _shrunk(h: Tensor, extents: Pair) -> Tensor:
    """Means over patches, which overlap where the extents do not divide."""
    found = h.shape[2], h.shape[3]
    if found[0] % extents[0] or found[1] % extents[1]:
        return F.adaptive_avg_pool2d(h, extents)
    stride = found[0] // extents[0], found[1] // extents[1]
    return h if stride == (1, 1) else F.avg_pool2d(h, stride)


@dataclass(frozen=True)
class _Plan:
    """Sizes of both ways: extents and groups of each level from the top down, and the patch that meets the data."""

    channels: int
    hidden: int
    latent_channels: int
    levels: tuple[tuple[Pair, int], ...]
    patch: Pair

    @property
    def finest(self) -> Pair:
        """Extents of the last level."""
        return self.levels[-1][0]

    @property
    def groups(self) -> int:
        """How many latent groups there are."""
        return sum(count for _, count in self.levels)


class _Stages(BottomUp):
    """From fine to coarse: residual blocks at each level, half as many as it has groups, and means in between."""

    def __init__(self, depth: int, plan: _Plan) -> None:
        super().__init__()
        self.plan = plan
        self.stem = same_conv(depth * math.prod(plan.patch), plan.channels, plan.finest, 3)
        self.stages = nn.ModuleList(
            nn.ModuleList(
                _bottleneck(plan.channels, plan.channels, plan.hidden, extents, gain=0.0)
                for _ in range(math.ceil(count / 2))
            )
            for extents, count in reversed(plan.levels)
        )

    def forward(self, x: Float[Tensor, "B ..."]) -> Features:
        images = x.unsqueeze(2) if x.dim() == 3 else x
        height, width = (extent * step for extent, step in zip(self.plan.finest, self.plan.patch, strict=True))
        if images.shape[2:] != (height, width):
            images = F.pad(images, (0, width - images.shape[3], 0, height - images.shape[2]))
        h = self.stem(fold(images, self.plan.patch).contiguous(memory_format=torch.channels_last))
        features = []
        for (extents, _), stage in zip(reversed(self.plan.levels), self.stages, strict=True):
            h = _shrunk(h, extents)
            for block in stage:  # type: ignore[attr-defined]
                h = h + block(h)
            features.append(h)
        return tuple(reversed(features))


class _ConvGroup(Group):
    """Reads the map above, at its own resolution, and adds its code to it.

    Args:
        plan: Sizes.
        level: Which of the levels it stands in.
        place: Its number in that level.
        sees_above: q is made by a network that sees the map above too.
        skip: The map goes on below beside the code; without it the code is all that goes on.
    """

    def __init__(self, plan: _Plan, level: int, place: int, sees_above: bool, skip: bool) -> None:
        super().__init__()
        self.level, self.extents, self.skip = level, plan.levels[level][0], skip
        width, codes = plan.channels, plan.latent_channels
        top = level == place == 0
        self.sees_above = sees_above and not top
        numbers = 2 * codes + (width if skip else 0)
        self.p_net = None if top else _bottleneck(width, numbers, plan.hidden, self.extents, gain=0.0)
        seen = 2 * width if self.sees_above else width
        self.q_net = _bottleneck(seen, 2 * codes, plan.hidden, self.extents, gain=0.1)
        if not sees_above and not top:  # a wide Normal, whose product with the prior is close to the prior
            nn.init.constant_(self.q_net[-1].bias[codes:], WIDE)  # type: ignore[index]
        self.project = same_conv(codes, width, self.extents, 1, gain=plan.groups**-0.5)
        self.block = _bottleneck(width, width, plan.hidden, self.extents, gain=0.0)
        self.codes = codes
        self.bias = nn.Parameter(torch.zeros(1, width, *self.extents)) if skip and not place else None

    def prior(self, state: Tensor | None) -> tuple[Tensor | None, Numbers | None]:
        if state is None:
            return self.bias, None
        if state.shape[2:] != self.extents:
            state = F.interpolate(state, size=self.extents)
        if self.bias is not None:
            state = state + self.bias
        if self.p_net is None:
            return state, None
        loc, log_scale, *update = self.p_net(state).split([self.codes, self.codes, *self._update], 1)
        return (state + update[0] if update else state), (_flat(loc), _flat(log_scale))

    @property
    def _update(self) -> tuple[int, ...]:
        """Channels of what p gives to the map beside its numbers."""
        return (self.project.out_channels,) if self.skip else ()

    def posterior(self, state: Tensor | None, features: Features) -> Numbers:
        h = features[self.level]
        if self.sees_above:
            assert state is not None
            h = torch.cat([state, h], 1)
        loc, log_scale = self.q_net(h).chunk(2, 1)
        return _flat(loc), _flat(log_scale)

    def absorb(self, state: Tensor | None, z: Float[Tensor, "N L"]) -> Float[Tensor, "N C H W"]:
        h: Tensor = self.project(z.reshape(len(z), *self.extents, self.codes).permute(0, 3, 1, 2))
        if self.skip and state is not None:
            h = state + h
        return h + self.block(h)


def _flat(maps: Float[Tensor, "N C H W"]) -> Float[Tensor, "N L"]:
    """Position by position, as the memory is laid out."""
    return maps.permute(0, 2, 3, 1).flatten(1)


class ConvHierarchy(Hierarchy):
    r"""Latent maps, many groups deep: a residual network up, and one down that draws a group in each block.

    .. math:: p(z) = p(z_1) \prod_{g>1} p(z_g \mid z_{<g}), \qquad q(z \mid x) = \prod_g q(z_g \mid z_{<g}, x)

    On the way down a residual map starts as a learned one, is blown up to the next resolution by repeating its nearest
    values, gets a learned map added there, and in each block: gives p(z_g | z_<g) and an update of itself; is merged
    with the features of the same resolution into q(z_g | z_<g, x); takes in the code; and goes through a residual
    block. Told a condition, it starts as what that paints. Networks are bottlenecks of 1x1, 3x3 and 1x1 convolutions
    whose last one starts at zero (at a tenth in q, and with a wide scale where it multiplies the prior), so that q is
    close to p at first; what a code adds starts small with the number of groups.

    Without ``skip`` the code is all that goes on below, as in the ladder VAE. Left out of the papers: the weights of
    the second 3x3 convolution in a block, batch normalisation and squeeze-and-excitation, NVAE's flows, and BIVA's
    bottom-up latents. The finest resolution may be lower than that of the data, which are then folded by patches.

    Shapes:
        x: (B, C, H, W) or (B, C, T)  ->  features, each (B, channels, h, w)  ->  Path
    Args:
        data_shape: Shape of one example.
        out_shape: ``likelihood.out_shape``, an image or a signal.
        depth: Resolution (of the longer side) times number of groups, from the top down: ``"1x2,4x4,7x4,14x6"``, or
            a list of such words or pairs. One number takes 1x1, then as many groups at each of the resolutions that
            double up to half of the data's.
        channels: Channels of the residual maps.
        latent_channels: Channels of each latent map.
        hidden_channels: Channels inside the bottlenecks; None takes half of ``channels``.
        merge: What q is made of: a network over features and the map above (``joint``), the features' own Normal
            times the prior (``precision``), or the prior shifted and scaled by such a network (``delta``).
        skip: The residual map goes on below beside the code.
    Raises:
        PartError: if the depth does not fit the data, the sizes make no sense, or a name is unknown.
    Source:
        Very deep VAEs (Child, 2020), arXiv:2011.10650, section 3 and figure 3; delta: NVAE (Vahdat & Kautz, 2020),
        arXiv:2007.03898, eq. 3 (residual Normal distributions); precision: Ladder variational autoencoders (Sonderby
        et al., 2016), arXiv:1602.02282, eq. 17 to 19; skip connections: BIVA (Maaloe et al., 2019), arXiv:1902.02102.
    """

    def __init__(
        self,
        data_shape: Shape,
        out_shape: Shape,
        depth: Depth = 2,
        channels: int = 32,
        latent_channels: int = 4,
        hidden_channels: int | None = None,
        merge: Merge = "joint",
        skip: bool = True,
    ) -> None:
        owner = type(self).__name__
        require_merge(owner, merge)
        hidden = max(1, channels // 2) if hidden_channels is None else hidden_channels
        if min(channels, latent_channels, hidden) < 1:
            raise PartError(
                f"{owner}: channels {channels}, latent_channels {latent_channels}, hidden_channels {hidden}; expected "
                "all of them at least 1."
            )
        colours, *extents = height_width(owner, tuple(data_shape))
        height, width = extents
        levels = read_depth(owner, depth, max(height, width))
        maps = tuple((_extents(resolution, (height, width)), count) for resolution, count in levels)
        sizes = [latent_channels * math.prod(extents) for extents, count in maps for _ in range(count)]
        super().__init__(data_shape, out_shape, sizes)
        self.depth = ",".join(f"{resolution}x{count}" for resolution, count in levels)
        self.channels, self.latent_channels, self.hidden_channels = channels, latent_channels, hidden
        self.merge, self.skip = merge, skip
        finest = maps[-1][0]
        patch = math.ceil(height / finest[0]), math.ceil(width / finest[1])
        plan = _Plan(channels, hidden, latent_channels, maps, patch)
        self.patch = plan.patch
        self.up = _Stages(colours, plan)
        self.groups = nn.ModuleList(
            _ConvGroup(plan, level, place, merge != "precision", skip)
            for level, (_, count) in enumerate(maps)
            for place in range(count)
        )
        self.start: Shape = (channels, *maps[0][0])
        self.paint: nn.Linear | None = None
        pixels = math.prod(patch)
        self.out = same_conv(channels, self.out_shape[0] * pixels, finest, 3, gain=0.5, pixels=pixels)
        channels_last(self)

    def bottom_up(self, x: Float[Tensor, "B ..."]) -> Features:
        return self.up(x)

    def top(self, features: Features) -> Numbers:
        return loc_scale(self.groups[0].posterior(None, features))  # type: ignore[operator]

    def listen(self, condition_dim: int) -> None:
        if not self.skip:
            raise PartError(
                "ConvHierarchy: without skip the code alone goes on below, and what the way down is told would end at "
                "the top group. Set skip, or leave 'decoder' out of condition_into."
            )
        self.paint = nn.Linear(condition_dim, math.prod(self.start), bias=False).to(self.out.weight)

    def forward(
        self,
        features: Features | None,
        noise: Codes | None,
        given: Codes = (),
        c: Float[Tensor, "N C"] | None = None,
    ) -> Path:
        start = None if self.paint is None or c is None else self.paint(c).reshape(len(c), *self.start)
        return descend(self.groups, self.merge, start, features, noise, given, self._finish)

    def _finish(self, state: Float[Tensor, "N C H W"]) -> Float[Tensor, "N ..."]:
        images = unfold(self.out(F.silu(state)), self.patch)
        height, width = height_width(type(self).__name__, self.out_shape)[1:]
        return images[:, :, :height, :width].reshape(len(state), *self.out_shape)

    def inference(self) -> Iterator[nn.Parameter]:
        return inference_of(self.up, self.groups)
