"""The variational Renyi bound."""

import math
from typing import Literal

from reparam.errors import PartError
from reparam.objectives.base import Objective
from reparam.objectives.common import penalised, plain_terms, require_draws
from reparam.objectives.importance import importance_bound
from reparam.trace import Bound, Progress, Trace

CLOSE = 1e-4  # to alpha = 1, where the bound is the ELBO but for what rounding leaves of the difference


class RenyiBound(Objective):
    r"""Variational Renyi bound: one number leads from the mean weight to the largest one.

    .. math::
        \mathcal{L}_\alpha(x) = \frac{1}{1 - \alpha} \log \frac1K \sum_k w_k^{1 - \alpha},
        \qquad \mathcal{L}_{\max}(x) = \max_k \log w_k

    alpha = 1 is the ELBO, alpha = 0 IWAE, and ``max`` the limit of minus infinity. It falls as alpha grows; below 0 it
    is no lower bound of log p(x) any more, and for finite K it is biased.

    Args:
        samples: Draws of z per example, K.
        alpha: Order of the divergence, any real number, or ``max``.
    Raises:
        PartError: if alpha is no finite number.
        RefusedError: if q is a point mass.
    Source:
        Renyi divergence variational inference (Li & Turner, 2016), arXiv:1602.02311, sections 3 and 4. The whole sum
        is differentiated, where the paper also offers to draw one of its terms.
    """

    judged_by = "renyi_bound"

    def __init__(self, samples: int = 5, alpha: float | Literal["max"] = 0.5) -> None:
        super().__init__(samples)
        if alpha != "max" and not (isinstance(alpha, float | int) and math.isfinite(alpha)):
            raise PartError(f"RenyiBound: alpha is {alpha!r}, expected a finite number or 'max'.")
        self.alpha = alpha

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        require_draws("RenyiBound", trace)
        if self.alpha == "max":
            value = trace.log_w.amax(0)
        elif abs(1 - self.alpha) < CLOSE:
            value = trace.elbo
        else:
            order = 1 - self.alpha
            middle = trace.log_w.detach().amax(0)  # with which small orders would lose their digits
            value = middle + importance_bound(order * (trace.log_w - middle)) / order
        return Bound(penalised(value, trace), plain_terms(trace) | {"renyi_bound": value.detach()})
