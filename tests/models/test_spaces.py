"""Latent spaces that are not R^L: what belongs together, and what walks through them give."""

from typing import Any

import pytest
import torch
from torch import Tensor

from reparam.errors import PartError, RefusedError
from reparam.latents import grid, interpolate, traverse
from reparam.models import VAE
from reparam.recipes import build
from reparam.recipes.latents import LATENTS
from reparam.rng import reseed
from tests.contracts.members import tiny_data


def model(recipe: str, **settings: Any) -> VAE:
    reseed(0)
    vae = build(recipe, tiny_data("real", (4,)), **settings)
    vae.start(torch.randn(9, 4))
    return vae.eval()


@pytest.mark.parametrize(
    ("recipe", "other"),
    [
        ("svae", {"prior": "normal"}),
        ("vae", {"prior": "uniform-sphere"}),
        ("poincare-vae", {"prior": "normal"}),
        ("vae", {"prior": "wrapped-normal"}),
        ("poincare-vae", {"prior": {"kind": "wrapped-normal", "curvature": 0.5}}),
        ("categorical-vae", {"prior": "normal"}),
        ("vae", {"prior": {"kind": "categorical", "classes": 2}}),
        ("categorical-vae", {"prior": {"kind": "categorical", "classes": 5}}),
        ("svae", {"prior": "exemplar"}),
        ("poincare-vae", {"prior": "uniform-sphere"}),
    ],
)
def test_parts_on_different_spaces_are_refused(recipe: str, other: dict[str, Any]) -> None:
    with pytest.raises(PartError, match=r"draws z from .*, .* from .* is infinite: take two on one space"):
        model(recipe, **other)


@pytest.mark.parametrize("posterior", ["von-mises-fisher", "wrapped-normal"])
def test_pseudo_inputs_mix_posteriors_on_any_space(posterior: str) -> None:
    vae = model("vamp-vae", posterior=posterior)
    assert vae.trace(torch.randn(3, 4), samples=2).log_w.isfinite().all()
    assert vae.sample(5).shape == (5, 4)


def test_a_mixture_of_codes_is_no_prior() -> None:
    with pytest.raises(PartError, match="VampPrior: CodePoint has no density"):
        _ = model("vamp-vae", posterior={"kind": "vq", "codes": 5}).trace(torch.randn(3, 4)).kl


def test_a_mixture_of_points_is_no_prior() -> None:
    with pytest.raises(PartError, match="VampPrior: PointMass has no density"):
        _ = model("vamp-vae", posterior="point").trace(torch.randn(3, 4))


@pytest.mark.parametrize("recipe", list(LATENTS))
def test_every_recipe_samples_at_a_temperature(recipe: str) -> None:
    vae = model(recipe)
    assert vae.sample(6).shape == (6, 4)
    if recipe == "svae":
        with pytest.raises(RefusedError, match=r"temperature of 0\.5 has no meaning. Use temperature=1"):
            vae.sample(6, temperature=0.5)
        return
    reseed(0)
    assert vae.sample(6, temperature=0.5).isfinite().all()


class Seen:
    """Keeps the codes that a model is asked to decode."""

    def __init__(self, vae: VAE) -> None:
        self.codes: list[Tensor] = []
        decode = vae.decode

        def watched(z: Tensor) -> Any:
            self.codes.append(z)
            return decode(z)

        vae.decode = watched  # type: ignore[method-assign]


@pytest.mark.parametrize("recipe", ["svae", "poincare-vae", "categorical-vae"])
def test_walks_stay_in_the_space(recipe: str) -> None:
    settings = {"posterior": {"classes": 2}, "prior": {"classes": 2}} if recipe == "categorical-vae" else {}
    vae = model(recipe, latent_dim=2, **settings)
    seen, x = Seen(vae), torch.randn(4, 4)
    assert traverse(vae, x[0]).shape == (2, 9, 4)
    assert interpolate(vae, x[:2], x[2:], steps=5).shape == (2, 5, 4)
    assert grid(vae, 4).shape == (4, 4, 4)
    z = torch.cat(seen.codes)
    assert z.isfinite().all()
    if recipe == "svae":
        assert torch.allclose(z.norm(dim=-1), torch.ones(len(z)), atol=1e-5)
    elif recipe == "poincare-vae":
        assert z.norm(dim=-1).max() < 1
    else:
        assert torch.allclose(z.sum(-1), torch.ones(len(z)))


@pytest.mark.parametrize(
    ("posterior", "sentence"),
    [
        ({"kind": "von-mises-fisher"}, "latent_dim is 1, where the sphere is two points"),
        ({"kind": "categorical"}, "latent_dim is 1, which does not divide into one-hot vectors of 10 classes"),
        ({"kind": "categorical", "classes": 1}, "classes is 1, expected at least 2"),
        ({"kind": "gumbel-softmax", "classes": 10}, "does not divide into one-hot vectors of 10 classes"),
        ({"kind": "wrapped-normal", "curvature": 0.0}, "curvature is 0.0, expected a positive number"),
        ({"kind": "mixture", "components": 0}, "components is 0, expected at least 1"),
        ({"kind": "planar", "transforms": 0}, "PlanarPosterior: transforms is 0, expected at least 1"),
        ({"kind": "radial", "transforms": -1}, "RadialPosterior: transforms is -1, expected at least 1"),
        ({"kind": "inverse-autoregressive", "hidden_dims": []}, "hidden_dims is .*, expected widths of 1 or more"),
        ({"kind": "flow", "hidden_dims": [0]}, "hidden_dims is .*, expected widths of 1 or more"),
        ({"kind": "flow", "hidden_dims": [10**6, 10**6]}, "the flow would have too many weights"),
    ],
)
def test_settings_that_make_no_posterior(posterior: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PartError, match=sentence):
        model("vae", posterior=posterior, latent_dim=1)


@pytest.mark.parametrize(
    ("prior", "sentence"),
    [
        ({"kind": "uniform-sphere"}, "latent_dim is 1, where the sphere is two points"),
        ({"kind": "vamp", "components": 0}, "VampPrior: components is 0, expected at least 1"),
        ({"kind": "exemplar", "components": 10**12}, "ExemplarPrior: .* are too many to keep"),
        ({"kind": "mixture", "components": -1}, "MixturePrior: components is -1, expected at least 1"),
        ({"kind": "wrapped-normal", "curvature": 16}, "lie up to 16 radii of curvature away, expected at most 14.5"),
        ({"kind": "wrapped-normal", "curvature": float("inf")}, "curvature is inf, expected a positive number"),
    ],
)
def test_settings_that_make_no_prior(prior: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PartError, match=sentence):
        model("vae", prior=prior, latent_dim=1)


@pytest.mark.parametrize("prior", ["vamp", "exemplar"])
def test_priors_made_of_posteriors_ask_for_them(prior: str) -> None:
    vae = model("vae", prior=prior)
    assert vae.prior is not None
    with pytest.raises(PartError, match=r"is made of posteriors .* Call it with infer=model.infer"):
        vae.prior()


@pytest.mark.parametrize("recipe", ["gumbel-vae", "categorical-vae"])
def test_discrete_codes_are_judged_exactly(recipe: str) -> None:
    vae = model(recipe)
    z = vae.trace(torch.randn(5, 4), samples=2).z
    assert torch.equal(z, z.round())
    relaxed = vae.train().trace(torch.randn(5, 4)).z
    assert torch.equal(relaxed, relaxed.round()) == (recipe == "categorical-vae")


@pytest.mark.parametrize("relaxation", [0.0, -1.0, float("inf"), float("nan")])
def test_a_relaxation_is_a_positive_number(relaxation: float) -> None:
    with pytest.raises(PartError, match=f"relaxation is {relaxation}, expected a positive number"):
        model("gumbel-vae", posterior={"relaxation": relaxation})
