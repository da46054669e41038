"""Samplers: densities of z that are fitted to a trained model's codes, to draw new ones."""

from reparam.samplers.autoregressive import AutoregressiveSampler
from reparam.samplers.base import Sampler
from reparam.samplers.flow_matching import FlowMatchingSampler
from reparam.samplers.flows import FlowSampler
from reparam.samplers.mixture import MixtureSampler
from reparam.samplers.riemannian import RiemannianSampler
from reparam.samplers.table import PRIOR, SAMPLERS
from reparam.samplers.two_stage import TwoStageSampler
from reparam.samplers.using import draw, fitted, sampler_of

__all__ = [
    "PRIOR",
    "SAMPLERS",
    "AutoregressiveSampler",
    "FlowMatchingSampler",
    "FlowSampler",
    "MixtureSampler",
    "RiemannianSampler",
    "Sampler",
    "TwoStageSampler",
    "draw",
    "fitted",
    "sampler_of",
]
