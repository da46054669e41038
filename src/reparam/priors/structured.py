"""The structured prior: choices and bounded numbers beside noise."""

from collections.abc import Callable

from torch import Tensor
from torch.distributions import Distribution

from reparam.distributions import Structured, StructuredCodes
from reparam.errors import PartError
from reparam.priors.base import Prior


class StructuredPrior(Prior):
    r"""G equally likely choices among C classes, U uniform numbers, and Normal noise in the dimensions that are left.

    .. math:: p(z) = C^{-G}\; 2^{-U}\; \mathcal{N}(z_\mathrm{noise};\, 0, I), \qquad L = G C + U + N

    Shapes:
        returns: batch (), event (L,): one-hot vectors, numbers in [-1, 1], noise
    Args:
        latent_dim: L.
        classes: C.
        choices: G.
        uniform: U.
    Raises:
        PartError: if a number makes no sense, or L has no room for all of them.
    Source:
        InfoGAN (Chen et al., 2016), arXiv:1606.03657, section 4; on MNIST one choice of ten and two numbers.
    """

    def __init__(self, latent_dim: int, classes: int = 10, choices: int = 1, uniform: int = 2) -> None:
        super().__init__(latent_dim)
        if classes < 2 or choices < 1 or uniform < 0:
            raise PartError(
                f"StructuredPrior: classes {classes}, choices {choices}, uniform {uniform}; expected at least 2, 1, 0."
            )
        if latent_dim < classes * choices + uniform:
            raise PartError(
                f"StructuredPrior: latent_dim is {latent_dim}; {choices} choices of {classes} and {uniform} numbers "
                f"need {classes * choices + uniform}. Raise latent_dim, or lower one of them."
            )
        self.classes, self.choices, self.uniform = classes, choices, uniform
        self.space = StructuredCodes(classes, choices, uniform)

    def forward(self, infer: Callable[[Tensor], Distribution] | None = None) -> Structured:
        return Structured(self.zero, self.classes, self.choices, self.uniform)
