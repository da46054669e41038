"""Networks: x -> features h for encoders, z -> the numbers a likelihood needs for decoders."""

from reparam.networks.base import Decoder, Encoder
from reparam.networks.bounded import bounded, full_precision
from reparam.networks.conv import ConvDecoder, ConvEncoder, channels_last
from reparam.networks.conv_hierarchy import ConvHierarchy, even_depth
from reparam.networks.corruption import (
    Corruption,
    GaussianNoise,
    MaskingNoise,
    SaltAndPepperNoise,
    StandardizedCorruption,
)
from reparam.networks.hierarchy import BottomUp, Features, Hierarchy, Path, StandardizedHierarchy
from reparam.networks.mlp import MLPDecoder, MLPEncoder
from reparam.networks.mlp_hierarchy import MLPHierarchy
from reparam.networks.spectral_norms import SpectralNorms
from reparam.networks.standardized import StandardizedEncoder, Units

__all__ = [
    "BottomUp",
    "ConvDecoder",
    "ConvEncoder",
    "ConvHierarchy",
    "Corruption",
    "Decoder",
    "Encoder",
    "Features",
    "GaussianNoise",
    "Hierarchy",
    "MLPDecoder",
    "MLPEncoder",
    "MLPHierarchy",
    "MaskingNoise",
    "Path",
    "SaltAndPepperNoise",
    "SpectralNorms",
    "StandardizedCorruption",
    "StandardizedEncoder",
    "StandardizedHierarchy",
    "Units",
    "bounded",
    "channels_last",
    "even_depth",
    "full_precision",
]
