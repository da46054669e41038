"""The bound of a particle filter, for models of sequences."""

from typing import Any

import torch

from reparam.errors import PartError, RefusedError
from reparam.objectives.base import Objective
from reparam.objectives.common import plain_terms, require_draws
from reparam.trace import Bound, HasNamedValues, Model, Progress, Trace


class FilteringBound(Objective):
    r"""The log of a particle filter's estimate of p(x) (FIVO); of a model without steps, the bound of IWAE.

    .. math::
        \mathcal{L}(x) = E\Bigl[\sum_t \log \sum_k W_{t-1}^k \frac{p(x_t, z_t^k \mid \text{past})}
        {q(z_t^k \mid \text{past}, x)}\Bigr] \le \log p(x)

    Particles that explain nothing are replaced on the way, so that the bound does not loosen with the length of a
    sequence, as that of whole trajectories does. The plain ELBO beside it is that of one draw, and passes no gradient.

    Args:
        particles: Number of particles K.
        resample_below: They are drawn anew where the effective number of them falls below this share; 0 for never.
    Raises:
        PartError: if particles < 1, or the share is not in [0, 1].
        RefusedError: if q is a point mass, or has no noise, or the model learns by more than a bound of log p(x).
    Source:
        Filtering variational objectives (Maddison et al., 2017), arXiv:1705.09279, eq. 3 and algorithm 1.
    """

    judged_by = "filtering_bound"

    def __init__(self, particles: int = 4, resample_below: float = 0.5) -> None:
        super().__init__()
        if particles < 1 or not 0 <= resample_below <= 1:
            raise PartError(
                f"FilteringBound: particles {particles}, resample_below {resample_below}; expected at least 1, and a "
                "share from 0 to 1."
            )
        self.particles, self.resample_below = particles, resample_below

    def forward(self, model: Model, batch: HasNamedValues, progress: Progress) -> Bound:
        with torch.no_grad():
            trace = self.trace(model, batch)
        plain = self.bound(trace, progress)
        if model.observes or trace.penalty is not None:
            raise RefusedError(
                "FilteringBound: the model learns by more than log p(x), which particles leave out. Take the objective "
                "'iwae', which is the same bound where there are no steps."
            )
        named: dict[str, Any] = batch.pick(model.conditions)
        value = model.filtered(batch.x, self.particles, self.resample_below, **named)
        return Bound(value, plain.terms | {"filtering_bound": value.detach()})

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        """The ELBO, which is shown."""
        require_draws("FilteringBound", trace)
        return Bound(trace.elbo, plain_terms(trace))
