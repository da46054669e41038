"""The uniform prior on the sphere."""

from collections.abc import Callable

from torch import Tensor
from torch.distributions import Distribution

from reparam.distributions import Sphere, UniformSphere
from reparam.errors import PartError
from reparam.priors.base import Prior


class UniformSpherePrior(Prior):
    r"""Every direction is as likely as any other: uniform on the unit sphere in R^L.

    .. math:: p(z) = \frac{\Gamma(L/2)}{2 \pi^{L/2}}, \qquad |z| = 1

    Shapes:
        returns: batch (), event (L,)
    Args:
        latent_dim: L, at least 2; the sphere has L - 1 dimensions.
    Raises:
        PartError: if latent_dim < 2.
    Source:
        Hyperspherical variational auto-encoders (Davidson et al., 2018), arXiv:1804.00891, section 3.2.
    """

    space = Sphere()

    def __init__(self, latent_dim: int) -> None:
        super().__init__(latent_dim)
        if latent_dim < 2:
            raise PartError("UniformSpherePrior: latent_dim is 1, where the sphere is two points. Take 2 or more.")

    def forward(self, infer: Callable[[Tensor], Distribution] | None = None) -> UniformSphere:
        return UniformSphere(self.zero)
