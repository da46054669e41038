"""Densities that torch.distributions lacks, and KL divergences per latent group."""

from reparam.distributions.bernoulli import JointBernoulli
from reparam.distributions.by_class import ByClass, Reshaped
from reparam.distributions.codes import AutoregressiveCodes, Codebook, CodePoint, UniformCodes, ancestral, log_mass
from reparam.distributions.continuous_bernoulli import LogitsContinuousBernoulli
from reparam.distributions.counts import NegativeBinomial, Poisson, ZeroInflated
from reparam.distributions.detaching import detached
from reparam.distributions.energy import Energy
from reparam.distributions.flow import Flow
from reparam.distributions.grouped import Evidence, Grouped, Members
from reparam.distributions.imputed import ImputedCodes
from reparam.distributions.independent import factors, is_density, is_discrete, is_entangled, joint
from reparam.distributions.kl import has_closed_form, kl_groups
from reparam.distributions.levels import CategoricalLevels, DiscretizedLogistic
from reparam.distributions.normal_mixture import NormalMixture, SharedMixture, squared_distances
from reparam.distributions.observations import Experts, SideBySide
from reparam.distributions.one_hot import OneHot
from reparam.distributions.optimal import OptimalScale
from reparam.distributions.pen import CorrelatedMixture
from reparam.distributions.point_mass import PointMass
from reparam.distributions.refined import Refined
from reparam.distributions.rescaled import Rescaled
from reparam.distributions.similarity import ms_ssim, ssim
from reparam.distributions.spaces import (
    CODES,
    EUCLIDEAN,
    CodeVectors,
    OneHotVectors,
    PoincareBall,
    Space,
    Sphere,
    StructuredCodes,
)
from reparam.distributions.sphere import UniformSphere, VonMisesFisher
from reparam.distributions.structured import Structured
from reparam.distributions.tempering import tempered
from reparam.distributions.top_down import TopDown, TopDownPosterior, TopDownPrior, Way, normals, rows_of

__all__ = [
    "CODES",
    "EUCLIDEAN",
    "AutoregressiveCodes",
    "ByClass",
    "CategoricalLevels",
    "CodePoint",
    "CodeVectors",
    "Codebook",
    "CorrelatedMixture",
    "DiscretizedLogistic",
    "Energy",
    "Evidence",
    "Experts",
    "Flow",
    "Grouped",
    "ImputedCodes",
    "JointBernoulli",
    "LogitsContinuousBernoulli",
    "Members",
    "NegativeBinomial",
    "NormalMixture",
    "OneHot",
    "OneHotVectors",
    "OptimalScale",
    "PoincareBall",
    "PointMass",
    "Poisson",
    "Refined",
    "Rescaled",
    "Reshaped",
    "SharedMixture",
    "SideBySide",
    "Space",
    "Sphere",
    "Structured",
    "StructuredCodes",
    "TopDown",
    "TopDownPosterior",
    "TopDownPrior",
    "UniformCodes",
    "UniformSphere",
    "VonMisesFisher",
    "Way",
    "ZeroInflated",
    "ancestral",
    "detached",
    "factors",
    "has_closed_form",
    "is_density",
    "is_discrete",
    "is_entangled",
    "joint",
    "kl_groups",
    "log_mass",
    "ms_ssim",
    "normals",
    "rows_of",
    "squared_distances",
    "ssim",
    "tempered",
]
