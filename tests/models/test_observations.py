"""Models of several observations: their parts, with anything missing, and what they refuse."""

from typing import Any

import pytest
import torch
from torch import Size, Tensor
from torch.distributions import Normal

from reparam.composing import build_model, describe, rebuild
from reparam.config import merged
from reparam.data import Data, load_data
from reparam.distributions import Experts, SideBySide, kl_groups
from reparam.errors import PartError, RefusedError
from reparam.evaluation import evaluate
from reparam.latents import complete
from reparam.likelihoods import (
    BernoulliLikelihood,
    NormalLikelihood,
    ObservationsLikelihood,
    OneHotLikelihood,
    StandardizedLikelihood,
)
from reparam.models import HybridVAE
from reparam.networks import HiddenObservations, MLPDecoder, MLPEncoder, ObservationsDecoder, ObservationsEncoder
from reparam.objectives import ELBO
from reparam.posteriors import ExpertsPosterior
from reparam.posteriors.base import loc_scale
from reparam.priors import NormalPrior
from reparam.recipes import build, resolve
from reparam.recipes.observations import OBSERVATIONS
from reparam.report.figures import draw_sections
from reparam.report.numbers import headline_numbers
from reparam.report.subject import look_at
from reparam.rng import reseed
from reparam.runs import train
from reparam.trace import Progress
from tests.contracts.members import several_data

POOLINGS = ("product", "mixture", "mixture-of-products")


def encoder() -> ObservationsEncoder:
    reseed(0)
    return ObservationsEncoder(
        [MLPEncoder((4,), (5,)), MLPEncoder((2, 2, 3), (4,))], [(1.0, -2.0), ()], [(2.0, 0.5), ()]
    )


def posterior(pooling: str, count: int = 3, latent_dim: int = 2) -> ExpertsPosterior:
    reseed(0)
    return ExpertsPosterior(3 * count + count, latent_dim, (3,) * count, pooling).double()  # type: ignore[arg-type]


def features(flags: list[list[float]]) -> Tensor:
    reseed(1)
    h = torch.randn(len(flags), 3 * len(flags[0]), dtype=torch.float64)
    return torch.cat([h, torch.tensor(flags, dtype=torch.float64)], 1)


def test_an_encoder_sees_what_is_there_in_standard_units() -> None:
    network = encoder()
    x = torch.randn(3, 8)
    x[0, :2] = torch.nan  # all of the first
    x[1, 1] = torch.nan  # a part of it
    x[2, 2:] = torch.nan
    h = network(x)
    assert h.shape == (3, 11)
    assert h[:, 9:].tolist() == [[0, 1], [1, 1], [1, 0]]
    assert not h[0, :5].any()
    assert not h[2, 5:9].any()
    own = network.encoders[0]
    expected = own(torch.tensor([[(float(x[1, 0]) - 1) / 2, 0.0, 1.0, 0.0]]))
    assert torch.allclose(h[1, :5], expected[0])


def test_a_part_that_is_missing_changes_nothing_else() -> None:
    likelihood = ObservationsLikelihood(
        [
            StandardizedLikelihood(NormalLikelihood((2,), "predicted"), (1.0, 2.0), (3.0, 0.1)),
            OneHotLikelihood((3,)),
            BernoulliLikelihood((1, 2, 2)),
        ]
    ).double()
    reseed(2)
    h = torch.randn(5, *likelihood.out_shape, dtype=torch.float64)
    p_x = likelihood(h)
    x = p_x.sample()
    whole = p_x.log_prob_each(x)
    assert torch.allclose(p_x.log_prob(x), sum(whole))  # type: ignore[arg-type]
    assert torch.allclose(
        p_x.log_prob(x), sum(part.log_prob(own) for part, own in zip(p_x.parts, p_x.pieces(x), strict=True))
    )  # type: ignore[arg-type]
    for place, others in ((slice(0, 2), (1, 2)), (slice(2, 5), (0, 2)), (slice(5, 9), (0, 1))):
        less = x.clone()
        less[:, place] = torch.nan
        assert torch.allclose(p_x.log_prob(less), sum(whole[m] for m in others))  # type: ignore[arg-type]
    half = x.clone()
    half[:, 1] = torch.nan
    first = Normal(p_x.parts[0].base.base_dist.loc[:, 0] * 3 + 1, p_x.parts[0].base.base_dist.scale[:, 0] * 3)
    assert torch.allclose(p_x.log_prob(half), first.log_prob(x[:, 0]) + whole[1] + whole[2])


def test_what_is_missing_gives_a_gradient_that_is_finite_and_zero() -> None:
    likelihood = ObservationsLikelihood([NormalLikelihood((2,), "predicted"), OneHotLikelihood((3,))])
    h = torch.randn(4, *likelihood.out_shape, requires_grad=True)
    x = torch.full((4, 5), torch.nan)
    x[0] = torch.tensor([0.3, -1.0, 0.0, 1.0, 0.0])
    likelihood(h).log_prob(x).sum().backward()
    assert h.grad is not None
    assert h.grad.isfinite().all()
    assert h.grad[0].any()
    assert not h.grad[1:].any()


def test_a_product_is_the_normalised_product_with_the_prior() -> None:
    part, h = posterior("product"), features([[1, 0, 1], [0, 0, 0]])
    q = part(h).base_dist
    z = torch.linspace(-3, 3, 301, dtype=torch.float64)
    logs = Normal(0.0, 1.0).log_prob(z)
    for m in (0, 2):
        loc, scale = loc_scale(part.head[m](h[:1, 3 * m : 3 * m + 3])[0])
        logs = logs + Normal(loc[0], scale[0]).log_prob(z)
    apart = Normal(q.loc[0, 0], q.scale[0, 0]).log_prob(z) - logs
    assert torch.allclose(apart, apart[0].expand_as(apart), atol=1e-9)  # float64
    assert torch.equal(q.loc[1], torch.zeros(2, dtype=torch.float64))  # nothing is there: the prior
    assert torch.equal(q.scale[1], torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize(("pooling", "counted"), [("mixture", [2, 1, 1]), ("mixture-of-products", [3, 1, 1])])
def test_a_mixture_counts_the_subsets_of_what_is_there(pooling: str, counted: list[int]) -> None:
    part, h = posterior(pooling), features([[1, 0, 1], [0, 1, 0], [0, 0, 0]])
    q = part(h)
    assert isinstance(q, Experts)
    assert q.counts.sum(-1).tolist() == counted
    assert torch.equal(q.mean[2], torch.zeros(2, dtype=torch.float64))
    assert torch.equal(q.stddev[2], torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("pooling", POOLINGS[1:])
def test_a_mixture_has_the_moments_and_the_density_it_says(pooling: str) -> None:
    q = posterior(pooling, latent_dim=1)(features([[1, 0, 1], [1, 1, 1]]))
    grid = torch.linspace(-60, 60, 120_001, dtype=torch.float64)
    density = q.log_prob(grid[:, None, None].expand(-1, 2, 1)).exp()
    step = float(grid[1] - grid[0])
    assert torch.allclose(density.sum(0) * step, torch.ones(2, dtype=torch.float64), atol=1e-6)
    mean = (density * grid[:, None]).sum(0) * step
    assert torch.allclose(mean, q.mean[:, 0], atol=1e-5)
    variance = (density * (grid[:, None] - mean).square()).sum(0) * step
    assert torch.allclose(variance, q.variance[:, 0], rtol=1e-4)
    reseed(3)
    z = q.sample(Size([100_000]))[..., 0]
    assert ((z.mean(0) - mean).abs() < 4 * (variance / 100_000).sqrt()).all()


@pytest.mark.parametrize("pooling", POOLINGS[1:])
def test_the_gradient_of_a_mixture_is_unbiased(pooling: str) -> None:
    """d/d loc of E[z^2] of an equal mixture is 2 loc_s / S for each of its components."""
    q = posterior(pooling, latent_dim=1)(features([[1, 1, 1]]))
    loc = q.loc.detach().requires_grad_()
    reseed(3)
    again = Experts(loc, q.scale.detach(), q.counts)
    z = again.rsample(Size([200_000]))
    (found,) = torch.autograd.grad(z.square().mean(), loc)
    expected = torch.where(q.counts.unsqueeze(-1), 2 * loc / q.counts.sum(), 0.0)
    assert torch.allclose(found, expected.detach(), atol=0.05)  # 4 standard errors of z are below this


def test_kl_of_a_product_is_closed_and_of_a_mixture_sampled() -> None:
    p_z = NormalPrior(2)()
    for pooling in POOLINGS:
        q = posterior(pooling)(features([[1, 1, 0]]).float().double())
        z = q.rsample(Size([4]))
        kl = kl_groups(q, p_z, z)
        assert kl.shape == (4, 1, 2 if pooling == "product" else 1)


def test_hiding_leaves_something_and_stops_outside_training() -> None:
    reseed(0)
    hiding = HiddenObservations([(2,), (1, 1, 3), (1,)], 1.0)
    x = torch.randn(500, 6)
    x[:50, :5] = torch.nan
    seen = hiding(x)
    there = torch.stack([~seen[:, place].isnan().any(1) for place in (slice(0, 2), slice(2, 5), slice(5, 6))], 1)
    assert there.any(1).all()
    assert there[:50, 2].all()
    assert (there[50:].sum(1) == 1).any()
    assert (there[50:].sum(1) == 3).any()
    assert torch.equal(seen[~seen.isnan()], x[~seen.isnan()])
    assert torch.equal(hiding.eval()(x[50:]), x[50:])
    half = HiddenObservations([(2,), (1, 1, 3), (1,)], 0.5)(x[50:])
    assert 0.1 < half.isnan().any(1).float().mean() < 0.5


@pytest.mark.parametrize("recipe", OBSERVATIONS)
def test_one_item_has_the_numbers_it_has_in_a_batch(recipe: str) -> None:
    data = several_data()
    reseed(0)
    model = build(recipe, data).eval()
    x = data.test.batch(slice(None)).x
    whole = model.reconstruct(x)
    assert whole.isfinite().all()
    for number in (0, 2):
        assert torch.allclose(model.reconstruct(x[number]), whole[number], atol=1e-6)
        assert torch.allclose(model.encode(x[number : number + 1])[0], model.encode(x)[number], atol=1e-6)


@pytest.mark.parametrize("recipe", OBSERVATIONS)
def test_a_description_makes_the_same_model(recipe: str) -> None:
    model = build(recipe, several_data())
    again = rebuild(describe(model, "model"), "model")
    assert repr(again) == repr(model)


@pytest.mark.parametrize(
    "recipe", ["hybrid-vae", *(pytest.param(r, marks=pytest.mark.slow) for r in ("mvae", "mmvae", "mopoe-vae"))]
)
def test_what_is_missing_is_learned(recipe: str) -> None:
    """Two views of one number: each is told from the other, far better than by its mean."""
    reseed(0)
    t = torch.rand(600, 1) * 2 - 1
    first = torch.cat([t, t.square(), -t], 1) + 0.02 * torch.randn(600, 3)
    second = torch.cat([10 * t + 5, t.abs()], 1) + 0.02 * torch.randn(600, 2)
    second[::3] = torch.nan
    data = load_data({"first": first, "second": second}, observations=("first", "second"))
    settings: dict[str, Any] = {
        "train": {"epochs": 20, "batch_size": 64, "learning_rate": 5e-3, "tensorboard": False, "validations": 1},
        "model": {"latent_dim": 3, "encoders": {"first": {"hidden_dims": [64]}, "second": {"hidden_dims": [64]}}},
    }
    run = train(recipe, settings, data=data, device="cpu")
    found = evaluate(run.model, data.test, ["imputation"])
    assert found["imputation_error_second"] < 0.3  # of its standard deviation
    if recipe != "hybrid-vae":  # which guesses the second from the first alone
        assert found["imputation_error_first"] < 0.6
    some = data.test.batch(slice(0, 4)).x.clone()
    some[:, 3:] = torch.nan
    reseed(0)
    completion = complete(run.model, some, 64)
    assert torch.equal(completion.mean[:, :3], some[:, :3])
    assert (completion.std[:, 3:] > 0).all()
    assert not completion.std[:, :3].any()


def test_pictures_that_are_missing_are_guessed() -> None:
    reseed(0)
    place = torch.rand(120, 1, 1, 1)
    rgb = (torch.linspace(0, 1, 4).expand(120, 3, 4, 4) + place).div(2)
    depth = 1 - rgb.mean(1, keepdim=True)
    depth[::3] = torch.nan
    data = load_data({"rgb": rgb, "depth": depth}, observations=("rgb", "depth"))
    settings = {"train": {"epochs": 24, "batch_size": 16, "learning_rate": 5e-3, "validations": 1}}
    run = train("hybrid-vae", settings, data=data, device="cpu")
    assert run.config.model.imputed == ("depth",)  # type: ignore[union-attr]
    x = data.test.batch(slice(None)).x
    whole = x[~x.isnan().any(1)]
    hidden = whole.clone()
    hidden[:, -16:] = torch.nan
    guess = run.model.guessed(hidden).mean
    spread = (whole[:, -16:] - whole[:, -16:].mean(0)).square().mean()
    assert (guess - whole[:, -16:]).square().mean() < 0.3 * spread
    completion = complete(run.model, hidden, 32)
    assert (completion.mean[:, -16:] - whole[:, -16:]).square().mean() < 0.3 * spread
    assert (completion.std[:, -16:] > 0).all()


def test_bits_cannot_be_guessed() -> None:
    bits = {"first": torch.rand(20, 3), "second": torch.rand(20, 4).round()}
    with pytest.raises(PartError, match="'mvae' leaves it out"):
        build("hybrid-vae", load_data(bits, observations=("first", "second")))


def test_what_makes_no_sense_is_refused() -> None:
    data = several_data()
    with pytest.raises(PartError, match="one of several observations"):
        build("mvae", load_data("digits", limit=20))
    with pytest.raises(PartError, match="several observations"):
        build("vae", data)
    with pytest.raises(PartError, match="imputed"):
        build("hybrid-vae", data, imputed=["nothing"])
    assert data.spec.observations[0].kind == "unit"
    with pytest.raises(PartError, match="likelihood within 0 and 1"):
        build("hybrid-vae", data, imputed="picture", likelihoods={"picture": {"kind": "continuous-bernoulli"}})
    with pytest.raises(PartError, match="one for each of"):
        build_model(_without_one(data), data.spec)
    relaxed = {"posterior": {"kind": "gumbel-softmax", "classes": 2}, "prior": {"kind": "categorical", "classes": 2}}
    with pytest.raises(PartError, match="a density in training, too"):
        build("hybrid-vae", data, **relaxed, latent_dim=4)
    with pytest.raises(PartError, match="subsets"):
        ExpertsPosterior(7 * 2, 2, (1,) * 7, "mixture-of-products")
    with pytest.raises(PartError, match="optimal"):
        ObservationsLikelihood([NormalLikelihood((2,), "optimal")])
    with pytest.raises(PartError, match="latent_dim"):
        ObservationsDecoder([MLPDecoder(2, (3,)), MLPDecoder(3, (3,))])
    model = build("hybrid-vae", data)
    assert isinstance(model, HybridVAE)
    x = data.test.batch(slice(None)).x
    with pytest.raises(RefusedError, match="reads the path"):
        model.trace(x, fixed_q=True)
    z = torch.zeros(model.latent_dim)
    assert torch.equal(model.infer(x[1:]).log_prob(z), model.vae.infer(x[1:]).log_prob(z))  # nothing is missing
    x[0, -1] = torch.nan
    with pytest.raises(RefusedError, match="no closed form"):
        model.infer(x).log_prob(z)


def _without_one(data: Data) -> Any:
    config = resolve("mvae", data)
    values = config.model_dump(mode="json")["model"]
    values["encoders"].pop("picture")
    from reparam.config import parse_config

    return parse_config(merged(config.model_dump(mode="json"), {}) | {"model": values}).model


def test_side_by_side_of_one_item() -> None:
    likelihood = ObservationsLikelihood([NormalLikelihood((2,), 0.5), OneHotLikelihood((3,))])
    p_x = likelihood(torch.randn(5))
    assert isinstance(p_x, SideBySide)
    assert p_x.batch_shape == ()
    assert p_x.sample().shape == (5,)
    wide = p_x.expand(Size([4]))
    assert wide.log_prob(p_x.sample()).shape == (4,)


@pytest.mark.parametrize("recipe", ["mvae", pytest.param("hybrid-vae", marks=pytest.mark.slow)])
def test_the_report_shows_what_is_completed(recipe: str, sketched: None) -> None:
    data = several_data()
    model = build(recipe, data).eval()
    sections = {section.name: section for section in draw_sections(look_at(model, data, {}), [])}
    names = {figure.name for section in sections.values() for figure in section.figures}
    assert {"completions-picture", "completions-numbers", "completions-labels", "samples-picture"} <= names
    captions = {figure.name: figure.caption for figure in sections["reconstructions"].figures}
    assert "told from picture and labels" in captions["completions-numbers"]


@pytest.mark.parametrize("pooling", POOLINGS)
def test_mixed_precision_keeps_experts_exact(pooling: str) -> None:
    part = posterior(pooling).float()
    with torch.no_grad():
        for head in part.head.children():
            head.bias[2:] = -6.0  # narrow experts, whose precision half precision cannot hold
    h = features([[1, 0, 1], [0, 1, 0]]).float()
    exact = part(h)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = part(h)
    assert rounded.mean.dtype == torch.float32
    assert torch.allclose(rounded.mean, exact.mean, atol=0.02)
    assert torch.allclose(rounded.stddev, exact.stddev, rtol=0.05)


@pytest.mark.parametrize(
    ("recipe", "settings", "said"),
    [
        ("mvae", {"model": {"likelihoods": {"numbers": {"kind": "one-hot"}}}}, "one-hot is not for real"),
        ("mvae", {"model": {"likelihoods": {"labels": {"kind": "normal"}}}}, "normal is not for classes"),
        ("mvae", {"model": {"prior": {"kind": "vamp"}}}, "vamp needs data_shape"),
        ("mvae", {"objective": {"kind": "vae-gan"}}, "some may be missing"),
    ],
)
def test_parts_that_are_for_something_else_are_refused(recipe: str, settings: dict[str, Any], said: str) -> None:
    settings = {"train": {"epochs": 1, "tensorboard": False}, **settings}
    with pytest.raises(PartError, match=said):
        train(recipe, settings, data=several_data(), device="cpu")


def test_free_bits_leave_the_entropy_of_the_guess_alone() -> None:
    reseed(0)
    data = several_data()
    model = build("hybrid-vae", data, hidden=0.0, alpha=0.0).train()
    x = data.train.batch(slice(None)).x.clone()
    x[:, data.spec.places["numbers"]] = torch.nan
    trace = model.trace(x)
    assert trace.kl.shape == (1, len(x), model.latent_dim)
    ELBO(free_bits=1e6).bound(trace, Progress()).loss.backward()
    assert isinstance(model, HybridVAE)
    assert model.head.weight.grad is not None
    assert model.head.weight.grad.abs().sum() > 0


def test_the_code_of_a_training_trace_is_that_of_one_class() -> None:
    """Its spread is that of draws, not that of a mean over the classes."""
    reseed(0)
    data = several_data()
    model = build("hybrid-vae", data, hidden=0.0).train()
    x = data.train.batch(slice(None)).x.clone()
    x[:, data.spec.places["labels"]] = torch.nan
    with torch.no_grad():
        training = model.trace(x, 400).z.var(0)
        judged = model.eval().trace(x, 400).z.var(0)
    assert torch.allclose(training.mean(), judged.mean(), rtol=0.05)


def test_metrics_of_whole_examples_are_refused() -> None:
    data = several_data()
    found = evaluate(build("mvae", data).eval(), data.test, ["elbo", "fid", "ppc", "imputation"])
    assert "compares whole examples" in found["fid_refused"]
    assert "compares whole examples" in found["ppc_refused"]
    assert {"imputation_error_picture", "imputation_error_numbers", "imputation_accuracy_labels"} <= found.keys()
    names = {row.name: row.unit for row in headline_numbers(found)}
    assert names["labels, hidden"] == "accuracy"
    assert names["numbers, hidden"] == "standard deviations"
