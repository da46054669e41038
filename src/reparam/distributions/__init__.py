"""Densities that torch.distributions lacks, and KL divergences per latent group."""

from reparam.distributions.bernoulli import JointBernoulli
from reparam.distributions.detaching import detached
from reparam.distributions.energy import Energy
from reparam.distributions.independent import is_density, is_discrete, joint
from reparam.distributions.kl import has_closed_form, kl_groups
from reparam.distributions.levels import CategoricalLevels, DiscretizedLogistic
from reparam.distributions.optimal import OptimalScale
from reparam.distributions.point_mass import PointMass
from reparam.distributions.rescaled import Rescaled
from reparam.distributions.similarity import ms_ssim, ssim
from reparam.distributions.tempering import tempered
from reparam.distributions.top_down import TopDown, TopDownPosterior, TopDownPrior, Way, normals

__all__ = [
    "CategoricalLevels",
    "DiscretizedLogistic",
    "Energy",
    "JointBernoulli",
    "OptimalScale",
    "PointMass",
    "Rescaled",
    "TopDown",
    "TopDownPosterior",
    "TopDownPrior",
    "Way",
    "detached",
    "has_closed_form",
    "is_density",
    "is_discrete",
    "joint",
    "kl_groups",
    "ms_ssim",
    "normals",
    "ssim",
    "tempered",
]
