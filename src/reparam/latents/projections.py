"""Pictures of many codes at once: a projection onto the plane."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from reparam.errors import PartError, ShapeError
from reparam.rng import generator

MANY = 1000  # dimensions from which fewer codes than dimensions make the smaller matrix worth its rounding
ROUNDING = 1e-9


@dataclass(frozen=True)
class Projection:
    """Codes on the plane.

    Attributes:
        points: (N, 2).
        explained: Share of the codes' variance that the plane keeps, from 0 to 1.
        method: ``identity`` (the codes have two dimensions), ``jitter`` (one dimension, spread at random across the
            second axis) or ``pca``.
    """

    points: Float[Tensor, "N 2"]
    explained: float
    method: str


def project(codes: Float[Tensor, "..."], seed: int = 0) -> Projection:
    r"""Projects codes onto a plane: as they are in two dimensions, otherwise onto their two principal axes.

    .. math:: y_n = V_2^\top (z_n - \bar z), \qquad \text{explained} = \frac{\lambda_1 + \lambda_2}{\sum_l \lambda_l}

    V_2 holds the eigenvectors of the covariance of the codes with the two largest eigenvalues; each is turned so that
    its largest entry is positive, which makes the picture the same every time.

    Shapes:
        codes: (N, L)  ->  points (N, 2)

    Args:
        codes: The codes, N >= 1.
        seed: Seeds the jitter that one-dimensional codes get along the second axis.

    Raises:
        ShapeError: if codes is not a non-empty (N, L) table.
        PartError: if a code is NaN or infinite.
    """
    if codes.ndim != 2 or 0 in codes.shape:
        raise ShapeError(f"project: got codes of shape {tuple(codes.shape)}, expected (N, L) with at least one row.")
    broken = int((~codes.isfinite()).any(1).sum())
    if broken:
        raise PartError(
            f"project: {broken} of {len(codes)} codes are NaN or infinite, expected numbers. Drop them first."
        )
    if codes.shape[1] == 2:
        return Projection(codes, 1.0, "identity")
    if codes.shape[1] == 1:
        jitter = torch.rand(codes.shape, generator=generator(seed, "jitter")) - 0.5
        return Projection(torch.cat([codes, jitter.to(codes)], dim=1), 1.0, "jitter")
    centred = (codes - codes.mean(0)).cpu().double()
    values, axes = _principal_axes(centred)
    largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))
    points = centred @ (axes * torch.where(largest < 0, -1.0, 1.0))
    total = float(values.sum())
    explained = float(values[-2:].sum()) / total if total > 0 else 1.0
    return Projection(points.to(codes), min(1.0, explained), "pca")


def _principal_axes(centred: Float[Tensor, "N L"]) -> tuple[Float[Tensor, " M"], Float[Tensor, "L 2"]]:
    """Eigenvalues of the covariance, rising, and the axes of its two largest; of the smaller of both Gram matrices."""
    count, size = centred.shape
    if size <= max(count, MANY):
        values, vectors = torch.linalg.eigh(centred.T @ centred / count)
        return values, vectors[:, [-1, -2]]
    values, vectors = torch.linalg.eigh(centred @ centred.T / count)
    axes = centred.T @ vectors[:, [-1, -2 % count]]
    lengths = axes.norm(dim=0)
    return values, torch.where(lengths > ROUNDING * lengths[0], axes / lengths, torch.zeros_like(axes))
