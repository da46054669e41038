"""Discrete posteriors: exact choices, and the Gumbel-softmax relaxation of them."""

import math

from jaxtyping import Float
from torch import Tensor

from reparam.distributions import OneHot, OneHotVectors
from reparam.distributions.spaces import require_classes
from reparam.errors import PartError
from reparam.posteriors.base import Posterior


class CategoricalPosterior(Posterior):
    r"""G independent choices among C classes, one-hot side by side: L = G C.

    .. math:: q(z \mid x) = \prod_g \mathrm{Categorical}(z_g; \mathrm{softmax}(a_g(h)))

    Draws are exact one-hot vectors. Their gradient is the straight-through one, which is biased: an enumerated
    expectation would have C^G terms.

    Shapes:
        h: (B, in_dim)  ->  q: batch (B,), event (L,)
    Args:
        in_dim: Number of features per example.
        latent_dim: L, a multiple of classes.
        classes: C.
    Raises:
        PartError: if classes < 2, or latent_dim is not a multiple of it.
    Source:
        Straight-through: Estimating or propagating gradients through stochastic neurons (Bengio et al., 2013),
        arXiv:1308.3432, section 4; for categories: Jang et al., 2017, arXiv:1611.01144, section 2.2.
    """

    def __init__(self, in_dim: int, latent_dim: int, classes: int = 10) -> None:
        super().__init__(in_dim, latent_dim, latent_dim)
        require_classes("CategoricalPosterior", latent_dim, classes)
        self.classes, self.space = classes, OneHotVectors(classes)

    def forward(self, h: Float[Tensor, "*B F"]) -> OneHot:
        return OneHot(self.numbers(h).unflatten(-1, (-1, self.classes)))


class GumbelSoftmaxPosterior(Posterior):
    r"""Choices as in :class:`CategoricalPosterior`, relaxed in training so that their draws have a gradient.

    .. math:: z_g = \mathrm{softmax}\left((\log \pi_g(h) + \epsilon_g) / \tau\right), \qquad
              \epsilon_{gc} \sim \mathrm{Gumbel}(0, 1)

    In evaluation mode draws are exact one-hot vectors: a model is judged as the discrete one it stands for. The KL is
    that of the choices, in both. The temperature tau is fixed; the paper lowers it during training.

    Shapes:
        h: (B, in_dim)  ->  q: batch (B,), event (L,)
    Args:
        in_dim: Number of features per example.
        latent_dim: L, a multiple of classes.
        classes: C.
        relaxation: Temperature tau > 0.
    Raises:
        PartError: if classes < 2, latent_dim is not a multiple of it, or relaxation is not a positive number.
    Source:
        Categorical reparameterization with Gumbel-softmax (Jang et al., 2017), arXiv:1611.01144, eq. 2; The concrete
        distribution (Maddison et al., 2017), arXiv:1611.00712, section 3 (tau = 2/3).
    """

    relaxes = True

    def __init__(self, in_dim: int, latent_dim: int, classes: int = 10, relaxation: float = 2 / 3) -> None:
        super().__init__(in_dim, latent_dim, latent_dim)
        require_classes("GumbelSoftmaxPosterior", latent_dim, classes)
        if not 0 < relaxation < math.inf:
            raise PartError(
                f"GumbelSoftmaxPosterior: relaxation is {relaxation}, expected a positive number. "
                "For exact draws take CategoricalPosterior."
            )
        self.classes, self.relaxation, self.space = classes, relaxation, OneHotVectors(classes)

    def forward(self, h: Float[Tensor, "*B F"]) -> OneHot:
        logits = self.numbers(h).unflatten(-1, (-1, self.classes))
        return OneHot(logits, self.relaxation if self.training else 0.0)
