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
    ReconstructionTerm,
    StandardizedLikelihood,
)
from reparam.models import VAE
from reparam.networks import (
    ConvDecoder,
    ConvEncoder,
    GaussianNoise,
    MaskingNoise,
    MLPDecoder,
    MLPEncoder,
    SaltAndPepperNoise,
    StandardizedCorruption,
    StandardizedEncoder,
)
from reparam.objectives import ELBO
from reparam.posteriors import (
    CategoricalPosterior,
    FlowPosterior,
    FullNormalPosterior,
    GumbelSoftmaxPosterior,
    InverseAutoregressivePosterior,
    LaplacePosterior,
    MixturePosterior,
    NormalPosterior,
    PlanarPosterior,
    PointPosterior,
    RadialPosterior,
    VonMisesFisherPosterior,
    WrappedNormalPosterior,
)
from reparam.priors import (
    CategoricalPrior,
    ExemplarPrior,
    FlowPrior,
    LaplacePrior,
    MixturePrior,
    NormalPrior,
    UniformSpherePrior,
    VampPrior,
    WrappedNormalPrior,
)

PARTS: dict[str, dict[str, type]] = {
    "model": {"flat": VAE},
    "encoder": {"mlp": MLPEncoder, "conv": ConvEncoder, "standardized": StandardizedEncoder},
    "decoder": {"mlp": MLPDecoder, "conv": ConvDecoder},
    "posterior": {
        "normal": NormalPosterior,
        "full-normal": FullNormalPosterior,
        "laplace": LaplacePosterior,
        "point": PointPosterior,
        "mixture": MixturePosterior,
        "planar": PlanarPosterior,
        "radial": RadialPosterior,
        "inverse-autoregressive": InverseAutoregressivePosterior,
        "flow": FlowPosterior,
        "von-mises-fisher": VonMisesFisherPosterior,
        "wrapped-normal": WrappedNormalPosterior,
        "categorical": CategoricalPosterior,
        "gumbel-softmax": GumbelSoftmaxPosterior,
    },
    "prior": {
        "normal": NormalPrior,
        "laplace": LaplacePrior,
        "mixture": MixturePrior,
        "vamp": VampPrior,
        "exemplar": ExemplarPrior,
        "flow": FlowPrior,
        "uniform-sphere": UniformSpherePrior,
        "wrapped-normal": WrappedNormalPrior,
        "categorical": CategoricalPrior,
    },
    "likelihood": {
        "bernoulli": BernoulliLikelihood,
        "continuous-bernoulli": ContinuousBernoulliLikelihood,
        "normal": NormalLikelihood,
        "laplace": LaplaceLikelihood,
        "categorical": CategoricalLikelihood,
        "discretized-logistic": DiscretizedLogisticLikelihood,
        "reconstruction": ReconstructionTerm,
        "standardized": StandardizedLikelihood,
    },
    "corruption": {
        "mask": MaskingNoise,
        "gaussian": GaussianNoise,
        "salt-and-pepper": SaltAndPepperNoise,
        "standardized": StandardizedCorruption,
    },
    "objective": {"elbo": ELBO},
}
WRAPPER = "standardized"
FROM_CONTEXT = ("data_shape", "latent_dim", "out_shape", "in_dim", "self")


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
