"""Weights that change as training goes on."""

from typing import Literal

from reparam.errors import PartError, nearest
from reparam.trace import Progress

Warmup = Literal["linear", "cyclic"]


def warmup_weight(progress: Progress, fraction: float, kind: Warmup = "linear", cycles: int = 4) -> float:
    r"""Weight of the KL term, from 0 to 1.

    ``linear`` rises over the first ``fraction`` of training and stays at 1; ``cyclic`` starts again ``cycles`` times,
    each time rising over ``fraction`` of its cycle.

    Source:
        linear: Ladder variational autoencoders (Sonderby et al., 2016), arXiv:1602.02282, section 2.4; cyclic:
        Cyclical annealing schedule (Fu et al., 2019), arXiv:1903.10145, eq. 6.
    """
    if fraction <= 0 or progress.total_steps == 0:
        return 1.0
    position = progress.planned_fraction
    if kind == "cyclic":
        position = 1.0 if position >= 1.0 else (position * cycles) % 1.0
    return min(1.0, position / fraction)


def require_warmup(owner: str, fraction: float, kind: str, cycles: int) -> None:
    """Checks the settings of a warm-up.

    Raises:
        PartError: if the fraction is not in [0, 1], the kind is unknown or cycles < 1.
    """
    if not 0 <= fraction <= 1:
        raise PartError(f"{owner}: warmup is {fraction}, expected a share of training from 0 to 1.")
    if kind not in ("linear", "cyclic"):
        raise PartError(f"{owner}: warmup_kind is {kind!r}. {nearest(kind, ('linear', 'cyclic'))}")
    if cycles < 1:
        raise PartError(f"{owner}: cycles is {cycles}, expected at least 1.")
