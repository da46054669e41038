"""What every hierarchy of latent groups is: a way up from x, and a way down through the groups to x again."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Size, Tensor, nn

from reparam.errors import PartError, nearest
from reparam.networks.bounded import bounded, full_precision
from reparam.networks.conditions import beside, narrowed, painter, require_condition
from reparam.networks.standardized import Units
from reparam.shapes import Shape

Numbers = tuple[Tensor, Tensor]
Features = tuple[Tensor, ...]
Codes = tuple[Tensor, ...]


class Path(NamedTuple):
    """What one way down says: the codes, the Normals they have been drawn from or lie under, and the end of the way.

    Shapes:
        z: (N, L), all groups side by side, from the top down
        q: location and scale of q(z_g | z_<g, x), each (N, L); None without features
        p: location and scale of p(z_g | z_<g) for all groups below the top, each (N, L - L_1)
        out: (N, *out_shape), the likelihood's numbers
    """

    z: Tensor
    q: Numbers | None
    p: Numbers
    out: Tensor

    def shaped(self, lead: Size) -> "Path":
        """The same with N laid out as these axes."""

        def laid(values: Tensor) -> Tensor:
            return values.reshape(lead + values.shape[1:])

        q = None if self.q is None else (laid(self.q[0]), laid(self.q[1]))
        return Path(laid(self.z), q, (laid(self.p[0]), laid(self.p[1])), laid(self.out))


def loc_scale(numbers: Numbers) -> Numbers:
    """Location and bounded scale, in full precision, from a location and an unbounded log-scale."""
    loc, log_scale = numbers
    return full_precision(loc), bounded(full_precision(log_scale)).exp()


def _joint(own: Numbers, prior: Numbers, p: Numbers) -> Numbers:
    return loc_scale(own)


def _delta(own: Numbers, prior: Numbers, p: Numbers) -> Numbers:
    return loc_scale(
        (full_precision(own[0]) + full_precision(prior[0]), full_precision(own[1]) + full_precision(prior[1]))
    )


def _precision(own: Numbers, prior: Numbers, p: Numbers) -> Numbers:
    (loc, scale), (p_loc, p_scale) = loc_scale(own), p
    length = torch.hypot(scale, p_scale)
    weight = (p_scale / length).square()
    return torch.lerp(p_loc, loc, weight), scale * p_scale / length


Merge = Literal["joint", "precision", "delta"]
MERGES: dict[str, Callable[[Numbers, Numbers, Numbers], Numbers]] = {
    "joint": _joint,
    "precision": _precision,
    "delta": _delta,
}


def require_merge(owner: str, merge: str) -> None:
    """Checks how q(z_g | z_<g, x) is made.

    Raises:
        PartError: if there is no such way.
    """
    if merge not in MERGES:
        raise PartError(f"{owner}: merge is {merge!r}. {nearest(merge, MERGES)}")


class Group(nn.Module, ABC):
    """One latent group on the way down: it reads a state made of the groups above, and adds its own code to it."""

    q_net: nn.Module

    @abstractmethod
    def prior(self, state: Any) -> tuple[Any, Numbers | None]:
        """The state as it arrives here, and the numbers of p(z_g | z_<g); None for the top group."""

    @abstractmethod
    def posterior(self, state: Any, features: Features) -> Numbers:
        """The numbers that features (and, where they are merged by a network, the groups above) give for q."""

    @abstractmethod
    def absorb(self, state: Any, z: Float[Tensor, "N L"]) -> Any:
        """The state below this group."""


class BottomUp(nn.Module, ABC):
    """The way up: x -> features, from the top down, as many as the groups ask for."""

    @abstractmethod
    def forward(self, x: Float[Tensor, "B ..."]) -> Features:
        """Features of each example."""


def descend(
    groups: Iterable[Any],
    merge: str,
    state: Any,
    features: Features | None,
    noise: Codes | None,
    given: Codes,
    finish: Callable[[Any], Tensor],
) -> Path:
    r"""Walks down through the groups once, and writes down everything that a trace needs.

    .. math:: z_g = \mu_g(z_{<g}, x) + \sigma_g(z_{<g}, x) \odot \epsilon_g

    The codes of the first groups may be given; the others are drawn from q where there are features, and from p where
    there are none. A noise of 0 walks along the conditional means.

    Args:
        groups: From the top down, each a :class:`Group`.
        merge: How q is made of its own numbers and the prior's.
        state: What the first group finds.
        features: Of the way up; None to follow the prior.
        noise: Standard Normal draws for each group; None where all codes are given.
        given: Codes of the first groups.
        finish: The last state -> the likelihood's numbers.
    """
    codes: list[Tensor] = []
    inferred: list[Numbers] = []
    priors: list[Numbers] = []
    for number, group in enumerate(groups):
        state, prior = group.prior(state)
        if prior is not None:
            priors.append(loc_scale(prior))
        if features is not None:
            own = group.posterior(state, features)
            inferred.append(loc_scale(own) if prior is None else MERGES[merge](own, prior, priors[-1]))
        if number < len(given):
            z = given[number]
        else:
            assert noise is not None
            loc, scale = inferred[-1] if features is not None else priors[-1]
            z = torch.addcmul(loc, scale, noise[number])
        codes.append(z)
        state = group.absorb(state, z)
    q = _side_by_side(inferred) if inferred else None
    return Path(torch.cat(codes, -1), q, _side_by_side(priors), finish(state))


def _side_by_side(numbers: list[Numbers]) -> Numbers:
    locs, scales = zip(*numbers, strict=True)
    return torch.cat(locs, -1), torch.cat(scales, -1)


class Hierarchy(nn.Module, ABC):
    """The two ways of a hierarchical model, with the depth as data.

    Shapes:
        x: (B, *data_shape)  ->  features
        features, noise and given codes, each group (N, L_g)  ->  :class:`Path`
    Args:
        data_shape: Shape of one example.
        out_shape: ``likelihood.out_shape``.
        latent_dims: Latent dimensions of each group, from the top down.
    Raises:
        PartError: if there are fewer than two groups, or one of them is empty.
    """

    told_up = False  # True where the way up is told a condition
    told_down = False  # True where the way down is

    def __init__(self, data_shape: Shape, out_shape: Shape, latent_dims: Sequence[int]) -> None:
        super().__init__()
        if len(latent_dims) < 2 or min(latent_dims) < 1:
            raise PartError(
                f"{type(self).__name__}: the latent groups are {list(latent_dims)[:20]} wide, expected at least two "
                "groups, each at least 1 wide. Use the flat model for one group."
            )
        self.data_shape, self.out_shape = tuple(data_shape), tuple(out_shape)
        self.latent_dims = tuple(latent_dims)

    @abstractmethod
    def bottom_up(self, x: Float[Tensor, "B ..."]) -> Features:
        """The way up; a conditional one is given c beside x."""

    @abstractmethod
    def top(self, features: Features) -> Numbers:
        """Location and scale of q(z_1 | x), each (B, L_1)."""

    @abstractmethod
    def forward(
        self,
        features: Features | None,
        noise: Codes | None,
        given: Codes = (),
        c: Float[Tensor, "N C"] | None = None,
    ) -> Path:
        """The way down; see :func:`descend`. Only those that learnt to listen are given a c."""

    def listen(self, condition_dim: int) -> None:
        """Makes layers by which the way down is told a condition of this length from now on.

        Raises:
            PartError: if its way down cannot be told anything.
        """
        raise PartError(
            f"{type(self).__name__}: its way down takes no condition. Leave 'decoder' out of condition_into, or write "
            "listen(condition_dim)."
        )

    @abstractmethod
    def inference(self) -> Iterator[nn.Parameter]:
        """The parameters that q alone depends on; all others belong to p, and q may read them too."""

    def split(self, z: Float[Tensor, "... L"]) -> Codes:
        """The codes of each group."""
        return z.split(self.latent_dims, -1)


def inference_of(up: nn.Module, groups: Iterable[Any]) -> Iterator[nn.Parameter]:
    """Parameters of the way up and of what the groups make of it."""
    yield from up.parameters()
    for group in groups:
        yield from group.q_net.parameters()


class ConditionalHierarchy(Hierarchy):
    r"""A hierarchy that is told a condition: its way up sees c beside x, the groups and the likelihood depend on it.

    .. math:: q(z \mid x, c) = \prod_g q(z_g \mid z_{<g}, x, c), \qquad
              p(z, x \mid c) = p(z_1) \prod_{g>1} p(z_g \mid z_{<g}, c)\; p(x \mid z, c)

    Shapes:
        x: (B, *data_shape), c: (B, condition_dim)  ->  features
        features, noise and given codes, each group (N, L_g), c: (N, condition_dim)  ->  Path
    Args:
        base: The hierarchy, which learns to :meth:`~Hierarchy.listen`; where the way up is told, of examples of the
            shape ``widened(data_shape, condition_dim)``.
        condition_dim: Length of c.
        told_up: The way up sees c.
        told_down: The way down does.
    Raises:
        PartError: if the way down of this hierarchy cannot be told anything.
    Source:
        Learning structured output representation using deep conditional generative models (Sohn et al., 2015), eq. 3,
        for every group of a hierarchy.
    """

    def __init__(self, base: Hierarchy, condition_dim: int, told_up: bool = True, told_down: bool = True) -> None:
        shape = narrowed(base.data_shape, condition_dim) if told_up else base.data_shape
        super().__init__(shape, base.out_shape, base.latent_dims)
        self.base, self.condition_dim = base, condition_dim
        self.told_up, self.told_down = told_up, told_down
        self.paint = painter(base.data_shape, condition_dim) if told_up else None
        if told_down:
            base.listen(condition_dim)

    def bottom_up(self, x: Float[Tensor, "B ..."], c: Float[Tensor, "B C"] | None = None) -> Features:
        if not self.told_up:
            return self.base.bottom_up(x)
        c = require_condition(type(self).__name__, c, self.condition_dim)
        return self.base.bottom_up(beside(x, c, self.paint))

    def top(self, features: Features) -> Numbers:
        return self.base.top(features)

    def forward(
        self,
        features: Features | None,
        noise: Codes | None,
        given: Codes = (),
        c: Float[Tensor, "N C"] | None = None,
    ) -> Path:
        if not self.told_down:
            return self.base(features, noise, given)
        return self.base(features, noise, given, require_condition(type(self).__name__, c, self.condition_dim))

    def inference(self) -> Iterator[nn.Parameter]:
        if self.paint is not None:
            yield from self.paint.parameters()
        yield from self.base.inference()


class StandardizedHierarchy(Hierarchy):
    """Wraps a hierarchy so that its way up begins at (x - shift) / scale.

    Args:
        base: The hierarchy of standardised values.
        shift: One number per channel (or column) of x.
        scale: One number per channel (or column) of x.
        counts: How many of the first channels are counts n, of which it sees log(1 + n) so.
    """

    def __init__(self, base: Hierarchy, shift: tuple[float, ...], scale: tuple[float, ...], counts: int = 0) -> None:
        super().__init__(base.data_shape, base.out_shape, base.latent_dims)
        self.base, self.shift, self.scale, self.counts = base, tuple(shift), tuple(scale), counts
        self.units = Units(self.shift, self.scale, base.data_shape, counts)

    def bottom_up(self, x: Float[Tensor, "B ..."]) -> Features:
        return self.base.bottom_up(self.units(x))

    def top(self, features: Features) -> Numbers:
        return self.base.top(features)

    def listen(self, condition_dim: int) -> None:
        self.base.listen(condition_dim)

    def forward(
        self,
        features: Features | None,
        noise: Codes | None,
        given: Codes = (),
        c: Float[Tensor, "N C"] | None = None,
    ) -> Path:
        return self.base(features, noise, given) if c is None else self.base(features, noise, given, c)

    def inference(self) -> Iterator[nn.Parameter]:
        return self.base.inference()
