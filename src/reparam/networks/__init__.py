"""Networks: x -> features h for encoders, z -> the numbers a likelihood needs for decoders."""

from reparam.networks.autoregressive import CausalTransformer, PixelCNN
from reparam.networks.base import Decoder, Encoder
from reparam.networks.bijections import Bijection, Planar, Radial
from reparam.networks.bounded import bounded, full_precision
from reparam.networks.codebook import Metric, ResidualQuantiser, VectorQuantiser
from reparam.networks.conv import ConvDecoder, ConvEncoder, channels_last
from reparam.networks.corruption import (
    Corruption,
    GaussianNoise,
    MaskingNoise,
    SaltAndPepperNoise,
    StandardizedCorruption,
)
from reparam.networks.hyperbolic import ExponentialMap, from_tangent, require_curvature
from reparam.networks.inverse_autoregressive import InverseAutoregressive
from reparam.networks.maps import MapDecoder, MapEncoder, default_grid
from reparam.networks.mlp import MLPDecoder, MLPEncoder
from reparam.networks.quantisers import FiniteScalarQuantiser, LookupFreeQuantiser, Quantised, Quantiser
from reparam.networks.spectral import Spectral
from reparam.networks.standardized import StandardizedEncoder, Units
from reparam.networks.zuko_flows import Direction, FlowName, ZukoFlow

__all__ = [
    "Bijection",
    "CausalTransformer",
    "ConvDecoder",
    "ConvEncoder",
    "Corruption",
    "Decoder",
    "Direction",
    "Encoder",
    "ExponentialMap",
    "FiniteScalarQuantiser",
    "FlowName",
    "GaussianNoise",
    "InverseAutoregressive",
    "LookupFreeQuantiser",
    "MLPDecoder",
    "MLPEncoder",
    "MapDecoder",
    "MapEncoder",
    "MaskingNoise",
    "Metric",
    "PixelCNN",
    "Planar",
    "Quantised",
    "Quantiser",
    "Radial",
    "ResidualQuantiser",
    "SaltAndPepperNoise",
    "Spectral",
    "StandardizedCorruption",
    "StandardizedEncoder",
    "Units",
    "VectorQuantiser",
    "ZukoFlow",
    "bounded",
    "channels_last",
    "default_grid",
    "from_tangent",
    "full_precision",
    "require_curvature",
]
