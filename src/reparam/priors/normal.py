"""The standard Normal prior."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from reparam.distributions import joint
from reparam.priors.base import Prior


class NormalPrior(Prior):
    r"""Standard Normal: independent dimensions of mean 0 and scale 1.

    .. math:: p(z) = \mathcal{N}(z; 0, I)

    Shapes:
        returns: batch (), event (L,)
    """

    def forward(self, infer: Callable[[Tensor], Distribution] | None = None) -> Independent:
        return joint(Normal(self.zero, torch.ones_like(self.zero), validate_args=False), 1)
