"""A simple distribution pushed through an invertible map: normalising flows, and wrapped distributions."""

import weakref

import torch
from torch import Size, Tensor, nn
from torch.distributions import Distribution, constraints
from torch.func import functional_call
from torch.types import _size

from reparam.distributions.detaching import detached
from reparam.distributions.tempering import tempered


class Flow(Distribution):
    r"""Pushes draws of a base distribution through an invertible map f(., c).

    .. math:: z = f(\epsilon, c), \quad \epsilon \sim p_0, \qquad
              \log q(z) = \log p_0(\epsilon) - \log \left| \det \frac{\partial f}{\partial \epsilon} \right|

    The density of a draw of this object is exact and needs no inverse: what the draw computed on its way is kept for as
    long as the draw lives. At any other point, and for fixed parameters (:meth:`detached`), f is inverted.

    ``mean`` is f at the base's mean, and ``variance`` that of f's linear approximation there (the delta method):
    ``exact_moments`` is False, since the true moments have no closed form.

    Shapes:
        base: batch (*batch), event (L,), reparameterised
        context c: (*batch, F), or None
        bijection(x, c, inverse): (*samples, *batch, L)  ->  the same, and the log-determinant (*samples, *batch)
    Source:
        Variational inference with normalizing flows (Rezende & Mohamed, 2015), arXiv:1505.05770, eq. 5-7.
    """

    has_rsample = True
    exact_moments = False
    arg_constraints = {}
    support = constraints.real_vector

    def __init__(
        self, base: Distribution, bijection: nn.Module, context: Tensor | None = None, *, fixed: bool = False
    ) -> None:
        self.base, self.bijection, self.context, self.fixed = base, bijection, context, fixed
        self._drawn: list[tuple[weakref.ref[Tensor], int, bool, Tensor]] = []
        super().__init__(base.batch_shape, base.event_shape, validate_args=False)

    def _map(self, x: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        """f or its inverse, and the log-determinant of what was applied; in full precision."""
        given = (x, self.context, inverse)
        with torch.autocast(x.device.type, enabled=False):
            if not self.fixed:
                found: tuple[Tensor, Tensor] = self.bijection(*given)
                return found
            weights = {name: weight.detach() for name, weight in self.bijection.named_parameters()}
            return functional_call(self.bijection, weights, given)

    @property
    def mean(self) -> Tensor:
        """f at the base's mean, (*batch, L)."""
        return self._map(self.base.mean)[0]

    @property
    def variance(self) -> Tensor:
        r"""diag(J S J^T) with the Jacobian J of f at the base's mean and the base's variance S, without a gradient."""
        with torch.enable_grad():
            eps = self.base.mean.detach().clone().requires_grad_()
            z = self._map(eps)[0]
            rows = [torch.autograd.grad(value.sum(), eps, retain_graph=True)[0] for value in z.unbind(-1)]
        spread = self.base.variance.detach()
        return torch.stack([(row.square() * spread).sum(-1) for row in rows], -1)

    def expand(self, batch_shape: _size, _instance: Distribution | None = None) -> "Flow":
        context = None if self.context is None else self.context.expand(*batch_shape, self.context.shape[-1])
        return Flow(self.base.expand(batch_shape), self.bijection, context, fixed=self.fixed)

    def detached(self) -> "Flow":
        """The same flow with a fixed base, context and map."""
        context = None if self.context is None else self.context.detach()
        return Flow(detached(self.base), self.bijection, context, fixed=True)

    def rsample(self, sample_shape: _size = Size()) -> Tensor:
        eps = self.base.rsample(sample_shape)
        z, log_det = self._map(eps)
        living = [drawn for drawn in self._drawn if drawn[0]() is not None]
        record = (weakref.ref(z), _version(z), torch.is_grad_enabled(), self.base.log_prob(eps) - log_det)
        self._drawn = [*living, record]
        return z

    def tempered(self, shape: _size, temperature: float) -> Tensor:
        """Draws whose base noise is multiplied by a temperature."""
        return self._map(tempered(self.base, shape, temperature))[0]

    def log_prob(self, value: Tensor) -> Tensor:
        for reference, version, with_gradient, log_prob in self._drawn:
            known = reference() is value and version == _version(value)
            if known and (with_gradient or not torch.is_grad_enabled()):
                return log_prob
        eps, log_det = self._map(value, inverse=True)
        return self.base.log_prob(eps) + log_det


def _version(value: Tensor) -> int:
    """How often a tensor was changed in place; tensors of inference mode do not count."""
    return 0 if value.is_inference() else value._version
