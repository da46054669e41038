"""How sharp pictures are: the variance of their Laplacian, beside that of real ones."""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from reparam.errors import RefusedError
from reparam.evaluation.judged import Judged
from reparam.shapes import is_image

KERNEL = ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0))


def laplacian_variance(x: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"]:
    r"""Variance of the Laplacian over the pixels of each picture, the mean over its channels.

    .. math:: \nabla^2 x_{ij} = x_{i-1,j} + x_{i+1,j} + x_{i,j-1} + x_{i,j+1} - 4 x_{ij}

    Pixels at the border, which lack a neighbour, are left out.

    Raises:
        RefusedError: if fewer than two pixels are left.
    Source:
        Diatom autofocusing in brightfield microscopy (Pech-Pacheco et al., 2000), ICPR, which compares measures of
        sharpness.
    """
    channels, height, width = x.shape[1:]
    if min(height, width) < 3 or max(height, width) < 4:
        raise RefusedError(f"Pictures of {height}x{width} pixels are too small for a Laplacian; it takes 3x4 or more.")
    kernel = torch.tensor(KERNEL).to(x).expand(channels, 1, 3, 3)
    return F.conv2d(x, kernel, groups=channels).var((2, 3)).mean(1)


def _mean(judged: Judged, pictures: Iterable[Tensor]) -> float:
    """The mean over pictures, which are brought to the range of the data where that is [0, 1]."""
    bounded = judged.split.spec.in_unit_interval
    each = [laplacian_variance(x.clamp(0, 1) if bounded else x).double().cpu() for x in pictures]
    return torch.cat(each).mean().item()


def sharpness(judged: Judged) -> dict[str, Any]:
    r"""How sharp new pictures are, and reconstructions where there is an encoder, as a share of real ones.

    .. math:: \frac{E\, \mathrm{Var}_{ij}(\nabla^2 x'_{ij})}{E\, \mathrm{Var}_{ij}(\nabla^2 x_{ij})}

    with made pictures x' and as many real ones x, at most 10,000 judged ones. Blur lowers it; noise and a grid of
    pixels, which the Laplacian takes for edges, raise it above 1.

    Raises:
        RefusedError: if x is no picture, all real pictures are flat, or the model neither codes nor makes any.
    """
    model, spec = judged.model, judged.split.spec
    if not is_image(spec.shape):
        raise RefusedError("Sharpness is one of pictures, (channels, height, width); these data are none.")
    real = _mean(judged, (batch.x for batch in judged.batches(judged.compared)))
    if not real > 0:
        raise RefusedError("The real pictures are flat, so there is no sharpness to compare with.")
    result: dict[str, Any] = {}
    if model.amortized:
        result["sharpness_reconstructed"] = _mean(judged, judged.reconstructed()) / real
    try:
        result |= {"sharpness": _mean(judged, judged.made()) / real} | judged.taken
    except RefusedError as refusal:  # a model without a prior
        if not result:
            raise
        result["sharpness_refused"] = str(refusal)
    return result
