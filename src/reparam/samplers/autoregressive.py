"""A network over the numbers of codes, one after the other."""

import math
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from reparam.distributions import ancestral, log_mass
from reparam.networks import CausalTransformer, PixelCNN
from reparam.samplers.base import TrainedSampler


class AutoregressiveSampler(TrainedSampler):
    r"""Learns the numbers of codes after a model was trained, each given those before it.

    .. math:: p(k) = \prod_{m=1}^{M} p(k_m \mid k_1 \dots k_{m-1})

    A grid of several rows has a gated PixelCNN, any other order of codes a causal transformer.

    Shapes:
        codes to fit and new ones: (N, M), whole numbers
    Args:
        grid: Extents of the grid of codes, M in all.
        codes: Number of codes, C.
        width: Channels of the PixelCNN, or numbers that stand for a position of the transformer.
        layers: Number of layers.
        steps: Steps of training.
    Raises:
        PartError: if a size makes no sense.
    Source:
        Neural discrete representation learning (van den Oord et al., 2017), arXiv:1711.00937, section 3.3; see
        :class:`~reparam.networks.PixelCNN` and :class:`~reparam.networks.CausalTransformer`.
    """

    over_codes = True

    def __init__(self, grid: Sequence[int], codes: int, width: int = 64, layers: int = 4, steps: int = 2000) -> None:
        choices = math.prod(grid)
        super().__init__(choices, steps)
        self.grid, self.codes, self.width, self.layers = tuple(grid), codes, width, layers
        if len(self.grid) == 2 and self.grid[0] > 1:
            self.net: nn.Module = PixelCNN(self.grid, codes, width, layers)
        else:
            self.net = CausalTransformer(choices, codes, width, layers)

    def standardize(self, z: Float[Tensor, "N L"]) -> None:
        """Leaves the numbers as they are."""

    def bound(self, z: Float[Tensor, "B L"]) -> Float[Tensor, " B"]:
        return log_mass(self.net, z.long())

    def sample(self, n: int) -> Float[Tensor, "N L"]:
        return ancestral(self.net, n, self.latent_dim, 1.0, self.shift.device).to(self.shift)
