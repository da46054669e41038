"""The standard Laplace prior."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Laplace

from reparam.distributions import joint
from reparam.priors.base import Prior


class LaplacePrior(Prior):
    r"""Standard Laplace: independent dimensions of location 0 and scale 1, which favours sparse codes.

    .. math:: p(z) = \prod_l \tfrac12 e^{-|z_l|}

    Shapes:
        returns: batch (), event (L,)
    """

    def forward(self, infer: Callable[[Tensor], Distribution] | None = None) -> Independent:
        return joint(Laplace(self.zero, torch.ones_like(self.zero), validate_args=False), 1)
