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
from reparam.models import VAE, HierarchicalVAE
from reparam.networks import (
    ConvDecoder,
    ConvEncoder,
    ConvHierarchy,
    GaussianNoise,
    MaskingNoise,
    MLPDecoder,
    MLPEncoder,
    MLPHierarchy,
    SaltAndPepperNoise,
    StandardizedCorruption,
    StandardizedEncoder,
    StandardizedHierarchy,
)
from reparam.objectives import ELBO, BalancedELBO
from reparam.posteriors import FullNormalPosterior, LaplacePosterior, NormalPosterior, PointPosterior
from reparam.priors import LaplacePrior, NormalPrior

PARTS: dict[str, dict[str, type]] = {
    "model": {"flat": VAE, "hierarchical": HierarchicalVAE},
    "hierarchy": {"mlp": MLPHierarchy, "conv": ConvHierarchy, "standardized": StandardizedHierarchy},
    "encoder": {"mlp": MLPEncoder, "conv": ConvEncoder, "standardized": StandardizedEncoder},
    "decoder": {"mlp": MLPDecoder, "conv": ConvDecoder},
    "posterior": {
        "normal": NormalPosterior,
        "full-normal": FullNormalPosterior,
        "laplace": LaplacePosterior,
        "point": PointPosterior,
    },
    "prior": {"normal": NormalPrior, "laplace": LaplacePrior},
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
    "objective": {"elbo": ELBO, "balanced-elbo": BalancedELBO},
}
SECTIONS = {"top": "prior"}  # arguments that hold a part of a seam with another name
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
