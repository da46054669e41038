"""Networks: x -> features h for encoders, z -> the numbers a likelihood needs for decoders."""

from reparam.networks.autoregressive import CausalTransformer, PixelCNN
from reparam.networks.base import Decoder, Encoder
from reparam.networks.bijections import Bijection, Planar, Radial
from reparam.networks.bounded import bounded, full_precision
from reparam.networks.codebook import Metric, ResidualQuantiser, VectorQuantiser
from reparam.networks.conditions import (
    ClassCondition,
    Condition,
    ConditionalDecoder,
    ConditionalEncoder,
    VectorCondition,
    require_condition,
    widened,
)
from reparam.networks.conv import ConvDecoder, ConvEncoder, channels_last
from reparam.networks.conv_hierarchy import ConvHierarchy, even_depth
from reparam.networks.corruption import (
    Corruption,
    GaussianNoise,
    MaskingNoise,
    SaltAndPepperNoise,
    StandardizedCorruption,
)
from reparam.networks.discriminator import Discriminator, Seen, squared_slope
from reparam.networks.dynamics import Dynamics, Memory, State
from reparam.networks.feature_networks import FeatureName, FeatureNetwork
from reparam.networks.hierarchy import BottomUp, ConditionalHierarchy, Features, Hierarchy, Path, StandardizedHierarchy
from reparam.networks.hyperbolic import ExponentialMap, from_tangent, require_curvature
from reparam.networks.inverse_autoregressive import InverseAutoregressive
from reparam.networks.maps import MapDecoder, MapEncoder, map_grid
from reparam.networks.mlp import MLPDecoder, MLPEncoder
from reparam.networks.mlp_hierarchy import MLPHierarchy
from reparam.networks.observations import HiddenObservations, ObservationsDecoder, ObservationsEncoder, with_mask
from reparam.networks.perceptual import Norm, PerceptualDistance
from reparam.networks.quantisers import FiniteScalarQuantiser, LookupFreeQuantiser, Quantised, Quantiser
from reparam.networks.spectral import Spectral
from reparam.networks.spectral_norms import SpectralNorms
from reparam.networks.standardized import StandardizedEncoder, Units
from reparam.networks.zuko_flows import Direction, FlowName, ZukoFlow

__all__ = [
    "Bijection",
    "BottomUp",
    "CausalTransformer",
    "ClassCondition",
    "Condition",
    "ConditionalDecoder",
    "ConditionalEncoder",
    "ConditionalHierarchy",
    "ConvDecoder",
    "ConvEncoder",
    "ConvHierarchy",
    "Corruption",
    "Decoder",
    "Direction",
    "Discriminator",
    "Dynamics",
    "Encoder",
    "ExponentialMap",
    "FeatureName",
    "FeatureNetwork",
    "Features",
    "FiniteScalarQuantiser",
    "FlowName",
    "GaussianNoise",
    "HiddenObservations",
    "Hierarchy",
    "InverseAutoregressive",
    "LookupFreeQuantiser",
    "MLPDecoder",
    "MLPEncoder",
    "MLPHierarchy",
    "MapDecoder",
    "MapEncoder",
    "MaskingNoise",
    "Memory",
    "Metric",
    "Norm",
    "ObservationsDecoder",
    "ObservationsEncoder",
    "Path",
    "PerceptualDistance",
    "PixelCNN",
    "Planar",
    "Quantised",
    "Quantiser",
    "Radial",
    "ResidualQuantiser",
    "SaltAndPepperNoise",
    "Seen",
    "Spectral",
    "SpectralNorms",
    "StandardizedCorruption",
    "StandardizedEncoder",
    "StandardizedHierarchy",
    "State",
    "Units",
    "VectorCondition",
    "VectorQuantiser",
    "ZukoFlow",
    "bounded",
    "channels_last",
    "even_depth",
    "from_tangent",
    "full_precision",
    "map_grid",
    "require_condition",
    "require_curvature",
    "squared_slope",
    "widened",
    "with_mask",
]
