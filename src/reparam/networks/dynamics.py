"""What a sequence remembers, and how its next code is distributed, before the next value is seen and after."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Normal

from reparam.errors import PartError, nearest
from reparam.networks.bounded import bounded, full_precision

Memory = Literal["x", "z"]
Unit = Literal["gru", "lstm"]


class State(NamedTuple):
    """What is carried from step to step.

    Attributes:
        h: (N, hidden_dim), the memory; (N, 0) where there is none.
        z: (N, step_dim), the last code.
        c: (N, hidden_dim), the cell of an LSTM, which nothing else reads; (N, 0) where there is none.
    """

    h: Tensor
    z: Tensor
    c: Tensor

    def take(self, rows: Tensor) -> "State":
        """The states of some rows."""
        return State(self.h[rows], self.z[rows], self.c[rows])


class _GRU(nn.GRUCell):
    """A memory without a cell."""

    cells = 0

    def step(self, read: Float[Tensor, "N R"], h: Float[Tensor, "N H"], c: Float[Tensor, "N 0"]) -> tuple[Tensor, ...]:
        """The memory after it has read."""
        return self(read, h), c


class _LSTM(nn.LSTMCell):
    """A memory beside a cell."""

    cells = 1

    def step(self, read: Float[Tensor, "N R"], h: Float[Tensor, "N H"], c: Float[Tensor, "N H"]) -> tuple[Tensor, ...]:
        """Memory and cell after it has read."""
        found: tuple[Tensor, Tensor] = self(read, (h, c))
        return found


_FORWARD: dict[str, type[_GRU | _LSTM]] = {"gru": _GRU, "lstm": _LSTM}
_BACKWARD: dict[str, type[nn.GRU | nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM}


class Dynamics(nn.Module):
    r"""The networks of a recurrent VAE: memory, p(z_t|past) and q(z_t|past, x).

    .. math::
        h_t = \mathrm{RNN}(h_{t-1}, [x_t, z_t]), \qquad
        z_t \sim \mathcal{N}(\mu_p(c_t), \sigma_p(c_t)^2), \qquad
        q(z_t) = \mathcal{N}(\mu_q(c_t, g_t), \sigma_q(c_t, g_t)^2)

    where RNN is a gated recurrent unit or an LSTM, and the context c_t is made of the memory h_{t-1} and, where
    ``markov``, the last code z_{t-1}; g_t are features of x_t or, where ``smoothing``, of all values from t on, read
    backwards.

    Shapes:
        phi: (B, T, F), features of each value
    Args:
        feature_dim: Number of features F.
        step_dim: Latent dimensions of one step.
        hidden_dim: Width of the memory and of the hidden layers.
        memory: What the memory reads: ``x``, ``z``, both, or nothing, for no memory at all.
        markov: Each code also depends on the last one.
        smoothing: q looks ahead.
        unit: Of the memory, and of what looks ahead: ``gru`` or ``lstm``.
    Raises:
        PartError: if a size is below 1, nothing depends on the past, or there is no such unit.
    Source:
        VRNN: A recurrent latent variable model for sequential data (Chung et al., 2015), arXiv:1506.02216, eqs. 5 to
        10; SRNN: Sequential neural models with stochastic layers (Fraccaro et al., 2016), arXiv:1605.07571; DMM:
        Structured inference networks for nonlinear state space models (Krishnan et al., 2017), arXiv:1609.09869. There
        q of the SRNN reads its memory backwards too; here it reads x alone.
    """

    def __init__(
        self,
        feature_dim: int,
        step_dim: int,
        hidden_dim: int = 128,
        memory: Sequence[Memory] = ("x", "z"),
        markov: bool = False,
        smoothing: bool = False,
        unit: Unit = "gru",
    ) -> None:
        super().__init__()
        if min(feature_dim, step_dim, hidden_dim) < 1:
            raise PartError(
                f"Dynamics: feature_dim {feature_dim}, step_dim {step_dim}, hidden_dim {hidden_dim}; expected 1 or "
                "more."
            )
        for one in memory:
            if one not in get_args(Memory):
                raise PartError(f"Dynamics: memory reads {one!r}. {nearest(one, get_args(Memory))}")
        if unit not in _FORWARD:
            raise PartError(f"Dynamics: unit is {unit!r}. {nearest(unit, _FORWARD)}")
        if not memory and not markov:
            raise PartError("Dynamics: nothing depends on the past. Let the memory read 'x', or set markov.")
        self.feature_dim, self.step_dim, self.hidden_dim = feature_dim, step_dim, hidden_dim
        self.memory, self.markov, self.smoothing, self.unit = tuple(memory), markov, smoothing, unit
        self.memory_dim = hidden_dim if memory else 0
        self.context_dim = self.memory_dim + (step_dim if markov else 0)
        read = (feature_dim if "x" in memory else 0) + (hidden_dim if "z" in memory else 0)
        self.cell = _FORWARD[unit](read, hidden_dim) if memory else None
        self.of_z = _layer(step_dim, hidden_dim) if "z" in memory else None
        self.p = nn.Sequential(_layer(self.context_dim, hidden_dim), nn.Linear(hidden_dim, 2 * step_dim))
        self.ahead = _BACKWARD[unit](feature_dim, hidden_dim, batch_first=True) if smoothing else None
        seen = hidden_dim if smoothing else feature_dim
        self.q = nn.Sequential(_layer(seen + self.context_dim, hidden_dim), nn.Linear(hidden_dim, 2 * step_dim))

    def begin(self, rows: int, like: Tensor) -> State:
        """The state before the first step."""
        cells = 0 if self.cell is None else self.cell.cells * self.hidden_dim
        sizes = (self.memory_dim, self.step_dim, cells)
        return State(*(like.new_zeros(rows, size) for size in sizes))

    def context(self, state: State) -> Float[Tensor, "N C"]:
        """What the next code depends on."""
        return torch.cat([state.h, state.z], -1) if self.markov else state.h

    def prior(self, context: Float[Tensor, "*N C"]) -> Normal:
        """p(z_t|past)."""
        return _normal(self.p(context))

    def posterior(self, seen: Float[Tensor, "N G"], context: Float[Tensor, "N C"]) -> Normal:
        """q(z_t|past, x)."""
        return _normal(self.q(torch.cat([seen, context], -1)))

    def advance(self, state: State, phi: Float[Tensor, "N F"], z: Float[Tensor, "N L"]) -> State:
        """The state after a step."""
        if self.cell is None:
            return State(state.h, z, state.c)
        read = ([phi] if "x" in self.memory else []) + ([] if self.of_z is None else [self.of_z(z)])
        h, c = self.cell.step(torch.cat(read, -1), state.h, state.c)
        return State(h, z, c)

    def seen(self, phi: Float[Tensor, "B T F"], mask: Float[Tensor, "B T"]) -> Float[Tensor, "B T G"]:
        """What q sees of x at each step: its features there, or those of all that follows."""
        if self.ahead is None:
            return phi
        lengths = mask.sum(1, keepdim=True).long()
        place = torch.arange(mask.shape[1], device=mask.device)
        back = torch.where(place < lengths, lengths - 1 - place, place).unsqueeze(-1)  # each from its own end
        read, _ = self.ahead(phi.gather(1, back.expand_as(phi)))
        found: Tensor = read.gather(1, back.expand_as(read))
        return found


def _layer(in_dim: int, out_dim: int) -> nn.Module:
    return nn.Sequential(nn.Linear(in_dim, out_dim), nn.ReLU())


def _normal(numbers: Tensor) -> Normal:
    loc, log_scale = full_precision(numbers).chunk(2, -1)
    return Normal(loc, bounded(log_scale).exp(), validate_args=False)
