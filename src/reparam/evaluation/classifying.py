"""Which class is it: p(C|x) by Bayes' rule from a model that is told the class, or observes it."""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from reparam.arguments import checked
from reparam.data import Split
from reparam.errors import RefusedError, ShapeError
from reparam.evaluation.judged import BATCH, Judged, labels_of
from reparam.evaluation.likelihood import evaluating, importance_weighted, split_likelihoods

SAMPLES = 100


def classes_of(model: Any) -> int:
    """How many classes a model is told.

    Raises:
        RefusedError: if it is told none.
    """
    if hasattr(model, "class_logits"):
        return int(model.classes)
    place = _class_place(model)
    if place is not None:
        return place.stop - place.start
    if "labels" not in model.conditions:
        raise RefusedError(
            "Bayes' rule needs p(x|C), and this model is not told the class. Train one that is, such as 'cvae', or one "
            "of several observations, of which one is the class."
        )
    return int(model.condition.dim)


def _class_place(model: Any) -> slice | None:
    """Where a model of several observations has the one that is a class; None where none or several are."""
    likelihood = getattr(model, "likelihood", None)
    pairs = zip(getattr(likelihood, "likelihoods", ()), getattr(likelihood, "places", ()), strict=True)
    places: list[slice] = [place for one, place in pairs if one.of_classes]
    return places[0] if len(places) == 1 else None


def _of_class(x: Float[Tensor, "*B D"], place: slice, k: int) -> Float[Tensor, "*B D"]:
    """The examples as if they were of class k."""
    told = x.clone()
    told[..., place] = 0.0
    told[..., place.start + k] = 1.0
    return told


def bayes(log_p_x: Float[Tensor, "B C"], prior: Float[Tensor, " K"] | None = None) -> Float[Tensor, "B C"]:
    """p(C|x) from log p(x|C) and p(C), all classes alike where that is not given.

    Raises:
        ShapeError: if there is not one p(C) for each class.
    """
    if prior is None:
        return log_p_x.softmax(-1)
    if prior.shape != log_p_x.shape[1:]:
        raise ShapeError(f"classify: p(C) is {tuple(prior.shape)}, expected ({log_p_x.shape[1]},), one for each class.")
    return (log_p_x + prior.to(log_p_x).log()).softmax(-1)


@checked
def classify(
    model: Any,
    x: Float[Tensor, "B ..."],
    samples: int = SAMPLES,
    *,
    prior: Float[Tensor, " K"] | None = None,
    seed: int = 0,
) -> Float[Tensor, "B C"]:
    r"""Tells the class of each example by the likelihood of it under each class.

    .. math:: p(C \mid x) = \frac{p(x \mid C)\, p(C)}{\sum_{C'} p(x \mid C')\, p(C')}

    log p(x|C) is estimated by importance weighting, with the same draws of noise for every class. A model that infers
    the class itself answers with its q(C|x). One of several observations, of which one is the class, is asked for
    log p(x, C) with each class in its place, and has learned p(C) with it; what x says there is not looked at.

    Column k of the answer is p(C|x) of the class ``model.class_names[k]``.

    Args:
        model: A model that is told the class, or observes it.
        x: Examples.
        samples: Importance samples for each example and class.
        prior: p(C), beside what the model has learned of it; all classes alike when None.
        seed: Seed of the draws.
    Raises:
        RefusedError: if the model is told no class, or has no density.
    """
    classes = range(classes_of(model))
    if hasattr(model, "class_logits"):
        with evaluating(model):
            return bayes(model.class_logits(x), prior)
    place = _class_place(model)
    pairs = [
        (model.given(labels=torch.tensor(k)), x) if place is None else (model, _of_class(x, place, k)) for k in classes
    ]
    found = [importance_weighted(one, own, samples, seed=seed).log_p_x for one, own in pairs]
    return bayes(torch.stack(found, 1), prior)


def split_classes(
    model: Any,
    split: Split,
    samples: int = SAMPLES,
    *,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Float[Tensor, "N C"]:
    """p(C|x) of all examples of a split, as :func:`classify` with all classes alike gives it.

    Args:
        model: A model that is told the class.
        split: What to classify; its own labels are not looked at.
        samples: Importance samples for each example and class.
        seed: Seed of the draws.
        progress: Called with the number of likelihoods done, of as many as there are examples times classes.
    """
    classes, found = range(classes_of(model)), []
    if hasattr(model, "class_logits") or _class_place(model) is not None:  # told nothing beside x
        for batch in split.batches(BATCH):
            found.append(classify(model, batch.x, samples, seed=seed))
            if progress:
                progress(len(classes) * sum(map(len, found)))
        return torch.cat(found)
    for k in classes:
        done = k * len(split)
        told = (lambda n, done=done: progress(done + n)) if progress else None
        found.append(
            split_likelihoods(model.given(labels=torch.tensor(k)), split, samples, seed=seed, progress=told).log_p_x
        )
    return bayes(torch.stack(found, 1))


def class_accuracy(judged: Judged) -> dict[str, Any]:
    """Share of the judged examples whose label has the largest p(C|x), with 100 importance samples for each class.

    Raises:
        RefusedError: if the model is told no class, or the data have no labels.
    """
    classes_of(judged.model)
    labels = labels_of(judged.split)
    right = split_classes(judged.model, judged.split, seed=judged.seed).argmax(1).cpu().eq(labels).double()
    share = right.mean().item()
    error = {"class_accuracy_stderr": math.sqrt(share * (1 - share) / len(right))} if len(right) > 1 else {}
    return {"class_accuracy": share} | error
