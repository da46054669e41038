"""How well what is hidden of an example is told from the rest of it."""

from typing import Any

import torch
from torch import Tensor

from reparam.data.spec import Observation
from reparam.errors import RefusedError
from reparam.evaluation.judged import Judged
from reparam.rng import seeded

DRAWS = 32


def imputation(judged: Judged) -> dict[str, Any]:
    r"""Hides each observation in turn, and compares what the others tell of it with what it was.

    ``imputation_accuracy_NAME`` of classes: the share that is told right; ``imputation_error_NAME`` of others: the root
    of the mean squared error, in standard deviations of the training data where they are real numbers.

    Raises:
        RefusedError: if the data are of one observation, or every example has no more than one that is there.
    """
    spec = judged.split.spec
    if not spec.observations:
        raise RefusedError("It needs several observations of each example; these data have one.")
    found: dict[str, list[Tensor]] = {}
    with seeded(judged.seed, "imputation"):
        for batch in judged.batches():
            for one, place in zip(spec.observations, spec.places.values(), strict=True):
                others = batch.x.clone()
                others[:, place] = torch.nan
                there = ~batch.x[:, place].isnan().all(1) & ~others.isnan().all(1)
                if there.any():
                    z = judged.model.infer(others[there]).rsample(torch.Size([DRAWS]))
                    told = judged.model.decode(z).mean.mean(0)[:, place]
                    found.setdefault(one.name, []).append(_error(one, batch.x[there][:, place], told))
    if not found:
        raise RefusedError("No example has two observations that are there, so none can be told from another.")
    kinds = {one.name: one.kind for one in spec.observations}
    means = {name: torch.cat(errors).double().mean().item() for name, errors in found.items()}
    accuracies = {f"imputation_accuracy_{name}": m for name, m in means.items() if kinds[name] == "classes"}
    errors = {f"imputation_error_{name}": m**0.5 for name, m in means.items() if kinds[name] != "classes"}
    return accuracies | errors


def _error(one: Observation, x: Tensor, told: Tensor) -> Tensor:
    """Of classes 1 where they are right; else the mean squared error over the values that are there."""
    if one.kind == "classes":
        return (x.argmax(1) == told.argmax(1)).to(x)
    apart = (x - told).unflatten(1, one.shape)
    if one.scale:
        apart = apart / torch.tensor(one.scale).to(x).reshape(-1, *(1 for _ in one.shape[1:]))
    return apart.flatten(1).square().nanmean(1)
