"""Where the scale of a Normal or Laplace likelihood comes from: four small modules, chosen by :func:`make_scale`."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Laplace, Normal

from reparam.distributions import OptimalScale
from reparam.errors import PartError, nearest
from reparam.networks import bounded

Scale = float | Literal["learned", "optimal", "predicted"]
Family = type[Normal] | type[Laplace]

START = 0.3
LOG_RANGE = (-6.0, 3.0)


class FixedScale(nn.Module):
    """The same scale always: the hyper-parameter of the lectures."""

    arguments = 1

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, family: Family, arguments: tuple[Tensor, ...]) -> Distribution:
        (loc,) = arguments
        return family(loc, loc.new_tensor(self.scale), validate_args=False)


class LearnedScale(nn.Module):
    """One scale for all values, learned by gradient."""

    arguments = 1

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(START)))

    def forward(self, family: Family, arguments: tuple[Tensor, ...]) -> Distribution:
        (loc,) = arguments
        return family(loc, bounded(self.log_scale, *LOG_RANGE).exp(), validate_args=False)


class BestScale(nn.Module):
    """One scale for all values, in closed form: the batch's optimum in training, its running mean afterwards."""

    arguments = 1
    running: Tensor
    seen: Tensor

    def __init__(self, momentum: float = 0.02) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("running", torch.tensor(START))
        self.register_buffer("seen", torch.tensor(0.0))

    def _keep(self, scale: Tensor) -> None:
        with torch.no_grad():
            self.seen += 1
            weight = (1 / self.seen).clamp_min(self.momentum)  # a plain mean at first, which forgets the start
            self.running.lerp_(scale.to(self.running.dtype), weight.to(self.running.dtype))

    def forward(self, family: Family, arguments: tuple[Tensor, ...]) -> Distribution:
        (loc,) = arguments
        scale = self.running.to(loc.dtype)
        if self.training:
            return OptimalScale(family, loc, scale, self._keep, math.exp(LOG_RANGE[0]))
        return family(loc, scale, validate_args=False)


class PredictedScale(nn.Module):
    """A scale for every value, from the decoder."""

    arguments = 2

    def forward(self, family: Family, arguments: tuple[Tensor, ...]) -> Distribution:
        loc, log_scale = arguments
        return family(loc, bounded(log_scale, *LOG_RANGE).exp(), validate_args=False)


_BY_NAME: dict[str, type[LearnedScale | BestScale | PredictedScale]] = {
    "learned": LearnedScale,
    "optimal": BestScale,
    "predicted": PredictedScale,
}


def make_scale(scale: Scale) -> FixedScale | LearnedScale | BestScale | PredictedScale:
    """The module for a number (fixed) or a name.

    Raises:
        PartError: if the number is not positive or the name is unknown.
    """
    if isinstance(scale, str):
        if scale not in _BY_NAME:
            raise PartError(f"scale is {scale!r}, expected a positive number or a name. {nearest(scale, _BY_NAME)}")
        return _BY_NAME[scale]()
    if not scale > 0 or not math.isfinite(scale):
        raise PartError(f"scale is {scale}, expected a positive number, or 'learned', 'optimal' or 'predicted'.")
    return FixedScale(float(scale))
