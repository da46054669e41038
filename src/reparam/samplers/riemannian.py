"""Codes drawn by the volume of the latent space, as the posteriors of the data measure it."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from reparam.distributions import squared_distances
from reparam.errors import PartError
from reparam.rng import generator
from reparam.samplers.base import Sampler

NEIGHBOURS = 1_000


class RiemannianSampler(Sampler):
    r"""Draws codes where the metric of the posteriors has volume: near codes of data, the more the sharper they are.

    .. math:: p(z) \propto \sqrt{\det G(z)}, \qquad
              G(z) = \sum_i \omega_i(z)\, \mathrm{diag}\, \sigma_i^{-2} + \lambda e^{-\tau \lVert z \rVert^2} I, \qquad
              \omega_i(z) = \exp\Bigl(-\frac{1}{\rho^2} \sum_l \frac{(z_l - \mu_{il})^2}{\sigma_{il}^2}\Bigr)

    :math:`\mu_i, \sigma_i` are mean and scale of q(z|x) of at most ``centroids`` random training examples. Chains of
    Hamiltonian Monte Carlo start at random centroids, one for each draw.

    Shapes:
        means, scales: (M, L)
    Args:
        latent_dim: Number of latent dimensions, L.
        centroids: Most examples that the metric is made of, M.
        chain: Steps of each chain.
        leapfrogs: Leapfrog steps in each of them.
        step_size: Size of these, in units of the median scale of the posteriors.
    Raises:
        PartError: if centroids, chain or leapfrogs < 1, or step_size is not positive.
    Source:
        A geometric perspective on variational autoencoders (Chadebec & Allassonniere, 2022), arXiv:2209.07370: its
        metric, and its draws from the uniform distribution of the Riemannian volume. rho is the largest distance of a
        centroid from its nearest one, in units of the posteriors' scales, and at least 1; the centroids are a random
        choice instead of medoids.
    """

    takes_scales = True
    means: Tensor
    scales: Tensor
    radius: Tensor
    floor, fall = 1e-3, 1e-3

    def __init__(
        self, latent_dim: int, centroids: int = 1000, chain: int = 100, leapfrogs: int = 10, step_size: float = 0.3
    ) -> None:
        super().__init__(latent_dim)
        if min(centroids, chain, leapfrogs) < 1 or not 0 < step_size < math.inf:
            raise PartError(
                f"RiemannianSampler: centroids {centroids}, chain {chain}, leapfrogs {leapfrogs}, step_size "
                f"{step_size}; expected at least 1 of each, and a positive size."
            )
        self.centroids, self.chain, self.leapfrogs, self.step_size = centroids, chain, leapfrogs, step_size
        self.register_buffer("means", torch.zeros(centroids, latent_dim))
        self.register_buffer("scales", torch.ones(centroids, latent_dim))
        self.register_buffer("radius", torch.ones(()))

    @torch.no_grad()
    def fit(self, z: Float[Tensor, "N L"], seed: int = 0, scales: Float[Tensor, "N L"] | None = None) -> None:
        """Takes a random choice of codes as centroids.

        Args:
            z: Codes.
            seed: Decides the choice.
            scales: Standard deviation of q(z|x) around each code; the spread of all codes where q has none.
        """
        scales = z.std(0, correction=0).clamp_min(1e-6).expand_as(z) if scales is None else scales
        order = torch.randperm(len(z), generator=generator(seed, "riemannian"))
        chosen = order[torch.arange(self.centroids) % len(z)].to(z.device)
        self.means.copy_(z[chosen])
        spread = z.std(0, correction=0).amax().clamp_min(1e-12)
        self.scales.copy_(scales[chosen].clamp_min(1e-4 * spread))  # a scale of 0 would weigh infinitely
        some = slice(0, min(NEIGHBOURS, len(z)))
        distance = self._distances(self.means[some])[:, : some.stop].fill_diagonal_(torch.inf).amin(1)
        self.radius.copy_(distance.nan_to_num(posinf=0).amax().sqrt().clamp_min(1))

    def _distances(self, z: Float[Tensor, "N L"]) -> Float[Tensor, "N M"]:
        """Squared distances from the centroids, in units of their scales."""
        return squared_distances(z, self.means, self.scales).clamp_min(0).to(z)

    def log_volume(self, z: Float[Tensor, "N L"]) -> Float[Tensor, " N"]:
        """Half the log determinant of G: the log density, up to a constant."""
        near = (-self._distances(z) / self.radius.square()).exp()
        metric = near @ self.scales.square().reciprocal()
        floor = self.floor * (-self.fall * z.square().sum(-1, keepdim=True)).exp()
        return 0.5 * (metric + floor).log().sum(-1)

    def sample(self, n: int) -> Float[Tensor, "N L"]:
        z = self.means[torch.randint(len(self.means), (n,), device=self.means.device)]
        step = self.step_size * self.scales.median()
        for _ in range(self.chain):
            z = self._move(z, step)
        return z

    def _move(self, z: Tensor, step: Tensor) -> Tensor:
        """One step of Hamiltonian Monte Carlo: some leapfrogs along a fresh momentum, taken or not."""
        momentum = torch.randn_like(z)
        moved, speed = z, momentum
        value, force = self._pull(z)
        before = value - 0.5 * momentum.square().sum(-1)
        for _ in range(self.leapfrogs):
            speed = speed + 0.5 * step * force
            moved = moved + step * speed
            value, force = self._pull(moved)
            speed = speed + 0.5 * step * force
        after = value - 0.5 * speed.square().sum(-1)
        taken = torch.rand_like(after).log() < after - before
        return torch.where(taken.unsqueeze(-1), moved, z)

    def _pull(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The log density up to a constant, and its gradient."""
        with torch.enable_grad():
            at = z.detach().requires_grad_()
            value = self.log_volume(at)
            (found,) = torch.autograd.grad(value.sum(), at)
        return value.detach(), found
