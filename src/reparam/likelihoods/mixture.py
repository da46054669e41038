"""The likelihood of values that have several modes: mixtures of Normals, and a pen."""

import torch
from jaxtyping import Float
from torch import Tensor

from reparam.distributions import CorrelatedMixture
from reparam.errors import PartError
from reparam.likelihoods.base import Likelihood
from reparam.likelihoods.scales import LOG_RANGE
from reparam.networks import bounded
from reparam.shapes import Shape


class MixtureLikelihood(Likelihood):
    r"""A mixture of Normals over all values of a vector, with full covariances.

    .. math:: p(x \mid z) = \sum_m \pi_m \mathcal{N}(x; \mu_m, \Sigma_m)

    With ``pen`` the last value is 0 or 1, by itself: strokes of a drawing are (dx, dy, pen), where 1 lifts the pen.

    Shapes:
        h: (*batch, M (1 + 2 D + D (D - 1) / 2) + pen), for D values beside the pen
    Args:
        data_shape: (D,), or (D + 1,) with a pen.
        components: Number of Normals M.
        pen: The last value is 0 or 1.
    Raises:
        PartError: if x is no vector, or nothing but the pen, or there is no component.
    Source:
        Mixture density networks (Bishop, 1994); of strokes: A neural representation of sketch drawings (Ha & Eck,
        2018), arXiv:1704.03477, eqs. 3 to 5, with one bit for the pen, as a sequence has its length.
    """

    def __init__(self, data_shape: Shape, components: int = 20, pen: bool = False) -> None:
        super().__init__(data_shape)
        size = data_shape[0] - pen
        if len(data_shape) != 1 or size < 1 or components < 1:
            raise PartError(
                f"MixtureLikelihood: x is {tuple(data_shape)} with {components} components"
                f"{' and a pen' if pen else ''}, expected vectors of at least one value, and at least one component."
            )
        self.components, self.pen, self.size = components, pen, size
        self.pairs = size * (size - 1) // 2

    @property
    def out_shape(self) -> Shape:
        return (self.components * (1 + 2 * self.size + self.pairs) + self.pen,)

    def distribution(self, h: Float[Tensor, "..."]) -> CorrelatedMixture:
        m, size = self.components, self.size
        logits, loc, log_scale, pairs, pen = h.split([m, m * size, m * size, m * self.pairs, int(self.pen)], -1)
        below = h.new_zeros(*h.shape[:-1], m, size, size)
        if self.pairs:
            rows, columns = torch.tril_indices(size, size, -1, device=h.device)
            below[..., rows, columns] = pairs.unflatten(-1, (m, self.pairs))
        scale = bounded(log_scale, *LOG_RANGE).exp().unflatten(-1, (m, size))
        lifted = pen.squeeze(-1) if self.pen else None
        return CorrelatedMixture(logits, loc.unflatten(-1, (m, size)), scale, below, lifted)
