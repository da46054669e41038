"""Encoders and decoders of several observations of one thing, side by side in x, some of them missing."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reparam.errors import PartError
from reparam.networks.base import Decoder, Encoder
from reparam.networks.corruption import Corruption
from reparam.networks.standardized import Units
from reparam.shapes import Shape, numel, places

Numbers = Sequence[Sequence[float]]


def with_mask(shape: Shape) -> Shape:
    """What an encoder sees of an observation: its values, and which of them are there."""
    return (2 * shape[0], *shape[1:])


class ObservationsEncoder(Encoder):
    """Encodes each observation by a network of its own; what is missing is NaN in x.

    A network sees the values of its observation, with zeros (the mean, of those that have units) where they are
    missing, and a mask of the same shape that is 1 where they are there. The features of one that is missing
    altogether are zero.

    Shapes:
        x: (B, D)  ->  h: (B, F_1 + ... + F_M + M), the features of each, then 1 for each that is there
    Args:
        encoders: One for each observation, of twice its first axis.
        shifts: One number per channel of each observation; none for one without units.
        scales: The same, for the spread.
    Raises:
        PartError: if there is no observation, or not a shift and a scale for each.
    """

    def __init__(self, encoders: Sequence[Encoder], shifts: Numbers, scales: Numbers) -> None:
        if not encoders or not len(encoders) == len(shifts) == len(scales):
            raise PartError(
                f"ObservationsEncoder: got {len(encoders)} encoders, {len(shifts)} shifts and {len(scales)} scales, "
                "expected as many of each, at least one."
            )
        shapes = [(one.data_shape[0] // 2, *one.data_shape[1:]) for one in encoders]
        self.widths = tuple(one.out_dim for one in encoders)
        super().__init__((sum(map(numel, shapes)),), sum(self.widths) + len(shapes))
        self.encoders = nn.ModuleList(encoders)
        self.shifts, self.scales = tuple(map(tuple, shifts)), tuple(map(tuple, scales))
        self.shapes, self.places = shapes, places(shapes)
        self.units = nn.ModuleList(
            Units(tuple(shift), tuple(scale), shape) if shift else nn.Identity()
            for shift, scale, shape in zip(shifts, scales, shapes, strict=True)
        )

    def features(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B F"]:
        features, flags = [], []
        for encoder, units, shape, place in zip(self.encoders, self.units, self.shapes, self.places, strict=True):
            own = x[:, place].reshape(-1, *shape)
            there = ~own.isnan()
            values = torch.where(there, units(own), 0.0)
            flag = there.flatten(1).any(1, keepdim=True).to(x)
            features.append(encoder(torch.cat([values, there.to(x)], 1)) * flag)
            flags.append(flag)
        return torch.cat([*features, *flags], 1)


class ObservationsDecoder(Decoder):
    """Decodes each observation by a network of its own.

    Shapes:
        z: (N, latent_dim)  ->  h: (N, sum of the networks' numbers)
    Args:
        decoders: One for each observation.
    Raises:
        PartError: if there is none, or they disagree on latent_dim.
    """

    def __init__(self, decoders: Sequence[Decoder]) -> None:
        sizes = {one.latent_dim for one in decoders}
        if len(sizes) != 1:
            raise PartError(
                f"ObservationsDecoder: the decoders have latent_dim {sorted(sizes)}, expected one for all of them."
            )
        super().__init__(sizes.pop(), (sum(numel(one.out_shape) for one in decoders),))
        self.decoders = nn.ModuleList(decoders)

    def forward(self, z: Float[Tensor, "N L"]) -> Float[Tensor, "N ..."]:
        return torch.cat([decoder(z).flatten(1) for decoder in self.decoders], 1)


class HiddenObservations(Corruption):
    """In training, hides some observations of some examples from q, which are judged all the same.

    So the posterior of each subset of the observations is trained. Of an example that is chosen each observation is
    hidden by the toss of a coin, but never the last one that is there.

    Args:
        shapes: Shape of each observation.
        share: Share of the examples that are chosen.
    Source:
        Multimodal generative models for scalable weakly-supervised learning (Wu & Goodman, 2018), arXiv:1802.05335,
        section 2.2, whose bounds of sub-sampled sets judge what they see alone.
    """

    judged = False

    def __init__(self, shapes: Sequence[Shape], share: float = 0.5) -> None:
        super().__init__(share, 1.0)
        self.shapes, self.share = tuple(tuple(shape) for shape in shapes), share

    def forward(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        if not self.training:
            return x
        own = places(self.shapes)
        there = torch.stack([~x[:, place].isnan().all(1) for place in own], 1)
        chosen = torch.rand_like(x[:, :1]) < self.share
        scores = torch.rand(len(x), len(own), device=x.device, dtype=x.dtype).masked_fill(~there, -1.0)
        kept = (scores >= 0.5) | (scores == scores.amax(1, keepdim=True)) | ~chosen
        sizes = torch.tensor([place.stop - place.start for place in own], device=x.device)
        return x.masked_fill(~kept.repeat_interleave(sizes, 1), torch.nan)
