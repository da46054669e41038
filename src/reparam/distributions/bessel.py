"""Modified Bessel functions of any order, with gradients, where neither overflows."""

import math

import torch
from torch import Tensor

LARGE = 30.0


def _debye(order: float, x: Tensor) -> Tensor:
    r"""log[I_v(x) x^{-v} e^{-x}] for a large order v, by Debye's expansion with four terms.

    With t = x / v, s = sqrt(1 + t^2) and p = 1 / s:

    .. math:: I_v(x) \sim \frac{e^{v \eta}}{\sqrt{2 \pi v s}} \sum_k \frac{U_k(p)}{v^k},
              \qquad \eta = s + \log \frac{t}{1 + s}
    """
    t = x / order
    s = (1 + t.square()).sqrt()
    p = 1 / s
    u = p.square()
    terms = (
        p * (3 - 5 * u) / 24,
        u * (81 + u * (-462 + 385 * u)) / 1152,
        p * u * (30375 + u * (-369603 + u * (765765 - 425425 * u))) / 414720,
        u.square() * (4465125 + u * (-94121676 + u * (349922430 + u * (-446185740 + 185910725 * u)))) / 39813120,
    )
    series = sum((term / order**k for k, term in enumerate(terms, start=1)), torch.zeros_like(x))
    exponent = order * (1 / (s + t) - torch.log1p(s) - math.log(order))
    return exponent - 0.5 * math.log(2 * math.pi * order) - 0.5 * s.log() + torch.log1p(series)


def log_bessel(order: float, x: Tensor) -> tuple[Tensor, Tensor]:
    r"""Logarithm and ratio of modified Bessel functions of the first kind, both regular down to x = 0.

    .. math:: \log\left[I_v(x)\, x^{-v} e^{-x}\right], \qquad \frac{I_{v+1}(x)}{x\, I_v(x)}

    From an order of 30 on, Debye's expansion is exact to about 1e-9; lower orders are reached from there by the
    recurrence :math:`I_{v-1} - I_{v+1} = (2v/x) I_v`, which is stable downwards. It is computed in double precision
    where the device has it.

    Args:
        order: v >= 0.
        x: 0 or more, any shape.
    Source:
        Handbook of mathematical functions (Abramowitz & Stegun, 1964), eq. 9.3.7, 9.3.9 and 9.6.26; also
        https://dlmf.nist.gov/10.41.
    """
    if x.dtype != torch.float64 and x.device.type != "mps":  # differences of logarithms of some hundreds
        value, ratio = log_bessel(order, x.double())
        return value.to(x), ratio.to(x)
    steps = max(0, math.ceil(LARGE - order))
    top = order + steps
    value = _debye(top, x)
    ratio = (_debye(top + 1, x) - value).exp()
    for down in range(steps):
        ratio = 1 / (2 * (top - down) + x.square() * ratio)
        value = value - ratio.log()
    return value, ratio
