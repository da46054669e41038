"""A reconstruction term in the features of a network."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from reparam.data.pretrained import squeezenet_weights
from reparam.distributions import Energy
from reparam.errors import PartError
from reparam.likelihoods.base import Likelihood
from reparam.networks import FeatureName, Norm, PerceptualDistance
from reparam.shapes import Shape, numel


class PerceptualLikelihood(Likelihood):
    r"""Judges a reconstruction by the features of a network that does not learn, and a little by its pixels.

    .. math::
        E_2(x, \hat x) = \frac{D}{2 \sigma^2} \Bigl( d_2(x, \hat x) + \frac{\lambda}{D} \lVert x - \hat x \rVert_2^2
        \Bigr), \qquad
        E_1(x, \hat x) = \frac{D}{\sigma} \Bigl( d_1(x, \hat x) + \frac{\lambda}{D} \lVert x - \hat x \rVert_1 \Bigr),
        \qquad \hat x = \mathrm{sigmoid}(h)

    with d the mean over positions of the distance of unit-length features, summed over layers with weights w: see
    :class:`~reparam.networks.PerceptualDistance`. In place of log p(x|z) stands -E. It has the scale of one: a sum over
    all D values; the part of the pixels, with lambda = 1, is the exponent of a Normal (l2) or Laplace (l1) likelihood
    of scale sigma.

    It is no density of x: its normaliser is unknown, and depends on z. So it is a training term, as ``reconstruction``
    is: ELBO-like numbers compare only where all settings are the same, and log p(x) and bits per dimension are refused.
    The weights of the network are kept with the model; they are no parameters of it.

    Shapes:
        h: (\*batch, C, H, W); x: values in [0, 1]
    Args:
        data_shape: Shape (C, H, W) of one example.
        network: ``trained`` (a small network, on the training pictures, before the first step), ``random``,
            ``squeezenet``, ``vgg16``, ``vgg19``, ``mobilenet``, or any module: pictures -> maps.
        layers: Numbers of the layers that are compared; None for those of the network.
        weights: One for each layer; None for equal ones with the sum 1.
        distance: ``l1`` or ``l2``.
        scale: sigma, a number above 0; without a normaliser it cannot be learned.
        pixel_weight: lambda, 0 or more. At 0, pictures that the network does not tell apart are equal.
        file: The .npz file with the weights of ``squeezenet``; None looks below ``$REPARAM_DATA`` and in the cache.
    Raises:
        PartError: if a setting makes no sense for these pictures.
    Source:
        Deep feature consistent variational autoencoder (Hou et al., 2017), arXiv:1610.00291, its feature
        perceptual loss; there features are not brought to length 1, no pixels are compared, and layers are summed with
        weights of 1.
    """

    unit_interval = True

    def __init__(
        self,
        data_shape: Shape,
        network: FeatureName | Callable[..., Any] = "trained",
        layers: Sequence[int] | None = None,
        weights: Sequence[float] | None = None,
        distance: Norm = "l2",
        scale: float = 0.5,
        pixel_weight: float = 5.0,
        file: str | None = None,
    ) -> None:
        super().__init__(data_shape)
        if not 0 < scale < math.inf or not 0 <= pixel_weight < math.inf:
            raise PartError(
                f"PerceptualLikelihood: scale {scale}, pixel_weight {pixel_weight}; expected a number above 0, and one "
                "of 0 or more."
            )
        try:
            self.measure = PerceptualDistance(data_shape, network, layers, weights, distance)  # type: ignore[arg-type]
        except PartError as error:
            raise PartError(f"PerceptualLikelihood: {error}") from None
        self.layers, self.weights, self.distance = self.measure.network.layers, self.measure.weights, distance
        self.scale, self.pixel_weight, self.file = float(scale), float(pixel_weight), file

    @property
    def network(self) -> str | nn.Module:
        """The network's name, or the module that was given (a copy of it)."""
        return self.measure.network.network

    @property
    def starts(self) -> bool:  # type: ignore[override]
        """True until the network has its weights."""
        return self.measure.network.starts

    def start(self, x: Float[Tensor, "N ..."]) -> None:
        """Trains the network on these pictures, or reads its weights.

        Raises:
            DataError: if they cannot be read.
        """
        self.measure.start(x, partial(squeezenet_weights, file=self.file))

    def distribution(self, h: Float[Tensor, "..."]) -> Energy:
        return Energy(h.sigmoid(), self._energy, len(self.data_shape))

    def _energy(self, x: Tensor, x_hat: Tensor) -> Tensor:
        gap = x - x_hat
        pixels = gap.square() if self.distance == "l2" else gap.abs()
        total = self.measure(x, x_hat) + self.pixel_weight * pixels.mean((-3, -2, -1))
        per_unit = 1 / (2 * self.scale**2) if self.distance == "l2" else 1 / self.scale
        return numel(self.data_shape) * per_unit * total
