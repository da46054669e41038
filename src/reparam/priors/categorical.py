"""The uniform prior over choices."""

from collections.abc import Callable

from torch import Tensor
from torch.distributions import Distribution

from reparam.distributions import OneHot, OneHotVectors
from reparam.distributions.spaces import require_classes
from reparam.priors.base import Prior


class CategoricalPrior(Prior):
    r"""G independent choices among C equally likely classes, one-hot side by side: L = G C.

    .. math:: p(z) = C^{-G}

    Shapes:
        returns: batch (), event (L,)
    Args:
        latent_dim: L, a multiple of classes.
        classes: C, the same as the posterior's.
    Raises:
        PartError: if latent_dim < 1, classes < 2, or latent_dim is not a multiple of it.
    Source:
        Categorical reparameterization with Gumbel-softmax (Jang et al., 2017), arXiv:1611.01144, section 4.2.
    """

    def __init__(self, latent_dim: int, classes: int = 10) -> None:
        super().__init__(latent_dim)
        require_classes("CategoricalPrior", latent_dim, classes)
        self.classes, self.space = classes, OneHotVectors(classes)

    def forward(self, infer: Callable[[Tensor], Distribution] | None = None) -> OneHot:
        return OneHot(self.zero.unflatten(-1, (-1, self.classes)))
