"""Networks: x -> features h for encoders, z -> the numbers a likelihood needs for decoders."""

from reparam.networks.autoregressive import InverseAutoregressive
from reparam.networks.base import Decoder, Encoder
from reparam.networks.bijections import Bijection, Planar, Radial
from reparam.networks.bounded import bounded, full_precision
from reparam.networks.conv import ConvDecoder, ConvEncoder, channels_last
from reparam.networks.corruption import (
    Corruption,
    GaussianNoise,
    MaskingNoise,
    SaltAndPepperNoise,
    StandardizedCorruption,
)
from reparam.networks.hyperbolic import ExponentialMap, from_tangent, require_curvature
from reparam.networks.mlp import MLPDecoder, MLPEncoder
from reparam.networks.standardized import StandardizedEncoder, Units
from reparam.networks.zuko_flows import Direction, FlowName, ZukoFlow

__all__ = [
    "Bijection",
    "ConvDecoder",
    "ConvEncoder",
    "Corruption",
    "Decoder",
    "Direction",
    "Encoder",
    "ExponentialMap",
    "FlowName",
    "GaussianNoise",
    "InverseAutoregressive",
    "MLPDecoder",
    "MLPEncoder",
    "MaskingNoise",
    "Planar",
    "Radial",
    "SaltAndPepperNoise",
    "StandardizedCorruption",
    "StandardizedEncoder",
    "Units",
    "ZukoFlow",
    "bounded",
    "channels_last",
    "from_tangent",
    "full_precision",
    "require_curvature",
]
