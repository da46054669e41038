"""Networks: x -> features h for encoders, z -> the numbers a likelihood needs for decoders."""

from reparam.networks.autoregressive import CausalTransformer, PixelCNN
from reparam.networks.base import Decoder, Encoder
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
from reparam.networks.maps import MapDecoder, MapEncoder, default_grid
from reparam.networks.mlp import MLPDecoder, MLPEncoder
from reparam.networks.quantisers import FiniteScalarQuantiser, LookupFreeQuantiser, Quantised, Quantiser
from reparam.networks.spectral import Spectral
from reparam.networks.standardized import StandardizedEncoder, Units

__all__ = [
    "CausalTransformer",
    "ConvDecoder",
    "ConvEncoder",
    "Corruption",
    "Decoder",
    "Encoder",
    "FiniteScalarQuantiser",
    "GaussianNoise",
    "LookupFreeQuantiser",
    "MLPDecoder",
    "MLPEncoder",
    "MapDecoder",
    "MapEncoder",
    "MaskingNoise",
    "Metric",
    "PixelCNN",
    "Quantised",
    "Quantiser",
    "ResidualQuantiser",
    "SaltAndPepperNoise",
    "Spectral",
    "StandardizedCorruption",
    "StandardizedEncoder",
    "Units",
    "VectorQuantiser",
    "bounded",
    "channels_last",
    "default_grid",
    "full_precision",
]
