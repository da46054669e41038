"""Regularised autoencoders: the smoothness that noise in z would bring, without noise."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from reparam.distributions import PointMass, Rescaled
from reparam.errors import PartError, RefusedError, nearest
from reparam.objectives.base import Objective
from reparam.objectives.common import penalised, plain_terms, require_at_least
from reparam.rng import per_example
from reparam.trace import Bound, HasNamedValues, Model, Progress, Trace


def _none(model: Model, trace: Trace) -> Tensor:
    return trace.z.new_zeros(())


def _squared_weights(model: Model, trace: Trace) -> Tensor:
    return torch.stack([weights.square().sum() for weights in model.generative_parameters()]).sum()


def _squared_gradient(model: Model, trace: Trace) -> Tensor:
    r"""Estimates |J|^2 / 2 for the Jacobian J of the decoder's mean: E[|J^T v|^2] = |J|^2 for v ~ N(0, I); (B,)."""
    mean = (trace.p_x.base if isinstance(trace.p_x, Rescaled) else trace.p_x).mean  # in units of the data's spread
    if not (mean.requires_grad and trace.z.requires_grad):  # nobody differentiates at validation
        return trace.z.new_zeros(trace.z.shape[1])
    with per_example(1):
        direction = torch.randn_like(mean)
    (slope,) = torch.autograd.grad(mean, trace.z, direction, create_graph=True)
    return 0.5 * slope.square().sum(-1).mean(0)


REGULARIZERS: dict[str, Callable[[Model, Trace], Tensor]] = {
    "none": _none,
    "l2": _squared_weights,
    "gradient": _squared_gradient,
}


class RegularizedBound(Objective):
    r"""Deterministic autoencoder with small codes and a smooth decoder (RAE).

    .. math::
        \mathcal{L}(x) = \log p(x \mid z) - \tfrac{\beta}{2} |z|^2 - \lambda R, \qquad
        R_{l2} = |\theta|^2, \quad R_\mathrm{gradient} = \tfrac12 |\nabla_z E[x \mid z]|^2

    theta are the generative parameters. The gradient's norm is that of the whole Jacobian, estimated along one random
    direction for each example; it is not computed at validation. ``none`` is for decoders that are smooth
    by themselves, by spectral normalisation. ``elbo`` shows minus the distortion, as for a plain autoencoder.

    Args:
        code_weight: beta.
        regularization: ``l2``, ``gradient`` or ``none``.
        weight: lambda.
    Raises:
        PartError: if a weight is negative, or the regularization is unknown.
        RefusedError: if q has noise, or chooses z from a finite set.
    Source:
        From variational to deterministic autoencoders (Ghosh et al., 2020), arXiv:1903.12436, section 3. We
        estimate the norm of the Jacobian itself, where code for the paper takes the gradient of a sum of outputs.
    """

    noiseless = True

    def __init__(
        self,
        code_weight: float = 0.01,
        regularization: Literal["l2", "gradient", "none"] = "l2",
        weight: float = 1e-4,
    ) -> None:
        super().__init__()
        require_at_least("RegularizedBound", 0, code_weight=code_weight, weight=weight)
        if regularization not in REGULARIZERS:
            raise PartError(
                f"RegularizedBound: regularization is {regularization!r}. {nearest(regularization, REGULARIZERS)}"
            )
        self.code_weight, self.weight = code_weight, weight
        self.regularization: Literal["l2", "gradient", "none"] = regularization
        self.differentiates_twice = regularization == "gradient"
        self.reads_weights = regularization == "l2"

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        """The part that needs no model: the distortion and the size of the codes."""
        if getattr(trace.q, "noiseless", False):
            raise RefusedError(
                "RegularizedBound: q(z|x) chooses z from a finite set, which bounds its size without a penalty. Take "
                "the posterior 'point', or the objective 'elbo'."
            )
        if not isinstance(trace.q, PointMass):
            raise RefusedError(
                "RegularizedBound: q(z|x) has noise, and without a KL it would shrink to nothing. Take the posterior "
                "'point', or an objective with a KL, such as 'elbo'."
            )
        size = 0.5 * trace.z.square().sum(-1).mean(0)
        value = -(trace.distortion + self.code_weight * size)
        return Bound(penalised(value, trace), plain_terms(trace) | {"code_size": size.detach()})

    def forward(self, model: Model, batch: HasNamedValues, progress: Progress) -> Bound:
        trace = self.trace(model, batch)
        bound = self.bound(trace, progress)
        roughness = REGULARIZERS[self.regularization](model, trace)
        shown = {"roughness": roughness.detach().expand_as(bound.value)}
        return Bound(bound.value - self.weight * roughness, bound.terms | shown)
