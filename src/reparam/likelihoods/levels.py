"""Likelihoods of values on equally spaced levels, such as 8-bit pixels."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily

from reparam.distributions import CategoricalLevels, DiscretizedLogistic, joint
from reparam.errors import PartError
from reparam.likelihoods.base import Likelihood
from reparam.networks import bounded
from reparam.shapes import Shape


def _require_levels(owner: str, levels: int) -> None:
    if levels < 2:
        raise PartError(f"{owner}: levels is {levels}, expected at least 2; x must lie on equally spaced levels.")


class CategoricalLikelihood(Likelihood):
    r"""Each value is one of n levels, each with a probability of its own.

    .. math:: p(x_d = k / (n - 1) \mid z) = \mathrm{softmax}(h_d)_k

    Shapes:
        h: (*batch, levels * C, ...)
    Args:
        data_shape: Shape of one example.
        levels: Number of levels n; x lies in {0, 1/(n-1), ..., 1}.
    Raises:
        PartError: if levels < 2.
    """

    unit_interval = True

    def __init__(self, data_shape: Shape, levels: int = 256) -> None:
        _require_levels(type(self).__name__, levels)
        super().__init__(data_shape, levels)
        self.levels = levels

    def distribution(self, h: Float[Tensor, "..."]) -> Independent:
        return joint(CategoricalLevels(torch.stack(self.split(h), -1)), len(self.data_shape))


class DiscretizedLogisticLikelihood(Likelihood):
    r"""Each value is one of n levels, by a mixture of logistic densities binned at them.

    .. math:: p(x_d \mid z) = \sum_m \pi_m \left[\sigma\left(\tfrac{x_d + \delta - \mu_m}{s_m}\right)
              - \sigma\left(\tfrac{x_d - \delta - \mu_m}{s_m}\right)\right]

    Shapes:
        h: (*batch, 2 * C, ...) for one component: mu beside 0.5, log s beside -2; (*batch, 3 M * C, ...) for M: logits
            of pi, mu beside M places from 0 to 1, log s beside -2
    Args:
        data_shape: Shape of one example.
        levels: Number of levels n.
        components: Number of logistics M.
    Raises:
        PartError: if levels < 2 or components < 1.
    Source:
        PixelCNN++ (Salimans et al., 2017), arXiv:1701.05517, eq. 2, without its conditioning between channels.
    """

    unit_interval = True

    def __init__(self, data_shape: Shape, levels: int = 256, components: int = 1) -> None:
        _require_levels(type(self).__name__, levels)
        if components < 1:
            raise PartError(f"{type(self).__name__}: components is {components}, expected at least 1.")
        super().__init__(data_shape, 2 if components == 1 else 3 * components)
        self.levels, self.components = levels, components

    def distribution(self, h: Float[Tensor, "..."]) -> Independent:
        arguments = torch.stack(self.split(h), -1)
        scales, count = (-7.0, 2.0), self.components
        if count == 1:
            loc, log_scale = arguments.unbind(-1)
            one = DiscretizedLogistic(loc + 0.5, bounded(log_scale - 2, *scales).exp(), self.levels)
            return joint(one, len(self.data_shape))
        logits, loc, log_scale = arguments.split(count, -1)
        centres = torch.linspace(0, 1, count, dtype=h.dtype, device=h.device)
        parts = DiscretizedLogistic(loc + centres, bounded(log_scale - 2, *scales).exp(), self.levels)
        weights = Categorical(logits=logits, validate_args=False)
        return joint(MixtureSameFamily(weights, parts, validate_args=False), len(self.data_shape))
