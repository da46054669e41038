"""A prior that depends on a condition."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from reparam.distributions import EUCLIDEAN, Rescaled, joint
from reparam.errors import PartError
from reparam.networks import bounded, full_precision, require_condition
from reparam.networks.mlp import layers
from reparam.priors.base import Prior


class ConditionalPrior(Prior):
    r"""Any prior over real numbers, moved and stretched by what a condition c asks for.

    .. math:: z = m(c) + s(c) \odot e, \quad e \sim p_0, \qquad
              \log p(z \mid c) = \log p_0\left(\frac{z - m(c)}{s(c)}\right) - \sum_l \log s_l(c)

    It begins as p_0 for every c. Log-scales are bounded. A Normal p_0 gives a Normal, whose KL has a closed form.

    Shapes:
        c: (*B, condition_dim)  ->  p(z|c): batch (*B), event (L,)
    Args:
        base: p_0.
        condition_dim: Length of c.
        hidden_dims: Widths of hidden layers between c and m, log s; none for one-hot c, where they add nothing.
    Raises:
        PartError: if p_0 does not lie in all of R^L, where an affine map would lead out of its space.
    Source:
        Learning structured output representation using deep conditional generative models (Sohn et al., 2015), eq. 3,
        whose p_0 is the standard Normal.
    """

    def __init__(self, base: Prior, condition_dim: int, hidden_dims: Sequence[int] = ()) -> None:
        super().__init__(base.latent_dim)
        if base.space != EUCLIDEAN:
            raise PartError(
                f"ConditionalPrior: {type(base).__name__} draws from {base.space or 'posteriors of its own examples'}, "
                "which a shift by c would leave. Take normal, mixture or flow, or leave 'prior' out of condition_into."
            )
        self.base, self.condition_dim, self.hidden_dims = base, condition_dim, tuple(hidden_dims)
        self.infers = base.infers
        widths = (condition_dim, *hidden_dims)
        self.net = layers("ConditionalPrior", widths, "plain") if hidden_dims else nn.Identity()
        self.head = nn.Linear(widths[-1], 2 * self.latent_dim)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @property
    def starts(self) -> bool:  # type: ignore[override]
        """True where p_0 begins from data."""
        return self.base.starts

    def start(self, x: Tensor) -> None:
        self.base.start(x)

    def forward(
        self,
        infer: Callable[[Tensor], Distribution] | None = None,
        c: Float[Tensor, "*B C"] | None = None,
    ) -> Distribution:
        c = require_condition(type(self).__name__, c, self.condition_dim)
        shift, log_scale = full_precision(self.head(self.net(c.to(self.zero)))).chunk(2, -1)
        scale = (bounded(log_scale) - bounded(torch.zeros_like(self.zero))).exp()
        base = self.base(infer=infer)
        if isinstance(base, Independent) and type(base.base_dist) is Normal:
            own = base.base_dist
            return joint(Normal(shift + scale * own.loc, scale * own.scale, validate_args=False), 1)
        return Rescaled(base, shift, scale)
