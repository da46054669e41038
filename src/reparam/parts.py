"""The table of parts: one constructor for each kind at each seam."""

import inspect

from reparam.errors import UnknownNameError, nearest
from reparam.likelihoods import (
    BernoulliLikelihood,
    CategoricalLikelihood,
    ContinuousBernoulliLikelihood,
    DiscretizedLogisticLikelihood,
    LaplaceLikelihood,
    NormalLikelihood,
    PerceptualLikelihood,
    ReconstructionTerm,
    StandardizedLikelihood,
)
from reparam.models import VAE, GroupedVAE, HierarchicalVAE, ImplicitModel, SemiSupervisedVAE, SequentialVAE
from reparam.networks import (
    ClassCondition,
    ConditionalDecoder,
    ConditionalEncoder,
    ConvDecoder,
    ConvEncoder,
    ConvHierarchy,
    Dynamics,
    GaussianNoise,
    MapDecoder,
    MapEncoder,
    MaskingNoise,
    MLPDecoder,
    MLPEncoder,
    MLPHierarchy,
    SaltAndPepperNoise,
    StandardizedCorruption,
    StandardizedEncoder,
    StandardizedHierarchy,
    VectorCondition,
)
from reparam.objectives import (
    ELBO,
    AdversarialBound,
    BalancedELBO,
    CapacityBound,
    CovarianceBound,
    CVAEGANGame,
    DiscrepancyBound,
    DoublyReparameterizedBound,
    FactorBound,
    FeatureMatchingGame,
    FilteringBound,
    GANGame,
    ImportanceBound,
    InfoGANGame,
    IntrospectiveBound,
    PartialImportanceBound,
    RateConstraint,
    ReconstructionConstraint,
    ReconstructionGame,
    RegularizedBound,
    RenyiBound,
    SlicedBound,
    StickingTheLandingBound,
    TotalCorrelationBound,
    VAEGANGame,
)
from reparam.posteriors import (
    CategoricalPosterior,
    FiniteScalarPosterior,
    FlowPosterior,
    FullNormalPosterior,
    GumbelSoftmaxPosterior,
    HamiltonianPosterior,
    InverseAutoregressivePosterior,
    LaplacePosterior,
    LookupFreePosterior,
    MixturePosterior,
    NormalPosterior,
    PlanarPosterior,
    PointPosterior,
    RadialPosterior,
    ResidualQuantisedPosterior,
    VectorQuantisedPosterior,
    VonMisesFisherPosterior,
    WrappedNormalPosterior,
)
from reparam.priors import (
    CategoricalPrior,
    ConditionalPrior,
    ExemplarPrior,
    FlowPrior,
    LaplacePrior,
    MixturePrior,
    NormalPrior,
    PixelCNNPrior,
    StructuredPrior,
    TransformerPrior,
    UniformCodesPrior,
    UniformSpherePrior,
    VampPrior,
    WrappedNormalPrior,
)

PARTS: dict[str, dict[str, type]] = {
    "model": {
        "flat": VAE,
        "hierarchical": HierarchicalVAE,
        "semi-supervised": SemiSupervisedVAE,
        "implicit": ImplicitModel,
        "grouped": GroupedVAE,
        "sequential": SequentialVAE,
    },
    "hierarchy": {"mlp": MLPHierarchy, "conv": ConvHierarchy, "standardized": StandardizedHierarchy},
    "dynamics": {"recurrent": Dynamics},
    "condition": {"classes": ClassCondition, "vector": VectorCondition},
    "encoder": {
        "mlp": MLPEncoder,
        "conv": ConvEncoder,
        "map": MapEncoder,
        "standardized": StandardizedEncoder,
        "conditional": ConditionalEncoder,
    },
    "decoder": {"mlp": MLPDecoder, "conv": ConvDecoder, "map": MapDecoder, "conditional": ConditionalDecoder},
    "posterior": {
        "normal": NormalPosterior,
        "full-normal": FullNormalPosterior,
        "laplace": LaplacePosterior,
        "point": PointPosterior,
        "vq": VectorQuantisedPosterior,
        "residual-vq": ResidualQuantisedPosterior,
        "fsq": FiniteScalarPosterior,
        "lfq": LookupFreePosterior,
        "mixture": MixturePosterior,
        "planar": PlanarPosterior,
        "radial": RadialPosterior,
        "inverse-autoregressive": InverseAutoregressivePosterior,
        "flow": FlowPosterior,
        "hamiltonian": HamiltonianPosterior,
        "von-mises-fisher": VonMisesFisherPosterior,
        "wrapped-normal": WrappedNormalPosterior,
        "categorical": CategoricalPosterior,
        "gumbel-softmax": GumbelSoftmaxPosterior,
    },
    "prior": {
        "normal": NormalPrior,
        "laplace": LaplacePrior,
        "uniform-codes": UniformCodesPrior,
        "pixelcnn": PixelCNNPrior,
        "transformer": TransformerPrior,
        "mixture": MixturePrior,
        "vamp": VampPrior,
        "exemplar": ExemplarPrior,
        "flow": FlowPrior,
        "uniform-sphere": UniformSpherePrior,
        "wrapped-normal": WrappedNormalPrior,
        "categorical": CategoricalPrior,
        "structured": StructuredPrior,
        "conditional": ConditionalPrior,
    },
    "likelihood": {
        "bernoulli": BernoulliLikelihood,
        "continuous-bernoulli": ContinuousBernoulliLikelihood,
        "normal": NormalLikelihood,
        "laplace": LaplaceLikelihood,
        "categorical": CategoricalLikelihood,
        "discretized-logistic": DiscretizedLogisticLikelihood,
        "reconstruction": ReconstructionTerm,
        "perceptual": PerceptualLikelihood,
        "standardized": StandardizedLikelihood,
    },
    "corruption": {
        "mask": MaskingNoise,
        "gaussian": GaussianNoise,
        "salt-and-pepper": SaltAndPepperNoise,
        "standardized": StandardizedCorruption,
    },
    "objective": {
        "elbo": ELBO,
        "balanced-elbo": BalancedELBO,
        "iwae": ImportanceBound,
        "piwae": PartialImportanceBound,
        "dreg": DoublyReparameterizedBound,
        "stl": StickingTheLandingBound,
        "fivo": FilteringBound,
        "renyi": RenyiBound,
        "capacity": CapacityBound,
        "geco": ReconstructionConstraint,
        "vib": RateConstraint,
        "factor": FactorBound,
        "beta-tc": TotalCorrelationBound,
        "dip": CovarianceBound,
        "mmd": DiscrepancyBound,
        "sliced": SlicedBound,
        "adversarial": AdversarialBound,
        "rae": RegularizedBound,
        "gan": GANGame,
        "introspective": IntrospectiveBound,
        "info-gan": InfoGANGame,
        "feature-matching": FeatureMatchingGame,
        "vae-gan": VAEGANGame,
        "cvae-gan": CVAEGANGame,
        "reconstruction-gan": ReconstructionGame,
    },
}
SECTIONS = {
    "top": "prior",
    "classifier": "encoder",
    "vae": "model",
}  # arguments that hold a part of a seam with another name
WRAPPER, CONDITIONAL = "standardized", "conditional"
WRAPPERS = (WRAPPER, CONDITIONAL)  # put around parts by the build, never asked for by name
FROM_CONTEXT = (
    "data_shape",
    "latent_dim",
    "out_shape",
    "in_dim",
    "feature_dim",
    "condition",
    "structure",
    "units",
    "self",
)


def constructor(section: str, kind: str) -> type:
    """The class behind a kind.

    Raises:
        UnknownNameError: if there is no such kind; the nearest one is named.
    """
    if kind not in PARTS[section]:
        raise UnknownNameError(f"There is no {section} {kind!r}. {nearest(kind, PARTS[section])}")
    return PARTS[section][kind]


def settings_of(section: str, kind: str) -> dict[str, inspect.Parameter]:
    """The settings a user can give to a part: its constructor's arguments less those the build fills in."""
    parameters = inspect.signature(constructor(section, kind)).parameters
    return {name: p for name, p in parameters.items() if name not in FROM_CONTEXT}
