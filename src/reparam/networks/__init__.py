"""Networks: x -> features h for encoders, z -> the numbers a likelihood needs for decoders."""

from reparam.networks.base import Decoder, Encoder
from reparam.networks.bounded import bounded, full_precision
from reparam.networks.conv import ConvDecoder, ConvEncoder, channels_last
from reparam.networks.corruption import (
    Corruption,
    GaussianNoise,
    MaskingNoise,
    SaltAndPepperNoise,
    StandardizedCorruption,
)
from reparam.networks.mlp import MLPDecoder, MLPEncoder
from reparam.networks.spectral import Spectral
from reparam.networks.standardized import StandardizedEncoder, Units

__all__ = [
    "ConvDecoder",
    "ConvEncoder",
    "Corruption",
    "Decoder",
    "Encoder",
    "GaussianNoise",
    "MLPDecoder",
    "MLPEncoder",
    "MaskingNoise",
    "SaltAndPepperNoise",
    "Spectral",
    "StandardizedCorruption",
    "StandardizedEncoder",
    "Units",
    "bounded",
    "channels_last",
    "full_precision",
]
