"""The Riemannian Hamiltonian posterior: draws that follow log p(x, z) along a metric of the latent space."""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reparam.errors import PartError
from reparam.posteriors.hamiltonian import HamiltonianPosterior, gradient


class RiemannianHamiltonianPosterior(HamiltonianPosterior):
    r"""A diagonal Normal whose draws are moved by K steps of tempered Hamiltonian dynamics along a learned metric G.

    .. math::
        G^{-1}(z) &= \sum_i L_i L_i^\top \exp\left(-\frac{\|z - c_i\|^2}{T^2}\right) + \lambda I, \\
        H(z, \rho) &= -\log p(x, z) + \tfrac12 \log |G(z)| + \tfrac12 \rho^\top G^{-1}(z)\, \rho, \\
        z_0 &\sim q(z_0 \mid x), \quad \rho_0 = \gamma' / \sqrt{\beta_0}, \quad \gamma' \sim \mathcal{N}(0, G(z_0)), \\
        \log w &= \log p(x, z_K) + \log \mathcal{N}(\rho_K; 0, G(z_K))
        - \log q(z_0 \mid x) - \log \mathcal{N}(\gamma'; 0, G(z_0))

    with tempering as in the Hamiltonian posterior. A step of the generalised leapfrog is

    .. math::
        \rho' &= \rho - \tfrac\varepsilon2 \nabla_z H(z, \rho'), \qquad
        z' = z + \tfrac\varepsilon2 \left[ G^{-1}(z) + G^{-1}(z') \right] \rho', \qquad
        \rho'' = \rho' - \tfrac\varepsilon2 \nabla_z H(z', \rho'),

    whose first two equations are solved by fixed-point iterations. Where these are solved, it keeps the volume and w is
    an unbiased estimate of p(x); what few iterations leave open is a bias that shrinks with each of them by a factor of
    about the step size. Centroids and factors of the metric are parameters; centroids begin at the codes of training
    examples, and factors so small that no step is longer than one without a metric.

    Shapes:
        h: (B, in_dim)  ->  q(z_0|x): batch (B,), event (L,)
    Args:
        in_dim: Number of features per example.
        latent_dim: Number of latent dimensions L.
        leapfrogs: Steps K; each one decodes once and differentiates.
        step_size: Step size at the start of training, below ``most_step``.
        tempering: beta_0 at the start of training, between 0 and 1.
        centroids: Number of the metric's centroids c.
        temperature: T, how far a centroid reaches.
        iterations: Fixed-point iterations for each equation.
    Raises:
        PartError: if a number is out of range.
    Source:
        Data augmentation in high dimensional low sample size setting using a geometry-based variational autoencoder
        (Chadebec et al., 2022), arXiv:2105.00026, with lambda = 0.01, and Geometry-aware Hamiltonian variational
        auto-encoder (2020), arXiv:2010.11518, where the centroids are the codes of all training examples and a network
        gives their factors.
    """

    floor = 0.01

    def __init__(
        self,
        in_dim: int,
        latent_dim: int,
        leapfrogs: int = 3,
        step_size: float = 0.05,
        tempering: float = 0.3,
        centroids: int = 50,
        temperature: float = 1.5,
        iterations: int = 3,
    ) -> None:
        super().__init__(in_dim, latent_dim, leapfrogs, step_size, tempering)
        if min(centroids, iterations) < 1 or not 0 < temperature < torch.inf:
            raise PartError(
                f"{type(self).__name__}: centroids {centroids}, temperature {temperature}, iterations {iterations}; "
                "expected at least 1 centroid and iteration, and a positive temperature."
            )
        self.centroids, self.temperature, self.iterations = centroids, temperature, iterations
        self.centres = nn.Parameter(torch.randn(centroids, latent_dim))
        self._first = -0.5 * math.log(centroids)
        self.diagonals = nn.Parameter(torch.full((centroids, latent_dim), self._first))
        self.triangles = nn.Parameter(torch.zeros(centroids, latent_dim, latent_dim))

    @property
    def starts(self) -> bool:  # type: ignore[override]
        """True until its metric was trained."""
        first = torch.full_like(self.diagonals, self._first)
        return not bool(self.triangles.any()) and torch.allclose(self.diagonals, first)

    @torch.no_grad()
    def start(self, h: Float[Tensor, "N F"]) -> None:
        means = self(h).mean
        self.centres.copy_(means[torch.arange(self.centroids) % len(means)])

    def inverse_metric(self, z: Float[Tensor, "*B L"]) -> Float[Tensor, "*B L L"]:
        """The inverse of G at z."""
        with torch.autocast(z.device.type, enabled=False):
            factors = self.triangles.tril(-1) + torch.diag_embed(self.diagonals.exp())
            apart = (z.unsqueeze(-2) - self.centres).square().sum(-1)
            near = (-apart / self.temperature**2).exp()
            summed = torch.einsum("...m,mij->...ij", near, factors @ factors.mT)
            return summed + self.floor * torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)

    def refine(
        self, z: Float[Tensor, "K B L"], noise: Float[Tensor, "K B L"], log_joint: Callable[[Tensor], Tensor]
    ) -> tuple[Float[Tensor, "K B L"], Float[Tensor, "K B"]]:
        root = self.root(z)
        z, momentum = self.walk(z, root, noise, log_joint)
        return z, self._kinetic(z, momentum) - self._half_log_det(root) - 0.5 * noise.square().sum(-1)

    def walk(
        self,
        z: Float[Tensor, "K B L"],
        root: Float[Tensor, "K B L L"],
        noise: Float[Tensor, "K B L"],
        log_joint: Callable[[Tensor], Tensor],
    ) -> tuple[Float[Tensor, "K B L"], Float[Tensor, "K B L"]]:
        """Position and momentum after all steps, from standard Normal noise and the factor of the metric at z."""
        step, roots = self.schedule()
        momentum = roots[0] * torch.linalg.solve_triangular(root.mT, noise.unsqueeze(-1), upper=True).squeeze(-1)
        force = gradient(log_joint, z)
        for before, after in pairwise(roots):
            z, half = self._moved(z, momentum, force, step)
            force = gradient(log_joint, z)
            momentum = (half + 0.5 * step * (force - self._pull(z, half))) * (after / before)
        return z, momentum

    def _moved(self, z: Tensor, momentum: Tensor, force: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        """The next position, and the momentum on the way there: the two implicit equations."""
        half = self._repeated(momentum, lambda rho: momentum + 0.5 * step * (force - self._pull(z, rho)))
        velocity = self._velocity(z, half)
        return self._repeated(z, lambda at: z + 0.5 * step * (velocity + self._velocity(at, half))), half

    def _repeated(self, value: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Where fixed-point iterations from a value lead."""
        for _ in range(self.iterations):
            value = function(value)
        return value

    def _velocity(self, z: Tensor, momentum: Tensor) -> Tensor:
        with torch.autocast(z.device.type, enabled=False):
            return (self.inverse_metric(z) @ momentum.unsqueeze(-1)).squeeze(-1)

    def root(self, z: Tensor) -> Float[Tensor, "*B L L"]:
        """The Cholesky factor of the inverse metric; NaN where z has diverged, for the training to find."""
        found = torch.linalg.cholesky_ex(self.inverse_metric(z))
        return torch.where(found.info.eq(0)[..., None, None], found.L, torch.nan)

    def _half_log_det(self, root: Float[Tensor, "*B L L"]) -> Float[Tensor, "*B"]:
        """Half the log determinant of G."""
        return -root.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def _kinetic(self, z: Tensor, momentum: Tensor) -> Float[Tensor, "K B"]:
        """Minus the log density of the momentum at z, but for a constant."""
        with torch.autocast(z.device.type, enabled=False):
            root = self.root(z)
            return 0.5 * (root.mT @ momentum.unsqueeze(-1)).square().sum((-2, -1)) + self._half_log_det(root)

    def _pull(self, z: Tensor, momentum: Tensor) -> Tensor:
        return gradient(lambda at: self._kinetic(at, momentum), z)
