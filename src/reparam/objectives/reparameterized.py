"""Bounds whose gradient leaves out the score of q, which only adds noise."""

from jaxtyping import Float
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from reparam.objectives.base import Objective
from reparam.objectives.common import penalised, plain_terms, require_at_least, require_path
from reparam.objectives.importance import importance_bound
from reparam.objectives.schedules import require_warmup, warmup_weight
from reparam.trace import Bound, Progress, Trace


class DoublyReparameterizedBound(Objective):
    r"""Importance-weighted bound with the doubly reparameterised gradient (DReG).

    .. math::
        \nabla_\theta = \sum_k \tilde w_k \nabla_\theta \log w_k, \qquad
        \nabla_\phi = \sum_k \tilde w_k^2\, \frac{\partial \log w_k}{\partial z_k} \nabla_\phi z_k, \qquad
        \tilde w_k = \frac{w_k}{\sum_j w_j}

    The value is that of IWAE, and so is the gradient in expectation; the signal-to-noise ratio of the gradient of q
    grows with K instead of vanishing. Both gradients come from one pass: the weights are fixed in the bound, and
    whatever flows back into z is multiplied by them once more.

    Args:
        samples: Draws of z per example, K.
    Raises:
        RefusedError: if q is a point mass, has no noise, or is over classes.
    Source:
        Doubly reparameterized gradient estimators for Monte Carlo objectives (Tucker et al., 2019), arXiv:1810.04152,
        the estimator named IWAE-DReG.
    """

    judged_by = "importance_bound"
    fixed_q = True

    def __init__(self, samples: int = 5) -> None:
        super().__init__(samples)

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        require_path("DoublyReparameterizedBound", trace)
        log_w = trace.log_w
        weights = log_w.detach().softmax(0)
        if trace.z.requires_grad:
            handle: RemovableHandle = trace.z.register_hook(
                lambda gradient: _once(handle, weights.unsqueeze(-1) * gradient)
            )
        value = _with_gradient_of(importance_bound(log_w.detach()), (weights * log_w).sum(0))
        return Bound(penalised(value, trace), plain_terms(trace) | {"importance_bound": value.detach()})


def _once(handle: RemovableHandle, gradient: Tensor) -> Tensor:
    """The gradient, from a hook that is taken away: whoever looks at the trace next shall not meet it."""
    handle.remove()
    return gradient


def _with_gradient_of(value: Float[Tensor, " B"], other: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    return value + (other - other.detach())


class StickingTheLandingBound(Objective):
    r"""ELBO at the draws, with the path derivative alone (sticking the landing).

    .. math::
        \mathcal{L}(x) = \frac1K \sum_k \log p(x \mid z_k)
        - \beta w(t) \left(\log q_{\bar\phi}(z_k \mid x) - \log p(z_k)\right)

    The parameters of q are fixed inside its density: the gradient's expectation stays, and at the exact posterior
    its variance is zero. The KL is sampled even where it has a closed form; the ``elbo`` shown has the closed one.

    Args:
        samples: Draws of z per example, K.
        beta: Weight of the KL.
        warmup: Share of training over which that weight rises from 0.
    Raises:
        PartError: if beta is negative, or the warm-up is not in [0, 1].
        RefusedError: if q is a point mass, has no noise, or is over classes.
    Source:
        Sticking the landing (Roeder et al., 2017), arXiv:1703.09194, algorithm 2.
    """

    fixed_q = True

    def __init__(self, samples: int = 1, beta: float = 1.0, warmup: float = 0.0) -> None:
        super().__init__(samples)
        require_at_least("StickingTheLandingBound", 0, beta=beta)
        require_warmup("StickingTheLandingBound", warmup, "linear", 1)
        self.beta, self.warmup = beta, warmup

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        require_path("StickingTheLandingBound", trace)
        weight = self.beta * warmup_weight(progress, self.warmup)
        value = (trace.log_p_x - weight * (trace.log_q - trace.log_p_z)).mean(0)
        return Bound(penalised(value, trace), plain_terms(trace))
