"""What graphical models around a flat VAE share with it."""

from collections.abc import Iterator
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam.distributions.noise import gumbel
from reparam.likelihoods import Likelihood
from reparam.models.base import Autoencoder
from reparam.models.flat import VAE
from reparam.rng import per_example


def drawn_by(weights: Float[Tensor, "P B"], each: Float[Tensor, "K P B L"]) -> Float[Tensor, "K B L"]:
    """Of P codes of each example one, drawn by the weights; it keeps its gradient, the choice has none."""
    with per_example(2):
        scores = weights.log() + gumbel(each.shape[:-1], weights)
    number = scores.argmax(1, keepdim=True).unsqueeze(-1).expand(-1, -1, -1, each.shape[-1])
    return each.gather(1, number).squeeze(1)


class WrappedVAE(Autoencoder):
    """A model around a flat VAE, whose p(x|z), p(z) and parameters are its own."""

    vae: VAE

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the classes are called, which the VAE knows."""
        return self.vae.class_names

    @class_names.setter
    def class_names(self, names: tuple[str, ...]) -> None:
        self.vae.class_names = names

    @property
    def likelihood(self) -> Likelihood:  # type: ignore[override]
        """p(x|z) of the VAE."""
        return self.vae.likelihood

    @property
    def prior(self) -> Any:
        """p(z) of the VAE."""
        return self.vae.prior

    @property
    def latent_dim(self) -> int:
        return self.vae.latent_dim

    def start(self, x: Float[Tensor, "N ..."], **named: Any) -> None:
        self.vae.start(x)

    def decode(self, z: Float[Tensor, "*N L"], **named: Any) -> Distribution:
        self.require_taken(named)
        return self.vae.decode(z)

    def inference_parameters(self) -> Iterator[nn.Parameter]:
        """What moves q of the VAE."""
        return self.vae.inference_parameters()

    def generative_parameters(self) -> Iterator[nn.Parameter]:
        return self.vae.generative_parameters()
