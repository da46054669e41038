"""Posteriors: features h of one example -> q(z|x)."""

from reparam.posteriors.base import Posterior
from reparam.posteriors.full_normal import FullNormalPosterior
from reparam.posteriors.laplace import LaplacePosterior
from reparam.posteriors.normal import NormalPosterior
from reparam.posteriors.point import PointPosterior
from reparam.posteriors.quantised import (
    FiniteScalarPosterior,
    LookupFreePosterior,
    ResidualQuantisedPosterior,
    VectorQuantisedPosterior,
)

__all__ = [
    "FiniteScalarPosterior",
    "FullNormalPosterior",
    "LaplacePosterior",
    "LookupFreePosterior",
    "NormalPosterior",
    "PointPosterior",
    "Posterior",
    "ResidualQuantisedPosterior",
    "VectorQuantisedPosterior",
]
