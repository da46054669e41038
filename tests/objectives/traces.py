"""Traces made by hand."""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from reparam.distributions import PointMass
from reparam.trace import Trace


def normal(loc: Tensor, scale: Tensor | float = 1.0) -> Independent:
    """Independent dimensions."""
    return Independent(Normal(loc, torch.as_tensor(scale).to(loc).expand_as(loc)), 1, validate_args=False)


def trace(log_p_x: Tensor, q: Distribution | None = None, z: Tensor | None = None, **given: Any) -> Trace:
    """A trace of these log densities, (K, B); all that is not given is zero, and the prior is the standard Normal."""
    zero = torch.zeros_like(log_p_x)
    z = zero.unsqueeze(-1) if z is None else z
    q = q or normal(torch.zeros_like(z[0]))
    p_z = normal(torch.zeros_like(z[0, 0]))
    late = {"kl": zero.unsqueeze(-1), "log_q": zero, "log_p_z": zero, "log_p_x": log_p_x}
    return Trace(z, q, p_z, normal(log_p_x.new_zeros(4)), **(late | given))


def point_trace(log_p_x: Tensor, z: Tensor, **given: Any) -> Trace:
    """The same for codes without noise, (B, L)."""
    return trace(log_p_x, PointMass(z), z.unsqueeze(0), **given)
