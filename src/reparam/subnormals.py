"""Numbers too small for a float's full precision, which some processors compute with at a hundredth of their speed."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

SUBNORMAL = 1e-40


@contextmanager
def subnormals_flushed() -> Iterator[None]:
    """Takes float32 results below 1.2e-38 for zero within a block, on the CPU; what was the rule before comes back.

    Where a unit is dead or a latent dimension unused, its gradient is zero, and Adam's first moment shrinks by a tenth
    at every step. After 830 steps it is subnormal, and an Intel core then takes fourteen times as long to move the
    weights. No weight that counts changes: a moment that small moves it by less than 1e-30. Where a processor has no
    such mode, and on a GPU, which needs none, this does nothing.
    """
    found = _flushing()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(found)


def _flushing() -> bool:
    return not torch.full((), SUBNORMAL).mul(1.0).item()
