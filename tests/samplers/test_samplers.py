"""Samplers: what they fit they draw, they are kept without pickle, and refuse latents that they are not for."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from reparam.data import load_data
from reparam.errors import ConfigError, PartError, RefusedError, RunError, UnknownNameError
from reparam.recipes import build
from reparam.rng import reseed
from reparam.runs import Run, open_run, train
from reparam.samplers import (
    SAMPLERS,
    AutoregressiveSampler,
    FlowMatchingSampler,
    FlowSampler,
    MixtureSampler,
    RiemannianSampler,
    Sampler,
    TwoStageSampler,
    draw,
    fitted,
)
from reparam.samplers.using import codes
from tests.contracts.members import tiny_data

MEAN = torch.tensor([2.0, -1.0])
TRIL = torch.tensor([[1.5, 0.0], [0.9, 0.5]])


def gaussian(count: int) -> Tensor:
    draws = torch.Generator().manual_seed(0)
    return MEAN + torch.randn(count, 2, generator=draws) @ TRIL.T


def sampled(sampler: Sampler, count: int) -> Tensor:
    reseed(1)
    return sampler.sample(count)


TRAINED: dict[str, Any] = {
    "flow-matching": lambda: FlowMatchingSampler(2, (32, 32), steps=600, ode_steps=10),
    "maf": lambda: FlowSampler(2, 1, (16,), steps=600),
    "iaf": lambda: FlowSampler(2, 1, (16,), "draw", steps=600),
    "two-stage": lambda: TwoStageSampler(2, (32,), steps=400),
}


@pytest.fixture(
    scope="module",
    params=["maf", "flow-matching", *(pytest.param(name, marks=pytest.mark.slow) for name in ("iaf", "two-stage"))],
)
def gaussian_sampler(request: pytest.FixtureRequest) -> Sampler:
    """Fitted to 4,000 draws of a Gaussian."""
    reseed(0)
    sampler: Sampler = TRAINED[request.param]()
    sampler.fit(gaussian(4000), seed=3)
    return sampler


def test_moments_of_a_gaussian(gaussian_sampler: Sampler) -> None:
    z = sampled(gaussian_sampler, 8000)
    covariance = TRIL @ TRIL.T
    # a twentieth of the spread for the mean; a sixth of the variance: some training, and draws of 8,000
    assert (z.mean(0) - MEAN).abs().le(0.08 * covariance.diagonal().sqrt()).all()
    assert (z.T.cov() - covariance).abs().le(0.17 * covariance.diagonal().max()).all()


def test_log_density_of_a_gaussian(gaussian_sampler: Sampler) -> None:
    if isinstance(gaussian_sampler, TwoStageSampler):
        assert not hasattr(gaussian_sampler, "log_prob")  # it has a bound only
        return
    z = gaussian(300)
    truth = torch.distributions.MultivariateNormal(MEAN, scale_tril=TRIL).log_prob(z)
    # the mean of the error is the KL of a density that was trained for some seconds
    assert (gaussian_sampler.log_prob(z) - truth).mean().abs() < 0.1
    side = torch.linspace(-8, 8, 81)
    grid = torch.cartesian_prod(side, side) + MEAN
    # the trapezoid rule in steps of 0.2, on a density whose smallest spread is 0.4
    assert gaussian_sampler.log_prob(grid).exp().sum().item() * 0.04 == pytest.approx(1, abs=0.03)


def test_flow_matching_density_is_that_of_its_draws() -> None:
    """Of an untrained field too: the way back undoes the way there."""
    reseed(0)
    sampler = FlowMatchingSampler(1, (8,), ode_steps=100)
    z = torch.linspace(-12, 12, 2401).unsqueeze(-1)
    density = sampler.log_prob(z).exp()
    assert density.sum().item() * 0.01 == pytest.approx(1, abs=0.01)
    drawn = sampled(sampler, 20_000)
    mean = (density * z[:, 0]).sum() * 0.01
    # five standard errors
    assert drawn.mean().item() == pytest.approx(mean.item(), abs=5 * drawn.std().item() / 20_000**0.5)


class TestMixture:
    def mixture(self, count: int) -> Tensor:
        draws = torch.Generator().manual_seed(0)
        left = torch.rand(count, 1, generator=draws) < 0.25
        return torch.where(left, -4.0, 3.0) + 0.5 * torch.randn(count, 2, generator=draws)

    def test_matches_a_known_mixture(self) -> None:
        sampler = MixtureSampler(2, components=2)
        sampler.fit(self.mixture(4000))
        order = sampler.means[:, 0].argsort()
        assert torch.allclose(sampler.weights[order], torch.tensor([0.25, 0.75]), atol=0.03)
        assert torch.allclose(sampler.means[order], torch.tensor([[-4.0, -4.0], [3.0, 3.0]]), atol=0.1)
        covariance = sampler.scale_tril @ sampler.scale_tril.mT
        assert torch.allclose(covariance, 0.25 * torch.eye(2).expand(2, 2, 2), atol=0.05)
        z = sampled(sampler, 4000)
        assert (z[:, 0] < 0).float().mean().item() == pytest.approx(0.25, abs=0.04)

    def test_finds_the_number_of_components(self) -> None:
        sampler = MixtureSampler(2)
        sampler.fit(self.mixture(1000))
        assert sampler.components == 2

    def test_refuses(self) -> None:
        with pytest.raises(PartError, match="components is 0, expected at least 1"):
            MixtureSampler(2, components=0)
        with pytest.raises(PartError, match="got 2 codes, expected at least 5"):
            MixtureSampler(2, components=5).fit(torch.zeros(2, 2))


class TestRiemannian:
    def sampler(self) -> RiemannianSampler:
        sampler = RiemannianSampler(1, centroids=3, chain=150, leapfrogs=8)
        sampler.fit(torch.tensor([[-2.0], [0.0], [1.0]]), scales=torch.tensor([[0.3], [0.5], [0.4]]))
        return sampler

    def test_draws_follow_the_volume(self) -> None:
        sampler = self.sampler()
        z = torch.linspace(-12, 12, 4801)[:, None]
        density = sampler.log_volume(z).exp()
        cumulative = density.cumsum(0) / density.sum()
        drawn = sampled(sampler, 4000)[:, 0].sort().values
        levels = torch.linspace(0.05, 0.95, 19)
        expected = z[torch.searchsorted(cumulative, levels), 0]
        found = drawn[(levels * len(drawn)).long()]
        # quantiles of 4,000 draws of chains that have mixed
        assert (found - expected).abs().max() < 0.15

    def test_metric_as_written(self) -> None:
        sampler, z = self.sampler(), torch.tensor([[0.4]])
        weights = (-(((0.4 - sampler.means[:, 0]) / sampler.scales[:, 0]) ** 2) / sampler.radius**2).exp()
        metric = (weights / sampler.scales[:, 0] ** 2).sum() + 1e-3 * math.exp(-1e-3 * 0.16)
        assert sampler.log_volume(z).item() == pytest.approx(0.5 * math.log(metric), abs=1e-5)
        gaps = sorted((sampler._distances(sampler.means) + 100 * torch.eye(3)).amin(1).tolist())
        assert sampler.radius.item() == pytest.approx(max(1.0, gaps[-1] ** 0.5))

    def test_of_one_code(self) -> None:
        sampler = RiemannianSampler(2, centroids=4, chain=2)
        sampler.fit(torch.ones(1, 2))
        assert sampler.sample(3).isfinite().all()

    def test_refuses(self) -> None:
        with pytest.raises(PartError, match="expected at least 1 of each, and a positive size"):
            RiemannianSampler(2, chain=0)


def test_autoregressive_draws_what_it_saw() -> None:
    """Two codes that are always equal, the first 1 three times as often as 0."""
    draws = torch.Generator().manual_seed(0)
    first = (torch.rand(2000, 1, generator=draws) < 0.75).float()
    reseed(0)
    sampler = AutoregressiveSampler((1, 2), 2, width=8, layers=1, steps=250)
    sampler.fit(first.expand(-1, 2))
    z = sampled(sampler, 3000)
    assert (z[:, 0] == z[:, 1]).float().mean() > 0.97
    assert z.mean().item() == pytest.approx(0.75, abs=0.05)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: FlowMatchingSampler(0), "latent_dim is 0"),
        (lambda: FlowMatchingSampler(2, steps=0), "steps is 0"),
        (lambda: FlowMatchingSampler(2, ode_steps=0), "ode_steps is 0"),
        (lambda: FlowSampler(2, transforms=0), "transforms is 0"),
    ],
)
def test_refuse_wrong_settings(make: Any, sentence: str) -> None:
    with pytest.raises(PartError, match=sentence):
        make()


def test_too_few_codes_for_a_validation_are_used_twice() -> None:
    sampler = TwoStageSampler(2, (4,), steps=2)
    sampler.fit(gaussian(3))
    assert sampler.sample(2).isfinite().all()


def test_a_value_that_never_changes() -> None:
    sampler = FlowMatchingSampler(2, (4,), steps=2)
    sampler.fit(torch.cat([gaussian(20)[:, :1], torch.full((20, 1), 7.0)], 1))
    assert sampler.sample(2).isfinite().all()


OVER = {"train": {"epochs": 1, "batch_size": 8, "validations": 1, "tensorboard": False}}
SMALL = {"model": {"network": {"kind": "mlp", "hidden_dims": [8]}}}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "table.csv"
    rows = [f"{math.sin(n):.3f},{n % 5},{0.1 * n:.1f},{n % 3}" for n in range(80)]
    path.write_text("\n".join(["a,b,c,d", *rows]) + "\n")
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, source: Path) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    for recipe in ("sigma-vae", "ae", "vq-vae", "residual-vq-vae"):
        train(recipe, {**OVER, **SMALL, "data": {"source": str(source)}}, out=folder / recipe, device="cpu")
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samplers that train for some steps only."""
    for name, kind in SAMPLERS.items():
        if name != "gmm":
            monkeypatch.setitem(kind.settings, "chain" if name == "riemannian" else "steps", 3)


KINDS = [("ae", name) for name in SAMPLERS if name != "autoregressive"] + [("vq-vae", "autoregressive")]
MORE = [("sigma-vae", name) for _, name in KINDS[:-1]] + [("residual-vq-vae", "autoregressive")]


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize(("recipe", "name"), [*KINDS, *(pytest.param(*pair, marks=pytest.mark.slow) for pair in MORE)])
def test_fitted_on_first_use_and_kept(runs: dict[str, Path], recipe: str, name: str) -> None:
    folder = runs[recipe] / "samplers" / name
    first = draw(open_run(runs[recipe], "cpu"), name, 6, seed=4)
    assert first.shape == (6, 4)
    assert first.isfinite().all()
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "weights.safetensors"]
    written = (folder / "config.json").stat().st_mtime_ns
    assert torch.equal(draw(open_run(runs[recipe], "cpu"), name, 6, seed=4), first)
    assert (folder / "config.json").stat().st_mtime_ns == written
    assert not torch.equal(draw(open_run(runs[recipe], "cpu"), name, 6, seed=5), first)


@pytest.mark.usefixtures("brief")
def test_fitted_again_where_the_model_has_changed(runs: dict[str, Path]) -> None:
    fitted(open_run(runs["ae"], "cpu"), "gmm")
    config = runs["ae"] / "samplers" / "gmm" / "config.json"
    content = json.loads(config.read_text())
    config.write_text(json.dumps(content | {"model": "another"}))
    fitted(open_run(runs["ae"], "cpu"), "gmm")
    assert json.loads(config.read_text()) == content


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["settings"].update(latent_dim=10**9),
        lambda c: c["settings"].update(latent_dim=3),
        lambda c: c["settings"].update(latent_dim="x"),
        lambda c: c["settings"].update(nonsense=1),
        lambda c: c.pop("settings"),
    ],
)
def test_a_damaged_one_is_refused(runs: dict[str, Path], change: Any) -> None:
    run = open_run(runs["sigma-vae"], "cpu")
    fitted(run, "gmm")
    config = runs["sigma-vae"] / "samplers" / "gmm" / "config.json"
    text = config.read_text()
    content = json.loads(text)
    change(content)
    config.write_text(json.dumps(content))
    with pytest.raises(RunError, match="the sampler is damaged"):
        fitted(run, "gmm")
    config.write_text(text)


@pytest.mark.usefixtures("brief")
def test_a_run_in_memory(source: Path) -> None:
    run = train("ae", {**OVER, **SMALL, "data": {"source": str(source)}}, device="cpu")
    assert draw(run, "gmm", 3).shape == (3, 4)


def test_a_run_in_memory_keeps_its_samplers() -> None:
    done = train("vae", {"train": {"epochs": 1, "tensorboard": False}}, data=tiny_data("real", (4,)), device="cpu")
    first = fitted(done, "gmm")
    assert fitted(done, "gmm") is first
    with torch.no_grad():
        next(done.model.parameters()).add_(1)
    assert fitted(done, "gmm") is not first


def test_a_model_is_no_run() -> None:
    with pytest.raises(ConfigError, match="draw: run is a VAE, expected a run, from train, fit, resume or open_run"):
        draw(build("vae", tiny_data("real", (4,))), "gmm")  # type: ignore[arg-type]


def test_refuses_what_it_is_not_for(runs: dict[str, Path]) -> None:
    run, quantised = open_run(runs["ae"], "cpu"), open_run(runs["vq-vae"], "cpu")
    with pytest.raises(RefusedError, match="draws codes from a finite set; this model's z are real numbers"):
        draw(run, "autoregressive")
    with pytest.raises(RefusedError, match="z are codes from a finite set, which have no density"):
        draw(quantised, "gmm")
    with pytest.raises(UnknownNameError, match=r"There is no sampler 'gm'. Did you mean 'gmm'"):
        draw(run, "gm")
    with pytest.raises(ConfigError, match="The gmm sampler has no temperature"):
        draw(run, "gmm", temperature=0.5)
    for sampler in ("prior", "gmm"):
        for n in (0, 2.5):
            with pytest.raises(ConfigError, match=f"n is {n}, expected a whole number of new examples, 1 or more"):
                draw(run, sampler, n)  # type: ignore[arg-type]
        for temperature in (-1.0, float("nan")):
            with pytest.raises(ConfigError, match=f"temperature is {temperature}, expected a number of 0 or more"):
                draw(run, sampler, temperature=temperature)
    with pytest.raises(RefusedError, match="no prior"):
        draw(run)


def test_draws_lie_where_codes_lie(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train("svae", {**OVER, **SMALL, "data": {"source": str(source)}}, out=tmp_path / "run", device="cpu")
    run = open_run(tmp_path / "run", "cpu")
    decoded, decode = [], run.model.decode
    monkeypatch.setattr(run.model, "decode", lambda z: decoded.append(z) or decode(z))
    draw(run, "gmm", 6, seed=1)
    assert torch.allclose(decoded[-1].norm(dim=-1), torch.ones(6))  # the unit sphere


def test_codes_are_draws(runs: dict[str, Path]) -> None:
    run = open_run(runs["sigma-vae"], "cpu")
    split = run.load_data().train
    first = codes(run.model, split, seed=1)
    assert first.shape == (len(split), run.model.latent_dim)
    assert torch.equal(codes(run.model, split, seed=1), first)
    assert not torch.equal(codes(run.model, split, seed=2), first)


def test_the_prior_is_a_sampler(runs: dict[str, Path]) -> None:
    run = open_run(runs["sigma-vae"], "cpu")
    assert draw(run, "prior", 5, seed=1).shape == (5, 4)
    assert not (runs["sigma-vae"] / "samplers" / "prior").exists()


def test_a_model_of_python_data_says_what_is_missing(tmp_path: Path) -> None:
    train("ae", {**OVER, **SMALL}, data=tiny_data("real", (4,)), out=tmp_path / "run", device="cpu")
    run: Run = open_run(tmp_path / "run", "cpu")
    with pytest.raises(RunError, match="trained on data given from Python"):
        draw(run, "gmm")


def test_sequences_of_several_lengths_are_sampled_step_by_step() -> None:
    """The codes of steps that there are, each by itself; those behind an end, which are 0, are not among them."""
    source = {"x": torch.rand(40, 3, 5).numpy(), "lengths": torch.arange(40).remainder(4).add(2).numpy()}
    settings = {"model": {"dynamics": {"step_dim": 2}}, "train": {"batch_size": 8, "epochs": 1, "tensorboard": False}}
    run = train("vrnn", settings, data=load_data(source), device="cpu")
    split = run.load_data().train
    found = codes(run.model, split)
    assert found.shape == (int(split.named["lengths"].sum()), 2)
    assert (found != 0).all()
    sampler = fitted(run, "gmm")
    assert sampler.latent_dim == 2
    assert sampler.sample(5).shape == (5, 2)
    made = draw(run, "gmm", 3, lengths=torch.tensor([2, 5, 3]))
    assert made.shape == (3, 3, 5)
    assert (made[0, :, 2:] == 0).all()
    assert (made[1, :, 4] != 0).all()
    assert draw(run, "riemannian", 2, lengths=4).shape == (2, 3, 5)
