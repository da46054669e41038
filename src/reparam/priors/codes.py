"""Priors over codes from a finite set."""

from collections.abc import Callable, Sequence

from torch import Tensor
from torch.distributions import Distribution

from reparam.distributions import CODES, AutoregressiveCodes, Codebook, UniformCodes
from reparam.errors import PartError
from reparam.networks import CausalTransformer, PixelCNN
from reparam.priors.base import Prior
from reparam.shapes import numel


def _required(owner: Prior, codebook: Codebook | None) -> Codebook:
    """The codebook, once the model has given it.

    Raises:
        PartError: if nobody has.
    """
    if codebook is None:
        raise PartError(
            f"{type(owner).__name__}: it does not know the codes yet. Put it into a VAE, or give it "
            "use(posterior.codebook)."
        )
    return codebook


def _readable(owner: Prior, codebook: Codebook, grid: tuple[int, ...], codes: int) -> Codebook:
    """A codebook whose numbers can be read from z, of the size that a prior was built for.

    Raises:
        PartError: if it is another.
    """
    name = type(owner).__name__
    if codebook.indices is None:
        raise PartError(
            f"{name}: z is a sum of codes, from which one cannot read which they were, so their order has no "
            "probability. Take the uniform-codes prior, and 'reparam sample --sampler autoregressive'."
        )
    if (codebook.grid, codebook.codes) != (grid, codes):
        raise PartError(
            f"{name}: it is built for a grid of {grid} and {codes} codes, the posterior has {codebook.grid} and "
            f"{codebook.codes}. Give both the same."
        )
    return codebook


class UniformCodesPrior(Prior):
    r"""All codes alike: KL(q || p) is the length of the code, M log C, whatever x is.

    .. math:: p(z) = C^{-M}

    Shapes:
        returns: batch (), event (L,)
    Source:
        Neural discrete representation learning (van den Oord et al., 2017), arXiv:1711.00937, section 3.1.
    """

    space = CODES

    def __init__(self, latent_dim: int) -> None:
        super().__init__(latent_dim)
        self.codebook: Codebook | None = None

    def use(self, codebook: Codebook) -> None:
        self.codebook = codebook

    def forward(self, infer: Callable[[Tensor], Distribution] | None = None) -> UniformCodes:
        return UniformCodes(_required(self, self.codebook), self.zero)


class PixelCNNPrior(Prior):
    r"""A gated PixelCNN over a grid of codes, trained with the rest of the model; the codes do not feel it.

    .. math:: p(z) = \prod_{m=1}^{H W} p(k_m \mid k_1 \dots k_{m-1})

    Shapes:
        returns: batch (), event (L,)
    Args:
        latent_dim: Number of latent dimensions.
        grid: Extents (H, W) of the posterior's grid; the posterior gives its own.
        codes: Number of the posterior's codes, C; the posterior gives its own.
        channels: Width of the convolutions.
        layers: Number of gated layers.
        kernel: Width of the convolutions, odd.
    Raises:
        PartError: if the grid has not two extents, or a size makes no sense.
    Source:
        Conditional image generation with PixelCNN decoders (van den Oord et al., 2016), arXiv:1606.05328, section 2;
        as a prior: Neural discrete representation learning (van den Oord et al., 2017), arXiv:1711.00937, section
        3.3, where it is trained after the model, not beside it.
    """

    space = CODES

    def __init__(
        self,
        latent_dim: int,
        grid: Sequence[int] = (1, 1),
        codes: int = 256,
        channels: int = 32,
        layers: int = 4,
        kernel: int = 5,
    ) -> None:
        super().__init__(latent_dim)
        self.grid, self.codes = tuple(grid), codes
        self.channels, self.layers, self.kernel = channels, layers, kernel
        self.net = PixelCNN(self.grid, codes, channels, layers, kernel)
        self.codebook: Codebook | None = None

    def use(self, codebook: Codebook) -> None:
        self.codebook = _readable(self, codebook, self.grid, self.codes)

    def forward(self, infer: Callable[[Tensor], Distribution] | None = None) -> AutoregressiveCodes:
        return AutoregressiveCodes(_required(self, self.codebook), self.zero, self.net)


class TransformerPrior(Prior):
    r"""A causal transformer over codes in their order, trained with the rest of the model; the codes do not feel it.

    .. math:: p(z) = \prod_{m=1}^{M} p(k_m \mid k_1 \dots k_{m-1})

    Shapes:
        returns: batch (), event (L,)
    Args:
        latent_dim: Number of latent dimensions.
        grid: Extents of the posterior's grid, M positions in all; the posterior gives its own.
        codes: Number of the posterior's codes, C; the posterior gives its own.
        width: Numbers that stand for a position.
        layers: Number of blocks.
        heads: Heads of the attention; divides the width.
    Raises:
        PartError: if a size makes no sense.
    Source:
        Attention is all you need (Vaswani et al., 2017), arXiv:1706.03762, section 3.2; over codes: Taming
        transformers for high-resolution image synthesis (Esser et al., 2021), arXiv:2012.09841, section 3.2, where it
        is trained after the model, not beside it.
    """

    space = CODES

    def __init__(
        self,
        latent_dim: int,
        grid: Sequence[int] = (1,),
        codes: int = 256,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
    ) -> None:
        super().__init__(latent_dim)
        self.grid, self.codes = tuple(grid), codes
        self.width, self.layers, self.heads = width, layers, heads
        self.net = CausalTransformer(numel(self.grid), codes, width, layers, heads)
        self.codebook: Codebook | None = None

    def use(self, codebook: Codebook) -> None:
        self.codebook = _readable(self, codebook, self.grid, self.codes)

    def forward(self, infer: Callable[[Tensor], Distribution] | None = None) -> AutoregressiveCodes:
        return AutoregressiveCodes(_required(self, self.codebook), self.zero, self.net)
