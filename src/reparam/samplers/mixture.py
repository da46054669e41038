"""A mixture of Normals over z."""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from reparam.errors import MissingExtraError, PartError
from reparam.rng import counted_seed
from reparam.samplers.base import Sampler

CANDIDATES = (1, 2, 4, 8, 16, 32)
MOST_CODES = 20_000
SMALLEST = 1e-6


class MixtureSampler(Sampler):
    r"""Fits a mixture of Normals with full covariances by expectation maximisation.

    .. math:: p(z) = \sum_{m=1}^{M} \pi_m\, \mathcal{N}(z; \mu_m, S_m S_m^\top)

    At most 20,000 codes, chosen at random, are looked at.

    Shapes:
        weights: (M,);  means: (M, L);  scale_tril: (M, L, L)
    Args:
        latent_dim: Number of latent dimensions, L.
        components: Number of Normals M; None takes the number out of 1, 2, 4, ... 32 with the lowest Bayesian
            information criterion.
    Raises:
        PartError: if components < 1, or there are fewer codes than components.
        MissingExtraError: if scikit-learn is not installed.
    Source:
        From variational to deterministic autoencoders (Ghosh et al., 2020), arXiv:1903.12436, section 4.
    """

    weights: Tensor
    means: Tensor
    scale_tril: Tensor

    def __init__(self, latent_dim: int, components: int | None = None) -> None:
        super().__init__(latent_dim)
        if components is not None and components < 1:
            raise PartError(f"MixtureSampler: components is {components}, expected at least 1.")
        self.components = components
        self._make_room(0)

    def load_state_dict(self, state_dict: Mapping[str, Any], *more: Any, **named: Any) -> Any:
        """Takes as many Normals as the state has."""
        self._make_room(len(state_dict["weights"]))
        return super().load_state_dict(state_dict, *more, **named)

    def _make_room(self, components: int) -> None:
        """Room for so many Normals, which are there only once the mixture is fitted, or read from a file."""
        self.register_buffer("weights", torch.zeros(components))
        self.register_buffer("means", torch.zeros(components, self.latent_dim))
        self.register_buffer("scale_tril", torch.zeros(components, self.latent_dim, self.latent_dim))

    def fit(self, z: Float[Tensor, "N L"], seed: int = 0) -> None:
        try:
            from sklearn.exceptions import ConvergenceWarning
            from sklearn.mixture import GaussianMixture
        except ImportError:
            raise MissingExtraError("The gmm sampler", "scikit-learn", "eval") from None
        least = max(2, self.components or 1)
        if len(z) < least:
            raise PartError(
                f"MixtureSampler: got {len(z)} codes, expected at least {least}. Fit it to more of them, or with fewer "
                "components."
            )
        state = counted_seed(seed, "gmm") % 2**32
        chosen = torch.randperm(len(z), generator=torch.Generator().manual_seed(state))[:MOST_CODES]
        values = z.cpu()[chosen].double().numpy()
        floor = max(SMALLEST * float(values.var()), 1e-12)
        numbers = [self.components] if self.components else [m for m in CANDIDATES if 2 * m <= len(values)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # one that needs longer is judged as it is
            tried = [GaussianMixture(m, reg_covar=floor, random_state=state).fit(values) for m in numbers]
        best = min(tried, key=lambda mixture: mixture.bic(values))
        self.components = len(best.weights_)
        device = self.means.device
        self._make_room(self.components)
        self.to(device)
        for name, found in (("weights", best.weights_), ("means", best.means_)):
            getattr(self, name).copy_(torch.from_numpy(found))
        self.scale_tril.copy_(torch.linalg.cholesky(torch.from_numpy(best.covariances_)))

    def distribution(self) -> MixtureSameFamily:
        """The mixture: batch (), event (L,)."""
        normals = MultivariateNormal(self.means, scale_tril=self.scale_tril, validate_args=False)
        return MixtureSameFamily(Categorical(self.weights, validate_args=False), normals, validate_args=False)

    def sample(self, n: int) -> Float[Tensor, "N L"]:
        return self.distribution().sample(torch.Size([n]))
