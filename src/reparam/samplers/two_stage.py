"""A second VAE, whose data are the codes of the first."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from reparam.likelihoods import NormalLikelihood
from reparam.models import VAE
from reparam.networks import MLPDecoder, MLPEncoder
from reparam.posteriors import NormalPosterior
from reparam.priors import NormalPrior
from reparam.samplers.base import TrainedSampler


class TwoStageSampler(TrainedSampler):
    r"""Trains a second VAE on codes, with as many latent dimensions as they have.

    .. math:: u \sim \mathcal{N}(0, I), \qquad z \sim p(z \mid u) = \mathcal{N}(z; \mu(u), \gamma I)

    Args:
        latent_dim: Number of latent dimensions of both, L.
        hidden_dims: Widths of the hidden layers of its encoder; its decoder has them in the other order.
        steps: Steps of training.
    Raises:
        PartError: if a size makes no sense.
    Source:
        Diagnosing and enhancing VAE models (Dai & Wipf, 2019), arXiv:1903.05789, section 4; gamma is the optimal one in
        closed form, where the paper learns it by gradient.
    """

    def __init__(self, latent_dim: int, hidden_dims: Sequence[int] = (256, 256), steps: int = 3000) -> None:
        super().__init__(latent_dim, steps)
        self.hidden_dims = tuple(hidden_dims)
        encoder = MLPEncoder((latent_dim,), self.hidden_dims)
        likelihood = NormalLikelihood((latent_dim,), "optimal")
        decoder = MLPDecoder(latent_dim, likelihood.out_shape, self.hidden_dims[::-1])
        posterior = NormalPosterior(encoder.out_dim, latent_dim)
        self.vae = VAE(encoder, posterior, NormalPrior(latent_dim), decoder, likelihood)

    def bound(self, z: Float[Tensor, "B L"]) -> Float[Tensor, " B"]:
        return self.vae.trace(z).elbo

    def sample(self, n: int) -> Float[Tensor, "N L"]:
        return self.vae.sample(n, draw=True) * self.scale + self.shift
