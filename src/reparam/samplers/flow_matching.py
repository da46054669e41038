"""A velocity field that carries Normal noise to z."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reparam.errors import PartError
from reparam.networks.mlp import layers
from reparam.rng import per_example
from reparam.samplers.base import TrainedSampler

LEAST_NOISE = 1e-3
MOST_ODE_STEPS = 10_000


class FlowMatchingSampler(TrainedSampler):
    r"""Learns the velocity of straight paths from noise to codes, and follows it from noise.

    .. math:: z_t = (1 - (1 - \sigma) t)\, \epsilon + t z, \qquad
              \mathcal{L} = E \bigl\| v(z_t, t) - (z - (1 - \sigma) \epsilon) \bigr\|^2, \qquad
              \frac{dz_t}{dt} = v(z_t, t)

    The path is followed by Heun's method in equal steps.

    Args:
        latent_dim: Number of latent dimensions, L.
        hidden_dims: Widths of the hidden layers of v.
        steps: Steps of training.
        ode_steps: Steps from noise to z.
    Raises:
        PartError: if a size makes no sense.
    Source:
        Flow matching for generative modeling (Lipman et al., 2023), arXiv:2210.02747, eqs. 20 to 23; log p(z) by eq. 3
        of Neural ordinary differential equations (Chen et al., 2018), arXiv:1806.07366, eq. 8.
    """

    def __init__(
        self, latent_dim: int, hidden_dims: Sequence[int] = (256, 256, 256), steps: int = 3000, ode_steps: int = 50
    ) -> None:
        super().__init__(latent_dim, steps)
        if not 1 <= ode_steps <= MOST_ODE_STEPS:
            raise PartError(f"FlowMatchingSampler: ode_steps is {ode_steps}, expected 1 to {MOST_ODE_STEPS:,}.")
        self.hidden_dims, self.ode_steps = tuple(hidden_dims), ode_steps
        self.net = layers(type(self).__name__, (latent_dim + 1, *self.hidden_dims), "residual")
        self.out = nn.Linear(self.hidden_dims[-1], latent_dim)

    def velocity(self, z: Float[Tensor, "N L"], t: Float[Tensor, "N 1"]) -> Float[Tensor, "N L"]:
        """v(z, t)."""
        return self.out(self.net(torch.cat([z, t], -1)))

    def bound(self, z: Float[Tensor, "B L"]) -> Float[Tensor, " B"]:
        """Less the squared error of the velocity, at a random time of each code's path."""
        with per_example(0):
            noise, t = torch.randn_like(z), torch.rand_like(z[:, :1])
        rest = 1 - LEAST_NOISE
        target = z - rest * noise
        return -(self.velocity((1 - rest * t) * noise + t * z, t) - target).square().sum(-1)

    @torch.no_grad()
    def sample(self, n: int) -> Float[Tensor, "N L"]:
        z = torch.randn(n, self.latent_dim, device=self.shift.device, dtype=self.shift.dtype)
        for start, width in self._times():
            first = self.velocity(z, z.new_full((n, 1), start))
            second = self.velocity(z + width * first, z.new_full((n, 1), start + width))
            z = z + width / 2 * (first + second)
        return z * self.scale + self.shift

    def _times(self) -> list[tuple[float, float]]:
        """Start and width of each step from 0 to 1."""
        return [(step / self.ode_steps, 1 / self.ode_steps) for step in range(self.ode_steps)]

    @torch.no_grad()
    def log_prob(self, z: Float[Tensor, "N L"]) -> Float[Tensor, " N"]:
        r"""log p(z), nats: the path back to noise, and the divergence of v along it (L derivatives a step).

        .. math:: \log p(z) = \log \mathcal{N}(z_0; 0, I) - \int_0^1 \nabla \cdot v(z_t, t)\, dt
        """
        z = (z - self.shift) / self.scale
        spread = torch.zeros_like(z[:, 0])
        for start, width in reversed(self._times()):
            first, more = self._with_divergence(z, start + width)
            second, most = self._with_divergence(z - width * first, start)
            z, spread = z - width / 2 * (first + second), spread + width / 2 * (more + most)
        log_noise = -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)
        return log_noise - spread - self.scale.log().sum()

    def _with_divergence(self, z: Tensor, t: float) -> tuple[Tensor, Tensor]:
        """The velocity and its divergence."""

        def one(point: Tensor) -> tuple[Tensor, Tensor]:
            found = self.velocity(point.unsqueeze(0), point.new_full((1, 1), t)).squeeze(0)
            return found, found

        slopes, velocity = torch.func.vmap(torch.func.jacrev(one, has_aux=True))(z)
        return velocity, slopes.diagonal(dim1=-2, dim2=-1).sum(-1)
