"""Posteriors: features h of one example -> q(z|x)."""

from reparam.posteriors.autoregressive import InverseAutoregressivePosterior
from reparam.posteriors.base import Posterior
from reparam.posteriors.categorical import CategoricalPosterior, GumbelSoftmaxPosterior
from reparam.posteriors.experts import ExpertsPosterior, Pooling
from reparam.posteriors.flow import FlowPosterior
from reparam.posteriors.full_normal import FullNormalPosterior
from reparam.posteriors.hamiltonian import HamiltonianPosterior
from reparam.posteriors.laplace import LaplacePosterior
from reparam.posteriors.mixture import MixturePosterior
from reparam.posteriors.normal import NormalPosterior
from reparam.posteriors.planar import PlanarPosterior
from reparam.posteriors.point import PointPosterior
from reparam.posteriors.quantised import (
    FiniteScalarPosterior,
    LookupFreePosterior,
    ResidualQuantisedPosterior,
    VectorQuantisedPosterior,
)
from reparam.posteriors.radial import RadialPosterior
from reparam.posteriors.riemannian import RiemannianHamiltonianPosterior
from reparam.posteriors.von_mises_fisher import VonMisesFisherPosterior
from reparam.posteriors.wrapped_normal import WrappedNormalPosterior

__all__ = [
    "CategoricalPosterior",
    "ExpertsPosterior",
    "FiniteScalarPosterior",
    "FlowPosterior",
    "FullNormalPosterior",
    "GumbelSoftmaxPosterior",
    "HamiltonianPosterior",
    "InverseAutoregressivePosterior",
    "LaplacePosterior",
    "LookupFreePosterior",
    "MixturePosterior",
    "NormalPosterior",
    "PlanarPosterior",
    "PointPosterior",
    "Pooling",
    "Posterior",
    "RadialPosterior",
    "ResidualQuantisedPosterior",
    "RiemannianHamiltonianPosterior",
    "VectorQuantisedPosterior",
    "VonMisesFisherPosterior",
    "WrappedNormalPosterior",
]
