"""The Hamiltonian posterior: draws that follow the gradient of log p(x, z) for some steps."""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reparam.errors import PartError
from reparam.posteriors.normal import NormalPosterior


class HamiltonianPosterior(NormalPosterior):
    r"""A diagonal Normal whose draws are moved by K leapfrog steps of tempered Hamiltonian dynamics.

    .. math:: z_0 \sim q(z_0 \mid x), \quad \rho_0 = \gamma / \sqrt{\beta_0}, \quad \gamma \sim \mathcal{N}(0, I), \\
              \log q(z_K, \rho_K \mid x) = \log q(z_0 \mid x) + \log \mathcal{N}(\gamma; 0, I), \qquad
              \log w = \log p(x, z_K) + \log \mathcal{N}(\rho_K; 0, I) - \log q(z_K, \rho_K \mid x)

    A step moves (z, rho) along the gradient of log p(x, z) and then multiplies rho by
    :math:`\sqrt{\beta_{k-1} / \beta_k}`. The volume that this takes is what the wide start gave, so no determinant is
    left. :math:`1/\sqrt{\beta_k}` falls from :math:`1/\sqrt{\beta_0}` to 1 in proportion to :math:`k^2`. The step size
    of each dimension and beta_0 are learned. w is an unbiased estimate of p(x), so every bound of log w holds.

    Shapes:
        h: (B, in_dim)  ->  q(z_0|x): batch (B,), event (L,)
    Args:
        in_dim: Number of features per example.
        latent_dim: Number of latent dimensions L.
        leapfrogs: Steps K; each one decodes once and differentiates.
        step_size: Step size at the start of training, below ``most_step``.
        tempering: beta_0 at the start of training, between 0 and 1.
    Raises:
        PartError: if leapfrogs < 1, or step_size or tempering is out of range.
    Source:
        Hamiltonian variational auto-encoder (Caterini et al., 2018), arXiv:1805.11328, algorithm 1 and eq. 7 to 9, with
        the quadratic tempering of its section 4.
    """

    refines = differentiates_twice = True
    most_step = 0.5

    def __init__(
        self, in_dim: int, latent_dim: int, leapfrogs: int = 3, step_size: float = 0.05, tempering: float = 0.3
    ) -> None:
        super().__init__(in_dim, latent_dim)
        if leapfrogs < 1 or not 0 < step_size < self.most_step or not 0 < tempering < 1:
            raise PartError(
                f"{type(self).__name__}: leapfrogs {leapfrogs}, step_size {step_size}, tempering {tempering}; expected "
                f"at least 1 step, a size between 0 and {self.most_step}, and a tempering between 0 and 1."
            )
        self.leapfrogs, self.step_size, self.tempering = leapfrogs, step_size, tempering
        self.raw_step = nn.Parameter(torch.full((latent_dim,), _logit(step_size / self.most_step)))
        self.raw_tempering = nn.Parameter(torch.tensor(_logit(tempering)))

    def refine(
        self, z: Float[Tensor, "K B L"], noise: Float[Tensor, "K B L"], log_joint: Callable[[Tensor], Tensor]
    ) -> tuple[Float[Tensor, "K B L"], Float[Tensor, "K B"]]:
        step, roots = self.schedule()
        momentum, force = noise * roots[0], gradient(log_joint, z)
        for before, after in pairwise(roots):
            momentum = momentum + 0.5 * step * force
            z = z + step * momentum
            force = gradient(log_joint, z)
            momentum = (momentum + 0.5 * step * force) * (after / before)
        return z, 0.5 * (momentum.square() - noise.square()).sum(-1)

    def schedule(self) -> tuple[Float[Tensor, " L"], list[Tensor]]:
        """The step size of each dimension, and 1 / sqrt(beta_k) from the start to the last step."""
        start = self.raw_tempering.sigmoid().rsqrt()
        roots = [1 + (start - 1) * (1 - (k / self.leapfrogs) ** 2) for k in range(self.leapfrogs + 1)]
        return self.most_step * self.raw_step.sigmoid(), roots


def _logit(share: float) -> float:
    return math.log(share / (1 - share))


def gradient(function: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """The gradient of a function such as log p(x, z), itself differentiable where gradients are wanted."""
    wanted = torch.is_grad_enabled()
    with torch.enable_grad():
        at = z.view_as(z) if z.requires_grad else z.detach().requires_grad_()  # what else depends on z stays as it is
        (found,) = torch.autograd.grad(function(at).sum(), at, create_graph=wanted)
    return found if wanted else found.detach()
