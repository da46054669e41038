"""How far reconstructions are from pictures in the features of a network."""

import hashlib
from typing import Any

import torch

from reparam.data.pretrained import squeezenet_is_at_hand, squeezenet_weights
from reparam.errors import PartError, RefusedError
from reparam.evaluation.judged import Judged
from reparam.networks import PerceptualDistance
from reparam.rng import seeded
from reparam.shapes import Shape, is_image

SHOWN = 2_000  # training pictures from which a network learns


def perceptual_distance(judged: Judged) -> dict[str, Any]:
    """Mean distance of the judged pictures from their mean reconstructions.

    That of :class:`~reparam.networks.PerceptualDistance`, in the features of SqueezeNet where its weights are at hand
    and the pictures are large enough, else in those of a small network that learns from the training split.
    ``perceptual_network`` says which; the numbers of one compare with no others.

    Raises:
        RefusedError: if x is no picture with values in [0, 1].
    """
    model, spec = judged.model, judged.split.spec
    if not is_image(spec.shape) or not spec.in_unit_interval:
        raise RefusedError("It needs pictures with values in [0, 1].")
    measure, name = _pretrained(spec.shape) or _learned(judged)
    measure = measure.to(judged.split.device)
    found = []
    for batch in judged.batches():
        x_hat = model.decode(model.infer(batch.x, **batch.named).mean, **batch.named).mean
        found.append(measure(batch.x, x_hat).double().cpu())
    return {"perceptual_distance": torch.cat(found).mean().item(), "perceptual_network": name}


def _pretrained(shape: Shape) -> tuple[PerceptualDistance, str] | None:
    """SqueezeNet with its weights and its name, where both it and the pictures are there for it."""
    if not squeezenet_is_at_hand():
        return None
    try:
        measure = PerceptualDistance(shape, "squeezenet")
    except PartError:
        return None
    measure.start(torch.zeros(1, *shape), squeezenet_weights)
    return measure, measure.name


def _learned(judged: Judged) -> tuple[PerceptualDistance, str]:
    """A small network that has learned from the training split, with the first digits of its weights in its name."""
    train = judged.require_train().subset(SHOWN, judged.seed).fixed(judged.seed, "perceptual")
    measure = PerceptualDistance(train.spec.shape, "trained")
    with seeded(judged.seed, "perceptual"):
        measure.start(train.batch(slice(None)).x.cpu())
    digest = hashlib.blake2b(digest_size=3)
    for weight in measure.network.body.state_dict().values():
        digest.update(weight.contiguous().numpy().tobytes())
    return measure, f"{measure.name}, of {train.spec.name}, {digest.hexdigest()}"
