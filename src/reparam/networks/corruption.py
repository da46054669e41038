"""Corruptions of de-noising autoencoders: x -> a damaged copy of x."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reparam.errors import PartError
from reparam.networks.standardized import Units
from reparam.shapes import Shape


class Corruption(nn.Module, ABC):
    """Damages examples; the model sees the damaged copy and is judged on the clean one.

    Attributes:
        judged: True where the model sees damaged copies when it is judged, too, and not in training alone.
    """

    judged = True

    def __init__(self, amount: float, most: float) -> None:
        super().__init__()
        if not 0 <= amount <= most:
            raise PartError(f"{type(self).__name__}: got {amount}, expected a number from 0 to {most:g}.")

    @abstractmethod
    def forward(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        """A damaged copy, drawn from torch's current generator."""


class MaskingNoise(Corruption):
    r"""Sets values to zero.

    .. math:: \tilde x = m \odot x, \qquad m_d \in \{0, 1\}, \quad p(m_d = 0) = \mathrm{probability}

    Source:
        Extracting and composing robust features with denoising autoencoders (Vincent et al., 2008), section 2.3.
    """

    def __init__(self, probability: float = 0.5) -> None:
        super().__init__(probability, 1.0)
        self.probability = probability

    def forward(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        return x * torch.rand_like(x).ge(self.probability)


class GaussianNoise(Corruption):
    r"""Adds Normal noise.

    .. math:: \tilde x = x + \mathrm{scale} \cdot \epsilon, \qquad \epsilon \sim \mathcal{N}(0, I)
    """

    def __init__(self, scale: float = 0.3) -> None:
        super().__init__(scale, 1e6)
        self.scale = scale

    def forward(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        return x + self.scale * torch.randn_like(x)


class SaltAndPepperNoise(Corruption):
    r"""Sets values to 0 or 1, each with half the probability."""

    def __init__(self, probability: float = 0.3) -> None:
        super().__init__(probability, 1.0)
        self.probability = probability

    def forward(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        u = torch.rand_like(x)
        salted = torch.where(u < self.probability / 2, torch.ones_like(x), x)
        return torch.where(u >= 1 - self.probability / 2, torch.zeros_like(x), salted)


class StandardizedCorruption(Corruption):
    """Wraps a corruption so that it acts on (x - shift) / scale: masking then sets a value to its mean.

    Args:
        base: The corruption of standardised values.
        shift: One number per channel (or column) of x.
        scale: One number per channel (or column) of x.
        data_shape: Shape of one example.
        counts: How many of the first channels are counts n, of which log(1 + n) is damaged so.
    """

    def __init__(
        self, base: Corruption, shift: tuple[float, ...], scale: tuple[float, ...], data_shape: Shape, counts: int = 0
    ) -> None:
        super().__init__(0.0, 1.0)
        self.base, self.shift, self.scale, self.data_shape = base, tuple(shift), tuple(scale), tuple(data_shape)
        self.counts = counts
        self.units = Units(self.shift, self.scale, self.data_shape, counts)

    def forward(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        return self.units.inverse(self.base(self.units(x)))
