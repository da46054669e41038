"""log p(x) of sequences by a particle filter, in memory that does not grow with their number."""

from typing import Any

import torch

from reparam.errors import PartError, RefusedError
from reparam.evaluation.judged import Judged
from reparam.evaluation.likelihood import require_density, standard_error
from reparam.rng import seeded

ROWS = 4000  # sequences times particles at a time, of which one step is held


def filtered(judged: Judged) -> dict[str, Any]:
    r"""-log p(x) by the particle filter that :meth:`~reparam.models.SequentialVAE.filtered` is, nats; and by step.

    .. math:: \log \hat p(x) = \sum_t \log \sum_k W_{t-1}^k \frac{p(x_t, z_t^k \mid \text{past})}
              {q(z_t^k \mid \text{past}, x)}

    It is a bound in expectation, as ``nll`` is, but does not loosen with the length of a sequence as whole-trajectory
    weights do. All particles of a sequence belong together, so they are held at once; sequences come some at a time.

    Raises:
        RefusedError: if the model has no steps, or no density.
        PartError: if samples < 1.
    Source:
        Filtering variational objectives (Maddison et al., 2017), arXiv:1705.09279, algorithm 1.
    """
    model, split, particles = judged.model, judged.split, judged.samples
    if not getattr(model, "steps", 0):
        raise RefusedError("A particle filter goes along steps, and this model has none. Take nll.")
    if particles < 1:
        raise PartError(f"filtered: got samples={particles}, expected at least 1 particle.")
    found: list[torch.Tensor] = []
    with seeded(judged.seed, "filtered"):
        for batch in split.batches(max(1, min(len(split), ROWS // particles))):
            named: dict[str, Any] = batch.pick(model.conditions)
            if not found:
                require_density(model.trace(batch.x, **named))
            found.append(-model.filtered(batch.x, particles, **named).double())
            if judged.progress:
                judged.progress("filtered", sum(map(len, found)), len(split))
    values = torch.cat(found)
    mean = values.mean().item()
    return (
        {"filtered_nll": mean, "filtered_nll_per_step": mean / judged.steps}
        | standard_error("filtered_nll", values)
        | {"filtered_nll_samples": particles, "filtered_nll_n": len(values)}
    )
