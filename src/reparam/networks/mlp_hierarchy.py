"""Hierarchies of layers of units: the two-layer hierarchical VAE and the ladder VAE are settings of one class."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reparam.errors import PartError
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
from reparam.networks.mlp import Layer, layers
from reparam.shapes import Shape, numel


class State(NamedTuple):
    """The codes that the next group reads, and what it is told, if anything."""

    codes: tuple[Tensor, ...]
    c: Tensor | None


class Joint(nn.Module):
    r"""Hidden layers over several inputs, then a linear one.

    Each input has a first layer of its own; the further layers see these side by side. Without hidden layers it is
    one linear map of all inputs. What it is told scales and shifts the values where the inputs meet.

    .. math:: y = W\, f([f_1(v_1), \dots, f_n(v_n)] \odot (1 + A c) + U c) + b

    Shapes:
        inputs: n times (N, in_dims[i]), c: (N, C) where it listens  ->  (N, out_dim)
    Source:
        A c and U c: FiLM, visual reasoning with a general conditioning layer (Perez et al., 2018), eq. 2.
    """

    def __init__(
        self, owner: str, in_dims: Sequence[int], hidden_dims: Sequence[int], out_dim: int, layer: Layer
    ) -> None:
        super().__init__()
        first, rest = hidden_dims[:1], hidden_dims[1:]
        widths = [*first] * len(in_dims) if first else in_dims
        self.width = sum(widths)
        self.told: nn.Linear | None = None
        self.first = nn.ModuleList(layers(owner, (size, *first), layer) if first else nn.Identity() for size in in_dims)
        self.rest = layers(owner, (self.width, *rest), layer) if rest else nn.Identity()
        self.out = nn.Linear(rest[-1] if rest else self.width, out_dim)

    def listen(self, condition_dim: int) -> None:
        """Makes the layer that reads what it is told, and at first only shifts."""
        self.told = nn.Linear(condition_dim, 2 * self.width, bias=False).to(self.out.weight)
        nn.init.zeros_(self.told.weight[: self.width])

    def forward(self, inputs: Sequence[Tensor], c: Float[Tensor, "N C"] | None = None) -> Float[Tensor, "N F"]:
        seen = [layer(values) for layer, values in zip(self.first, inputs, strict=True)]
        h = seen[0] if len(seen) == 1 else torch.cat(seen, -1)
        if self.told is not None:
            scale, shift = self.told(c).chunk(2, -1)
            h = torch.addcmul(h + shift, h, scale)
        return self.out(self.rest(h))


class _Chain(BottomUp):
    """d_1 = f_1(x), d_2 = f_2(d_1), ...: the last one is for the top group. Of no layers, x itself for every group."""

    def __init__(self, stages: Sequence[nn.Module]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Float[Tensor, "B ..."]) -> Features:
        features = [x.flatten(1)]
        for stage in self.stages:
            features.append(stage(features[-1]))
        return tuple(reversed(features[1:])) or tuple(features)


class _MLPGroup(Group):
    """Reads the codes above and one of the features."""

    def __init__(self, p_net: Joint | None, q_net: Joint, feature: int, skip: bool) -> None:
        super().__init__()
        self.p_net, self.q_net = p_net, q_net
        self.feature, self.skip = feature, skip
        self.sees_above = len(q_net.first) > 1

    def prior(self, state: State) -> tuple[State, Numbers | None]:
        if self.p_net is None:
            return state, None
        loc, log_scale = self.p_net(state.codes, state.c).chunk(2, -1)
        return state, (loc, log_scale)

    def posterior(self, state: State, features: Features) -> Numbers:
        above = state.codes if self.sees_above else ()
        loc, log_scale = self.q_net((features[self.feature], *above)).chunk(2, -1)
        return loc, log_scale

    def absorb(self, state: State, z: Float[Tensor, "N L"]) -> State:
        return State((*state.codes, z) if self.skip else (z,), state.c)


class MLPHierarchy(Hierarchy):
    r"""Latent vectors, each a Normal whose numbers an MLP gives from the vectors above it (and, in q, from x).

    .. math:: p(z) = p(z_1) \prod_{g>1} p(z_g \mid z_{<g}), \qquad q(z \mid x) = \prod_g q(z_g \mid z_{<g}, x)

    Two groups with ``skip`` and without ``chain`` are the two-layer hierarchical VAE, whose networks are the
    defaults: one gated layer for each of x, z_1 and z_2, and one over two of them side by side. ``chain`` with
    ``merge="precision"`` and without ``skip`` is the ladder VAE, here without batch normalisation, so that an example
    says the same in any batch; its layers are as wide at each rung.

    Shapes:
        x: (B, *data_shape)  ->  features, each (B, F)  ->  Path
    Args:
        data_shape: Shape of one example.
        out_shape: ``likelihood.out_shape``.
        latent_dims: Dimensions of each group, from the top down.
        hidden_dims: Widths of the hidden layers of every network.
        layer: ``plain`` (ReLU), ``gated`` or ``residual``.
        merge: What q(z_g | z_<g, x) is made of: a network over the features and the codes above (``joint``), the
            features' own Normal times the prior (``precision``), or the prior shifted and scaled (``delta``).
        skip: Every group above is read, not only the next one.
        chain: Features come from a deterministic way up with one rung a group, not each from x itself.
    Raises:
        PartError: if the sizes make no sense, or a name is unknown.
    Source:
        Two layers: VAE with a VampPrior (Tomczak & Welling, 2018), arXiv:1705.07120, section 3; ladder: Ladder
        variational autoencoders (Sonderby et al., 2016), arXiv:1602.02282, eq. 11 to 19.
    """

    def __init__(
        self,
        data_shape: Shape,
        out_shape: Shape,
        latent_dims: Sequence[int] = (40, 40),
        hidden_dims: Sequence[int] = (300, 300),
        layer: Layer = "gated",
        merge: Merge = "joint",
        skip: bool = True,
        chain: bool = False,
    ) -> None:
        super().__init__(data_shape, out_shape, latent_dims)
        owner = type(self).__name__
        require_merge(owner, merge)
        if not hidden_dims:
            raise PartError(f"{owner}: hidden_dims is [], expected at least one width of 1 or more.")
        self.hidden_dims, self.layer, self.merge = tuple(hidden_dims), layer, merge
        self.skip, self.chain = skip, chain
        size, dims = numel(data_shape), self.latent_dims
        rungs = [size, *(hidden_dims[-1] for _ in dims)]
        self.up = _Chain([layers(owner, (rung, *hidden_dims), layer) for rung in (rungs[:-1] if chain else ())])
        groups = []
        for number, latent_dim in enumerate(dims):
            above = self._above(number)
            seen = () if merge == "precision" else above
            hidden = () if chain and not seen else hidden_dims
            q_net = Joint(owner, (rungs[-1] if chain else size, *seen), hidden, 2 * latent_dim, layer)
            p_net = Joint(owner, above, hidden_dims, 2 * latent_dim, layer) if number else None
            groups.append(_MLPGroup(p_net, q_net, number if chain else 0, skip))
        self.groups = nn.ModuleList(groups)
        self.out = Joint(owner, self._above(len(dims)), hidden_dims, numel(out_shape), layer)

    def _above(self, number: int) -> tuple[int, ...]:
        """Widths of the codes that a group reads; after the last group, those that the likelihood reads."""
        return self.latent_dims[0 if self.skip else max(0, number - 1) : number]

    def bottom_up(self, x: Float[Tensor, "B ..."]) -> Features:
        return self.up(x)

    def top(self, features: Features) -> Numbers:
        return loc_scale(self.groups[0].posterior(State((), None), features))  # type: ignore[operator]

    def listen(self, condition_dim: int) -> None:
        self.out.listen(condition_dim)
        for group in self.groups:
            if isinstance(group.p_net, Joint):
                group.p_net.listen(condition_dim)

    def forward(
        self,
        features: Features | None,
        noise: Codes | None,
        given: Codes = (),
        c: Float[Tensor, "N C"] | None = None,
    ) -> Path:
        return descend(self.groups, self.merge, State((), c), features, noise, given, self._finish)

    def _finish(self, state: State) -> Float[Tensor, "N ..."]:
        return self.out(state.codes, state.c).reshape(-1, *self.out_shape)

    def inference(self) -> Iterator[nn.Parameter]:
        return inference_of(self.up, self.groups)
