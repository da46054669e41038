"""The Poincare ball: translations, and the exponential map that wraps a flat space around a point."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from reparam.errors import PartError
from reparam.networks.bijections import Bijection, Mapped

TINY = 1e-7
EDGE = 1e-6


def mobius_add(x: Float[Tensor, "*N L"], y: Float[Tensor, "*M L"], curvature: float) -> Float[Tensor, "*O L"]:
    r"""Translates y by x in the Poincare ball of curvature -c.

    .. math:: x \oplus y = \frac{(1 + 2c \langle x, y \rangle + c |y|^2)\, x + (1 - c |x|^2)\, y}
                                {1 + 2c \langle x, y \rangle + c^2 |x|^2 |y|^2}

    Source:
        Hyperbolic neural networks (Ganea et al., 2018), arXiv:1805.09112, eq. 4.
    """
    dot, x2, y2 = (curvature * (a * b).sum(-1, keepdim=True) for a, b in ((x, y), (x, x), (y, y)))
    return ((1 + 2 * dot + y2) * x + (1 - x2) * y) / (1 + 2 * dot + x2 * y2)


def mobius_subtract(x: Float[Tensor, "*N L"], y: Float[Tensor, "*M L"], curvature: float) -> Float[Tensor, "*O L"]:
    r"""Translates y by -x: :func:`mobius_add` of -x and y, written in y - x, which loses no digits far from the origin.

    .. math:: -x \oplus y = \frac{m d - c |d|^2 x}{m^2 - 2 m c \langle x, d \rangle + (1 - m) c |d|^2},
              \qquad d = y - x, \quad m = 1 - c |x|^2
    """
    d = y - x
    dot, x2, d2 = (curvature * (a * b).sum(-1, keepdim=True) for a, b in ((x, d), (x, x), (d, d)))
    m = 1 - x2
    return (m * d - d2 * x) / (m.square() - 2 * m * dot + x2 * d2)


def from_tangent(v: Float[Tensor, "*N L"], curvature: float) -> Float[Tensor, "*N L"]:
    r"""The point at distance :math:`|v|` from the origin in the direction of v.

    .. math:: \exp_0(v / 2) = \tanh\left(\tfrac12 \sqrt{c}\, |v|\right) \frac{v}{\sqrt{c}\, |v|}
    """
    root = math.sqrt(curvature)
    length = v.norm(dim=-1, keepdim=True).clamp_min(TINY)
    return (0.5 * root * length).tanh().clamp_max(1 - EDGE) * v / (root * length)


def to_tangent(z: Float[Tensor, "*N L"], curvature: float) -> Float[Tensor, "*N L"]:
    """The inverse of :func:`from_tangent`."""
    root = math.sqrt(curvature)
    length = z.norm(dim=-1, keepdim=True).clamp_min(TINY)
    return 2 * (root * length).clamp_max(1 - EDGE).atanh() * z / (root * length)


class ExponentialMap(Bijection):
    r"""Wraps a flat space around a point mu of the Poincare ball: a vector of length r goes to a point at distance r.

    .. math:: f(v) = \mu \oplus \exp_0(v / 2) = \exp_\mu(v / \lambda_\mu), \qquad
              \log |\det| = (L - 1) \log \frac{\sinh(\sqrt{c}\, |v|)}{\sqrt{c}\, |v|}

    v is given in orthonormal coordinates; the determinant is taken with respect to the hyperbolic volume. The norm of
    an image is kept below 1 - 1e-6 of the radius, where float32 ends.

    Shapes:
        context: (*batch, L), the points mu; None for the origin
    Source:
        Continuous hierarchical representations with Poincare variational auto-encoders (Mathieu et al., 2019),
        arXiv:1901.06033, section 3.2 (wrapped Normal); A wrapped normal distribution on hyperbolic space (Nagano et
        al., 2019), arXiv:1902.02992, eq. 10.
    """

    entangled = True

    def __init__(self, curvature: float) -> None:
        super().__init__("ExponentialMap", 1)
        self.curvature = curvature

    def forward(
        self, x: Float[Tensor, "*N L"], context: Float[Tensor, "*B F"] | None = None, inverse: bool = False
    ) -> Mapped:
        c = self.curvature
        if inverse:
            v = to_tangent(x if context is None else mobius_subtract(context, x, c), c)
            return v, -self._log_det(v)
        z = from_tangent(x, c)
        return z if context is None else mobius_add(context, z, c), self._log_det(x)

    def _log_det(self, v: Tensor) -> Tensor:
        """(L - 1) log(sinh(s) / s) with s = sqrt(c) |v|, which neither overflows nor divides by zero."""
        s = (math.sqrt(self.curvature) * v.norm(dim=-1)).clamp_min(TINY)
        return (v.shape[-1] - 1) * (s + (-torch.expm1(-2 * s) / (2 * s)).log())


def require_curvature(owner: str, curvature: float) -> None:
    """Checks a curvature.

    Raises:
        PartError: if it is not a positive, finite number.
    """
    if not 0 < curvature < math.inf:
        raise PartError(f"{owner}: curvature is {curvature}, expected a positive number c; the space has curvature -c.")
