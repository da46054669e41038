"""The table of parts: one constructor for each kind at each seam."""

import inspect

from reparam.errors import UnknownNameError, nearest
from reparam.likelihoods import (
    BernoulliLikelihood,
    CategoricalLikelihood,
    ContinuousBernoulliLikelihood,
    DiscretizedLogisticLikelihood,
    LaplaceLikelihood,
    MixtureLikelihood,
    NegativeBinomialLikelihood,
    NormalLikelihood,
    ObservationsLikelihood,
    OneHotLikelihood,
    PerceptualLikelihood,
    PoissonLikelihood,
    ReconstructionTerm,
    StandardizedLikelihood,
    ZeroInflatedNegativeBinomialLikelihood,
)
from reparam.models import (
    VAE,
    GroupedVAE,
    HierarchicalVAE,
    HybridVAE,
    ImplicitModel,
    SemiSupervisedVAE,
    SequentialVAE,
)
from reparam.networks import (
    ClassCondition,
    ConditionalDecoder,
    ConditionalEncoder,
    ConditionalHierarchy,
    ConvDecoder,
    ConvEncoder,
    ConvHierarchy,
    Dynamics,
    GaussianNoise,
    HiddenObservations,
    MapDecoder,
    MapEncoder,
    MaskingNoise,
    MLPDecoder,
    MLPEncoder,
    MLPHierarchy,
    ObservationsDecoder,
    ObservationsEncoder,
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
    StyleMatchBound,
    TotalCorrelationBound,
    VAEGANGame,
)
from reparam.posteriors import (
    CategoricalPosterior,
    ExpertsPosterior,
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
    RiemannianHamiltonianPosterior,
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
from reparam.trust import imported, is_path

PARTS: dict[str, dict[str, type]] = {
    "model": {
        "flat": VAE,
        "hierarchical": HierarchicalVAE,
        "semi-supervised": SemiSupervisedVAE,
        "implicit": ImplicitModel,
        "grouped": GroupedVAE,
        "sequential": SequentialVAE,
        "hybrid": HybridVAE,
    },
    "hierarchy": {
        "mlp": MLPHierarchy,
        "conv": ConvHierarchy,
        "conditional": ConditionalHierarchy,
        "standardized": StandardizedHierarchy,
    },
    "dynamics": {"recurrent": Dynamics},
    "condition": {"classes": ClassCondition, "vector": VectorCondition},
    "encoder": {
        "mlp": MLPEncoder,
        "conv": ConvEncoder,
        "map": MapEncoder,
        "standardized": StandardizedEncoder,
        "conditional": ConditionalEncoder,
        "observations": ObservationsEncoder,
    },
    "decoder": {
        "mlp": MLPDecoder,
        "conv": ConvDecoder,
        "map": MapDecoder,
        "conditional": ConditionalDecoder,
        "observations": ObservationsDecoder,
    },
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
        "riemannian-hamiltonian": RiemannianHamiltonianPosterior,
        "von-mises-fisher": VonMisesFisherPosterior,
        "wrapped-normal": WrappedNormalPosterior,
        "categorical": CategoricalPosterior,
        "gumbel-softmax": GumbelSoftmaxPosterior,
        "experts": ExpertsPosterior,
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
        "mixture": MixtureLikelihood,
        "poisson": PoissonLikelihood,
        "negative-binomial": NegativeBinomialLikelihood,
        "zero-inflated-negative-binomial": ZeroInflatedNegativeBinomialLikelihood,
        "one-hot": OneHotLikelihood,
        "standardized": StandardizedLikelihood,
        "observations": ObservationsLikelihood,
    },
    "corruption": {
        "mask": MaskingNoise,
        "gaussian": GaussianNoise,
        "salt-and-pepper": SaltAndPepperNoise,
        "hidden": HiddenObservations,
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
        "style-match": StyleMatchBound,
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
    "imputer": "encoder",
    "guess": "likelihood",
    "encoders": "encoder",
    "decoders": "decoder",
    "likelihoods": "likelihood",
    "imputers": "encoder",
}  # arguments that hold a part of a seam with another name
WRAPPER, CONDITIONAL, SEVERAL = "standardized", "conditional", "observations"
WRAPPERS = (WRAPPER, CONDITIONAL, SEVERAL)  # put around parts by the build, never asked for by name
FROM_CONTEXT = (
    "data_shape",
    "latent_dim",
    "out_shape",
    "in_dim",
    "feature_dim",
    "condition",
    "structure",
    "units",
    "widths",
    "shapes",
    "self",
)


def constructor(section: str, kind: str) -> type:
    """The class behind a kind, or behind the import path of one that is not in the table.

    Raises:
        UnknownNameError: if there is no such kind; the nearest one is named.
        RunError: if it is an import path, and the caller did not say that code may be imported, or there is no such
            class.
    """
    if is_path(kind):
        return imported(kind)
    if kind not in PARTS[section]:
        raise UnknownNameError(f"There is no {section} {kind!r}. {nearest(kind, PARTS[section])}")
    return PARTS[section][kind]


def arguments(cls: type) -> dict[str, inspect.Parameter]:
    """The arguments of a constructor that have a name."""
    unnamed = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {name: one for name, one in inspect.signature(cls).parameters.items() if one.kind not in unnamed}


def settings_of(section: str, kind: str) -> dict[str, inspect.Parameter]:
    """The settings a user can give to a part: its constructor's arguments less those the build fills in."""
    return {name: p for name, p in arguments(constructor(section, kind)).items() if name not in FROM_CONTEXT}
