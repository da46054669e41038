"""Parts of one's own whose tensors or distributions have the wrong shape are named in one sentence."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from reparam.errors import ShapeError
from reparam.likelihoods import NormalLikelihood
from reparam.models import VAE
from reparam.networks import MLPDecoder
from reparam.posteriors import NormalPosterior, Posterior
from reparam.priors import NormalPrior, Prior

F, L = 6, 3
X = torch.zeros(5, 1, 4, 4)


class Own(nn.Module):
    """Features by a function."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


class OwnPosterior(Posterior):
    """A Normal of some dimensions, each of them an event of its own or not."""

    def __init__(self, latent_dim: int, given: int, together: int) -> None:
        super().__init__(F, latent_dim, given)
        self.together = together

    def forward(self, h: Tensor) -> Distribution:
        return Independent(Normal(self.numbers(h), 1.0), self.together)


class OwnPrior(Prior):
    """The same, as a prior."""

    def __init__(self, latent_dim: int, given: int, together: int) -> None:
        super().__init__(latent_dim)
        self.given, self.together = given, together

    def forward(self, infer: Any = None) -> Distribution:
        return Independent(Normal(torch.zeros(self.given), 1.0), self.together)


def vae(encoder: nn.Module | None = None, posterior: Posterior | None = None, prior: Prior | None = None) -> VAE:
    return VAE(
        encoder or nn.Sequential(nn.Flatten(), nn.Linear(16, F)),
        posterior or NormalPosterior(F, L),
        prior or NormalPrior(L),
        MLPDecoder(L, (1, 4, 4), hidden_dims=[4]),
        NormalLikelihood((1, 4, 4), 0.1),
    )


def test_parts_of_the_right_shapes() -> None:
    model = vae(posterior=OwnPosterior(L, L, 1), prior=OwnPrior(L, L, 1))
    assert model.trace(X, 2).elbo.shape == (5,)
    assert model.encode(X[0]).shape == (L,)


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (lambda x: (x.flatten(1)[:, :F], x), "a tuple"),
        (lambda x: x.flatten(1), r"of shape \(5, 16\)"),
        (lambda x: x, r"of shape \(5, 1, 4, 4\)"),
        (lambda x: x.flatten()[:F], r"of shape \(6,\)"),
    ],
)
def test_features(function: Callable[[Tensor], Any], found: str) -> None:
    sentence = (
        rf"the encoder's features are {found}, expected a tensor \(5, 6\): 6 numbers for each example, of which No"
    )
    with pytest.raises(ShapeError, match=sentence):
        vae(encoder=Own(function)).trace(X)


@pytest.mark.parametrize(("given", "together", "event"), [(L, 0, r"\(\)"), (L + 1, 1, r"\(4,\)")])
def test_distributions(given: int, together: int, event: str) -> None:
    for own in ({"posterior": OwnPosterior(L, given, together)}, {"prior": OwnPrior(L, given, together)}):
        with pytest.raises(
            ShapeError, match=rf"Own.* gives a .* with event_shape {event}, expected \(3,\), all numbers"
        ):
            vae(**own).trace(X)  # type: ignore[arg-type]
