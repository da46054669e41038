"""The perceptual term: its value by hand, what a training does to it, and what is kept."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import reparam
from reparam.data import load_data
from reparam.data.pretrained import squeezenet_weights
from reparam.errors import DataNotFoundError, PartError, RefusedError
from reparam.likelihoods import PerceptualLikelihood
from reparam.networks import FeatureNetwork, PerceptualDistance, instances
from reparam.recipes import build
from reparam.rng import reseed
from reparam.runs import train
from reparam.store import load, save
from tests.contracts.members import tiny_data

SHORT = {"batch_size": 8, "epochs": 1, "validations": 1, "tensorboard": False}


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instances, "STEPS", 3)


class Channels(nn.Module):
    """Features that are the pixels."""

    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize(("distance", "scale"), [("l2", 0.5), ("l1", 0.2)])
def test_the_energy_by_hand(distance: Any, scale: float) -> None:
    likelihood = PerceptualLikelihood((2, 1, 1), Channels(), distance=distance, scale=scale, pixel_weight=0.7).double()
    x = torch.tensor([[0.6, 0.8]], dtype=torch.float64).reshape(1, 2, 1, 1)
    x_hat = torch.tensor([[0.5, 0.5]], dtype=torch.float64).reshape(1, 2, 1, 1)
    gap, turn = x - x_hat, x - x_hat / 0.5**0.5
    if distance == "l2":
        expected = 2 / (2 * scale**2) * (turn.square().sum() + 0.7 * gap.square().mean())
    else:
        expected = 2 / scale * (turn.abs().sum() / 2**0.5 + 0.7 * gap.abs().mean())
    found = likelihood(x_hat.logit()).log_prob(x)
    assert found.item() == pytest.approx(-expected.item(), rel=1e-7)  # 1e-8 below the root of a length


def test_pixels_alone_are_the_exponent_of_a_normal_likelihood() -> None:
    likelihood = PerceptualLikelihood((1, 8, 8), "random", weights=(0.0,) * 4, scale=0.1, pixel_weight=1.0).double()
    reseed(0)
    h, x = torch.randn(3, 1, 8, 8, dtype=torch.float64), torch.rand(3, 1, 8, 8, dtype=torch.float64)
    normal = torch.distributions.Normal(h.sigmoid(), 0.1)
    expected = normal.log_prob(x) - normal.log_prob(h.sigmoid())
    assert torch.allclose(likelihood(h).log_prob(x), expected.sum((1, 2, 3)), rtol=1e-9)


@pytest.mark.slow
def test_training_follows_the_gradient_through_the_network() -> None:
    """Reconstructions get closer in features even where no pixels are compared; the network stays as it is."""
    data = tiny_data("unit", (1, 16, 16), (64, 8, 8))
    model = build("perceptual-vae", data, likelihood={"kind": "perceptual", "network": "random", "pixel_weight": 0.0})
    measure = PerceptualDistance((1, 16, 16), "random")
    x = data.train.batch(slice(None)).x
    before, weights = measure(x, model.reconstruct(x)).mean(), _weights(model)
    assert not any(name.startswith("likelihood") for name, _ in model.named_parameters())
    reparam.fit(model, data, epochs=6, batch_size=8, tensorboard=False, device="cpu")
    assert measure(x, model.reconstruct(x)).mean() < 0.9 * before
    assert all(torch.equal(value, weights[name]) for name, value in _weights(model).items())


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items() if name.startswith("likelihood")}


def test_the_network_learns_before_the_first_step_and_is_saved(tmp_path: Path) -> None:
    data = tiny_data("unit", (1, 9, 8))
    fresh = FeatureNetwork((1, 9, 8)).body[0].weight
    run = train("perceptual-vae", {"train": SHORT}, data=data, out=tmp_path / "run", device="cpu")
    assert not run.model.likelihood.starts
    assert not torch.equal(run.model.likelihood.measure.network.body[0].weight, fresh)
    again, x = load(tmp_path / "run"), data.test.batch(slice(None)).x
    assert all(torch.equal(a, b) for a, b in zip(_weights(run.model).values(), _weights(again).values(), strict=True))
    h = torch.randn(len(x), 1, 9, 8)
    assert torch.equal(again.likelihood(h).log_prob(x), run.model.likelihood(h).log_prob(x))
    assert again.likelihood.network == "trained"


def test_a_model_with_weights_from_a_file_needs_the_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPARAM_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setenv("REPARAM_CACHE", str(tmp_path / "cache"))
    data, path = tiny_data("levels", (3, 34, 35)), tmp_path / "weights.npz"
    settings = {"kind": "perceptual", "network": "squeezenet", "layers": [1, 3]}
    with pytest.raises(DataNotFoundError, match=r"squeezenet1_1_imagenet_features\.npz is not there\. Put it into"):
        train("perceptual-vae", {"model": {"likelihood": settings}, "train": SHORT}, data=data, device="cpu")
    shapes = {f"features.{k}": v.shape for k, v in FeatureNetwork(data.shape, "squeezenet").body.state_dict().items()}
    draws = np.random.default_rng(0)
    np.savez(path, **{name: draws.normal(size=tuple(shape)).astype("f4") for name, shape in shapes.items()})
    over = {"model": {"likelihood": settings | {"file": str(path)}}, "train": SHORT}
    run = train("perceptual-vae", over, data=data, out=tmp_path / "run", device="cpu")
    path.unlink()
    again, x = load(tmp_path / "run"), data.test.batch(slice(None)).x
    assert torch.equal(again.reconstruct(x), run.model.reconstruct(x))
    h = torch.randn(len(x), *data.shape)
    assert torch.equal(again.likelihood(h).log_prob(x), run.model.likelihood(h).log_prob(x))
    more = reparam.resume(tmp_path / "run", epochs=2, data=data, device="cpu")
    assert more.metrics[-1]["epoch"] == 2


def test_it_is_no_density() -> None:
    data = tiny_data("levels", (1, 8, 8))
    model = build("perceptual-vae", data).eval()
    x = data.test.batch(slice(None)).x
    with pytest.raises(RefusedError, match="a distance, not a density, so log p"):
        reparam.log_likelihood(model, x, samples=3)
    found = reparam.evaluate(model, data.test, ["elbo", "reconstruction", "nll"], samples=3)
    assert "elbo" not in found
    assert "bits_per_dim" not in found
    assert {"distortion", "mse", "nll_refused"} <= found.keys()


def test_a_module_of_ones_own_trains_and_is_not_saved(tmp_path: Path) -> None:
    data = tiny_data("unit", (1, 9, 8))
    model = build("ae", data, likelihood={"kind": "perceptual"})
    own = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    model.likelihood = PerceptualLikelihood((1, 9, 8), own)
    reparam.fit(model, data, device="cpu", **(SHORT | {"epochs": 1}))
    with pytest.raises(PartError, match="Sequential, which does not keep the argument 'args'"):
        save(model, tmp_path / "model")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"scale": 0.0}, "scale 0.0, pixel_weight 5.0; expected a number above 0"),
        ({"scale": float("nan")}, "scale nan"),
        ({"pixel_weight": -1.0}, "pixel_weight -1.0"),
        ({"data_shape": (17,)}, r"PerceptualLikelihood: .* data_shape is \(17,\)"),
    ],
)
def test_refuses(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PartError, match=sentence):
        PerceptualLikelihood(**({"data_shape": (1, 8, 8)} | settings))


def test_real_numbers_are_refused() -> None:
    with pytest.raises(PartError, match=r"values in \[0, 1\]"):
        build("perceptual-vae", tiny_data("real", (2, 5, 7)))


@pytest.mark.data
@pytest.mark.skipif(not os.environ.get("REPARAM_DATA"), reason="REPARAM_DATA is not set")
def test_squeezenet_tells_classes_apart_better_than_pixels() -> None:
    """Share of 300 test pictures of CIFAR-10 whose nearest of 1,500 is of their class; on three times the size.

    Pixels reach about 0.25. Where colours are swapped the network is worse: it was given them as it knows them.
    """
    data = load_data("cifar10")
    known, asked = (part.subset(n, 0).batch(slice(None)) for part, n in ((data.train, 1500), (data.test, 300)))
    measure = PerceptualDistance((3, 96, 96), "squeezenet")
    measure.start(torch.zeros(1, 3, 96, 96), squeezenet_weights)

    def features(x: Tensor) -> Tensor:
        large = nn.functional.interpolate(x, scale_factor=3, mode="bilinear")
        return torch.cat([_pooled(measure, part) for part in large.split(100)])

    def told(a: Tensor, b: Tensor) -> float:
        nearest = torch.cdist(b, a).argmin(1)
        return (known.named["labels"][nearest] == asked.named["labels"]).double().mean().item()

    own = features(known.x)
    by_features, swapped = told(own, features(asked.x)), told(own, features(asked.x.flip(1)))
    by_pixels = told(known.x.flatten(1), asked.x.flatten(1))
    assert by_features > by_pixels + 0.15
    assert by_features > swapped


def _pooled(measure: PerceptualDistance, x: Tensor) -> Tensor:
    """The last map's mean over its positions, of length 1."""
    return nn.functional.normalize(measure.network(x)[-1].mean((2, 3)), dim=1)
