"""Objectives: a Trace -> a Bound, and the players who move the parameters."""

from reparam.objectives.adversarial import AdversarialBound, FactorBound
from reparam.objectives.adversary import CriticSettings
from reparam.objectives.balanced import BalancedELBO
from reparam.objectives.base import Objective
from reparam.objectives.coded_games import CVAEGANGame, FeatureMatchingGame, VAEGANGame
from reparam.objectives.elbo import ELBO
from reparam.objectives.filtering import FilteringBound
from reparam.objectives.games import Game, GANGame
from reparam.objectives.importance import ImportanceBound, PartialImportanceBound
from reparam.objectives.informed import InfoGANGame
from reparam.objectives.introspective import IntrospectiveBound
from reparam.objectives.lagrange import CapacityBound, RateConstraint, ReconstructionConstraint
from reparam.objectives.matching import DiscrepancyBound, SlicedBound, StyleMatchBound
from reparam.objectives.moments import CovarianceBound
from reparam.objectives.regularized import RegularizedBound
from reparam.objectives.renyi import RenyiBound
from reparam.objectives.reparameterized import DoublyReparameterizedBound, StickingTheLandingBound
from reparam.objectives.schedules import warmup_weight
from reparam.objectives.tokenizing import ReconstructionGame
from reparam.objectives.total_correlation import TotalCorrelationBound

AnyObjective = Objective | Game

__all__ = [
    "ELBO",
    "AdversarialBound",
    "AnyObjective",
    "BalancedELBO",
    "CVAEGANGame",
    "CapacityBound",
    "CovarianceBound",
    "CriticSettings",
    "DiscrepancyBound",
    "DoublyReparameterizedBound",
    "FactorBound",
    "FeatureMatchingGame",
    "FilteringBound",
    "GANGame",
    "Game",
    "ImportanceBound",
    "InfoGANGame",
    "IntrospectiveBound",
    "Objective",
    "PartialImportanceBound",
    "RateConstraint",
    "ReconstructionConstraint",
    "ReconstructionGame",
    "RegularizedBound",
    "RenyiBound",
    "SlicedBound",
    "StickingTheLandingBound",
    "StyleMatchBound",
    "TotalCorrelationBound",
    "VAEGANGame",
    "warmup_weight",
]
