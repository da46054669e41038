"""Distributions over groups of codes, each a Normal given those above it: q(z|x) and p(z) of hierarchical models."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, Independent, Normal, constraints
from torch.types import _size

from reparam.distributions.detaching import detached
from reparam.distributions.independent import joint
from reparam.distributions.tempering import tempered
from reparam.errors import ShapeError
from reparam.shapes import broadcast


def normals(numbers: tuple[Tensor, Tensor]) -> Independent:
    """Independent Normals of these locations and scales; the last axis is one event."""
    return joint(Normal(*numbers, validate_args=False), 1)


def rows_of(values: Tensor, lead: Size) -> Tensor:
    """One row for each of ``lead``, (N, C), of values for all, (C,), or for each along the last axes, (*B, C)."""
    return values.expand(*lead, -1).reshape(lead.numel(), values.shape[-1])


@dataclass(frozen=True)
class Way:
    """A way down through the groups, as distributions need it.

    Attributes:
        down: (features, noise of each group, given codes) -> path, all with one leading axis; told a condition, it
            takes that as a fourth.
        frozen: The same with parameters that pass no gradient.
        latent_dims: Latent dimensions of each group.
        like: A tensor whose dtype and device the noise has.
        told: The condition of the way, (*B, C): of all examples, or of each; None for none.
    """

    down: Callable[..., Any]
    frozen: Callable[..., Any]
    latent_dims: tuple[int, ...]
    like: Tensor
    told: Tensor | None = None

    def walk(self, features: Any, noise: Any, given: tuple[Tensor, ...], lead: Size) -> Any:
        """The path of all rows of ``lead``, each told its condition, laid out as ``lead``."""
        told = () if self.told is None else (rows_of(self.told, lead),)
        return self.down(features, noise, given, *told).shaped(lead)

    def fixed(self) -> "Way":
        """The same, whose parameters pass no gradient."""
        told = None if self.told is None else self.told.detach()
        return replace(self, down=self.frozen, told=told)


class TopDown(Distribution, ABC):
    r"""What p and q of a hierarchical model share: :math:`\prod_g r(z_g \mid z_{<g})`, walked from the top down.

    One walk gives the codes and all that their densities need (a *path*, with fields z, q, p and out), so whoever
    wants more than one of them walks once. ``mean`` is the walk along the conditional means, which is not the mean
    over all walks; ``variance`` holds the conditional variances along it. So ``exact_moments`` is False.

    Shapes:
        batch (*batch), event (L,), all groups side by side
    Args:
        way: How to walk.
        features: Of each example, with one leading axis of ``batch_shape.numel()`` rows; None without an x.
        batch_shape: Axes of the examples.
    """

    has_rsample = True
    exact_moments = False
    arg_constraints = {}
    support = constraints.real_vector

    def __init__(self, way: Way, features: tuple[Tensor, ...] | None, batch_shape: Size) -> None:
        self.way, self.features = way, features
        super().__init__(batch_shape, Size([sum(way.latent_dims)]), validate_args=False)

    @abstractmethod
    def draw(self, sample_shape: _size = Size(), temperature: float = 1.0) -> Any:
        """A path of draws with axes (*sample_shape, *batch); every conditional deviation times ``temperature``."""

    @abstractmethod
    def log_prob_along(self, path: Any) -> Tensor:
        """The log density at the codes of a path, nats."""

    @abstractmethod
    def scales_along(self, path: Any) -> Tensor:
        """The conditional scales along a path, (..., L)."""

    def at(self, value: Tensor) -> Any:
        """The path through these codes."""
        lead = Size(broadcast(value.shape[:-1], self.batch_shape))
        return self._walked(lead, None, value.expand(*lead, -1))

    def rsample(self, sample_shape: _size = Size()) -> Tensor:
        z: Tensor = self.draw(sample_shape).z
        return z

    @torch.no_grad()
    def sample(self, sample_shape: _size = Size(), temperature: float = 1.0) -> Tensor:
        """Draws without a gradient; ``temperature`` multiplies every conditional deviation from its mean."""
        z: Tensor = self.draw(sample_shape, temperature).z
        return z

    def tempered(self, sample_shape: _size, temperature: float) -> Tensor:
        """Draws at a temperature, for :func:`~reparam.distributions.tempered`."""
        return self.sample(sample_shape, temperature)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.log_prob_along(self.at(value))

    @property
    def mean(self) -> Tensor:
        z: Tensor = self.draw(Size(), 0.0).z
        return z

    @property
    def variance(self) -> Tensor:
        return self.scales_along(self.draw(Size(), 0.0)).square()

    def _noise(self, lead: Size, size: int, temperature: float) -> Tensor:
        """Standard Normal draws times the temperature, without a draw where that is 0."""
        options: dict[str, Any] = {"dtype": self.way.like.dtype, "device": self.way.like.device}
        if temperature == 0:
            return torch.zeros(*lead, size, **options)
        noise = torch.randn(*lead, size, **options)
        return noise if temperature == 1 else noise * temperature

    def _walked(self, lead: Size, noise: Tensor | None, given: Tensor | None) -> Any:
        """One walk for all rows at once, laid out as ``lead``."""
        features = None if self.features is None else _repeated(self.features, self.batch_shape, lead)
        rows = [None if values is None else self._groups(values) for values in (noise, given)]
        return self.way.walk(features, rows[0], rows[1] or (), lead)

    def _groups(self, values: Tensor) -> tuple[Tensor, ...]:
        """Rows of each group; values of the top group alone are one group."""
        rows = values.reshape(-1, values.shape[-1])
        dims = self.way.latent_dims
        return (rows,) if rows.shape[-1] == dims[0] else rows.split(dims, -1)

    def detached(self) -> "TopDown":
        """The same with fixed parameters and features: its density has a gradient for the codes alone."""
        fixed = copy.copy(self)
        fixed.way = self.way.fixed()
        fixed.features = None if self.features is None else tuple(part.detach() for part in self.features)
        return fixed


def _repeated(features: tuple[Tensor, ...], batch: Size, lead: Size) -> tuple[Tensor, ...]:
    """The rows of a batch again and again, until there is one for each row of ``lead``; memory keeps its layout."""
    repeats = lead.numel() // batch.numel() if batch.numel() else 1
    return features if repeats == 1 else tuple(torch.cat([part] * repeats) for part in features)


class TopDownPosterior(TopDown):
    r"""q(z|x): every group from the features of x and the groups above.

    .. math:: q(z \mid x) = \prod_g \mathcal{N}\left(z_g; \mu_g(z_{<g}, x), \sigma_g(z_{<g}, x)^2\right)

    Args:
        way: How to walk.
        features: Of each example, with one leading axis of ``batch_shape.numel()`` rows.
        batch_shape: Axes of the examples.
    """

    features: tuple[Tensor, ...]

    def draw(self, sample_shape: _size = Size(), temperature: float = 1.0) -> Any:
        lead = self._extended_shape(sample_shape)[:-1]
        return self._walked(lead, self._noise(lead, self.event_shape[0], temperature), None)

    def log_prob_along(self, path: Any) -> Tensor:
        return normals(path.q).log_prob(path.z)

    def scales_along(self, path: Any) -> Tensor:
        scales: Tensor = path.q[1]
        return scales

    def expand(self, batch_shape: _size, _instance: Any = None) -> "TopDownPosterior":
        """The same for more leading axes of the batch."""
        shape = Size(batch_shape)
        if shape[len(shape) - len(self.batch_shape) :] != self.batch_shape:
            raise ShapeError(f"TopDownPosterior: a batch of {tuple(self.batch_shape)} cannot become {tuple(shape)}.")
        return TopDownPosterior(self.way, _repeated(self.features, self.batch_shape, shape), shape)


class TopDownPrior(TopDown):
    r"""p(z), or p(z|c): the top group by any density, every further group from those above.

    .. math:: p(z) = p(z_1) \prod_{g>1} \mathcal{N}\left(z_g; \mu_g(z_{<g}), \sigma_g(z_{<g})^2\right)

    Args:
        way: How to walk.
        top: p(z_1), batch () or that of the condition, event (L_1,).
        batch_shape: Axes along which draws are repeated: at least those of the condition.
    """

    def __init__(self, way: Way, top: Distribution, batch_shape: Size = Size()) -> None:
        super().__init__(way, None, batch_shape)
        self.top = top
        self.has_rsample = top.has_rsample

    def draw(self, sample_shape: _size = Size(), temperature: float = 1.0) -> Any:
        lead = self._extended_shape(sample_shape)[:-1]
        noise = self._noise(lead, self.event_shape[0], temperature)
        return self._walked(lead, noise, self._drawn(lead, temperature))

    @torch.no_grad()
    def tempered(self, sample_shape: _size, temperature: float) -> Tensor:
        lead = self._extended_shape(sample_shape)[:-1]
        noise = self._noise(lead, self.event_shape[0], temperature)
        z: Tensor = self._walked(lead, noise, tempered(self.top, self._times(lead), temperature)).z
        return z

    def _times(self, lead: Size) -> Size:
        """How often the top group is drawn, which has axes of its own where it is told a condition."""
        return lead[: len(lead) - len(self.top.batch_shape)]

    def _drawn(self, lead: Size, temperature: float) -> Tensor:
        """Codes of the top group; of temperature 0, their mean, without a draw."""
        if temperature == 0:
            return self.top.mean.expand(*lead, -1)
        if temperature == 1 and self.top.has_rsample:
            return self.top.rsample(self._times(lead))
        return tempered(self.top, self._times(lead), temperature)

    def log_prob_along(self, path: Any) -> Tensor:
        top = self.way.latent_dims[0]
        return self.top.log_prob(path.z[..., :top]) + normals(path.p).log_prob(path.z[..., top:])

    def scales_along(self, path: Any) -> Tensor:
        top = self.top.variance.sqrt().expand(*path.p[1].shape[:-1], -1)
        return torch.cat([top, path.p[1]], -1)

    def expand(self, batch_shape: _size, _instance: Any = None) -> "TopDownPrior":
        """The same for a batch: its draws differ, its density does not."""
        top = self.top.expand(batch_shape) if self.top.batch_shape else self.top
        return TopDownPrior(self.way, top, Size(batch_shape))

    def detached(self) -> "TopDownPrior":
        """The same with fixed parameters, those of the top group's density too."""
        return TopDownPrior(self.way.fixed(), detached(self.top), self.batch_shape)
