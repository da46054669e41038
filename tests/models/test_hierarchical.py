"""The hierarchical model: its parts must fit, its trace says what its densities say, one item is a batch of one."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from reparam.data import Batch
from reparam.errors import PartError, RefusedError, ShapeError
from reparam.evaluation import evaluate
from reparam.latents import interpolate, traverse
from reparam.likelihoods import BernoulliLikelihood, Likelihood, NormalLikelihood
from reparam.models import HierarchicalVAE
from reparam.networks import ConvHierarchy, Hierarchy, MaskingNoise, MLPHierarchy, SpectralNorms
from reparam.networks.bounded import bounded
from reparam.networks.hierarchy import MERGES
from reparam.priors import CategoricalPrior, LaplacePrior, MixturePrior, NormalPrior, Prior, VampPrior
from reparam.recipes import build
from reparam.report.subject import look_at
from reparam.rng import reseed
from reparam.runs import fit
from reparam.shapes import Shape
from reparam.store import load, save
from reparam.trace import Progress
from reparam.training import Trainer
from reparam.training.compiling import compiled
from tests.contracts.members import dead, make, members, seeded_, tiny_data, values
from tests.training.trained import equal, settings, timeless, weights

IMAGE = (1, 12, 9)
B = 4


def put_together(
    hierarchy: Hierarchy, likelihood: Likelihood | None = None, top: Prior | None = None, **more: Any
) -> HierarchicalVAE:
    likelihood = likelihood or NormalLikelihood(hierarchy.data_shape, 0.5)
    return HierarchicalVAE(hierarchy, top or NormalPrior(hierarchy.latent_dims[0]), likelihood, **more)


def mlp(shape: Shape = (4,), top: Prior | None = None, merge: Any = "joint", **more: Any) -> HierarchicalVAE:
    reseed(0)
    hierarchy = MLPHierarchy(shape, shape, (2, 3, 2), (6,), merge=merge)
    return seeded_(put_together(hierarchy, top=top, **more)).double()  # type: ignore[return-value]


def conv(**more: Any) -> HierarchicalVAE:
    reseed(0)
    hierarchy = ConvHierarchy(IMAGE, IMAGE, "1x1,3x2,6x1", channels=6, latent_channels=2)
    model = seeded_(put_together(hierarchy, BernoulliLikelihood(IMAGE), **more), spread=0.05)
    return model.double()  # type: ignore[return-value]


MODELS = {"mlp": mlp, "conv": conv}
EACH = pytest.mark.parametrize("name", list(MODELS))


def examples(model: HierarchicalVAE, count: int = B) -> Tensor:
    reseed(1)
    return values("binary" if model.binary else "real", count, *model.data_shape)


@EACH
def test_trace(name: str) -> None:
    model = MODELS[name]()
    x = examples(model)
    trace = model.trace(x, samples=3)
    groups = len(model.hierarchy.latent_dims)
    assert trace.z.shape == (3, B, model.latent_dim)
    assert trace.kl.shape == (3, B, groups)
    assert trace.kl_dims is not None
    assert trace.kl_dims.shape == (3, B, model.latent_dim)
    assert trace.log_q.shape == trace.log_p_z.shape == trace.log_p_x.shape == (3, B)
    # sums in the order of one walk and of another: float64 rounding
    assert torch.allclose(trace.kl.sum(-1), trace.kl_dims.sum(-1), atol=1e-10)
    assert torch.allclose(trace.log_q, model.infer(x).log_prob(trace.z), atol=1e-10)
    assert torch.allclose(trace.log_p_z, model.prior().log_prob(trace.z), atol=1e-10)
    assert torch.allclose(trace.log_p_x, model.decode(trace.z).log_prob(x), atol=1e-10)
    assert trace.penalty is None
    (-trace.elbo.mean()).backward()
    assert not dead(model)


@EACH
def test_fixed_q_changes_gradients_and_no_number(name: str) -> None:
    model = MODELS[name]()
    x = examples(model)
    traces = []
    for fixed_q in (False, True):
        reseed(2)
        traces.append(model.trace(x, samples=2, fixed_q=fixed_q))
    for field in ("z", "kl", "log_q", "log_p_z", "log_p_x"):
        assert torch.allclose(getattr(traces[0], field), getattr(traces[1], field), atol=1e-10)
    (gradient,) = torch.autograd.grad(traces[1].log_q.sum(), traces[1].z)
    assert gradient.ne(0).any(-1).all()


@EACH
def test_encoding_once_and_drawing_many_times_is_one_trace(name: str) -> None:
    model = MODELS[name]()
    x = examples(model)
    reseed(3)
    first = model.trace(x, samples=5)
    q = model.infer(x)
    reseed(3)
    again = model.trace(x, samples=5, q=q)
    assert again.q is q
    assert all(torch.equal(getattr(first, f), getattr(again, f)) for f in ("z", "kl", "log_q", "log_p_z", "log_p_x"))


@EACH
def test_one_item_alone_is_a_batch_of_one(name: str) -> None:
    model = MODELS[name]().float()
    x = examples(model).float()
    q, one = model.infer(x), model.infer(x[1])
    assert (one.batch_shape, one.event_shape) == ((), (model.latent_dim,))
    # float32 sums of some hundred terms in another order
    assert torch.allclose(one.mean, q.mean[1], atol=1e-6)
    assert torch.allclose(one.stddev, q.stddev[1], atol=1e-6)
    assert torch.allclose(model.reconstruct(x[1]), model.reconstruct(x)[1], atol=1e-5)
    reseed(4)
    alone = model.trace(x[1], samples=2)
    reseed(4)
    given = model.trace(x[1], samples=2, q=one)
    assert alone.log_w.shape == (2, 1)
    assert torch.equal(alone.log_w, given.log_w)
    same = q.log_prob(alone.z.expand(-1, B, -1))[:, 1]
    assert torch.allclose(same, alone.log_q[:, 0], rtol=1e-3)  # a difference of larger numbers, in float32


@EACH
def test_codes_are_means_and_draw_nothing(name: str) -> None:
    model = MODELS[name]()
    x = examples(model)
    before = torch.get_rng_state()
    z = model.encode(x)
    assert torch.equal(z, model.encode(x))
    assert torch.equal(model.reconstruct(x), model.decode(z).mean)
    assert torch.equal(model.infer(x).at(z).q[0], model.infer(x).at(z).z)  # type: ignore[index]
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(model.encode(x, draw=True), z)


@EACH
def test_any_batch_of_codes_is_decoded(name: str) -> None:
    model = MODELS[name]()
    z = torch.randn(2, 3, model.latent_dim, dtype=torch.float64)
    p_x = model.decode(z)
    assert p_x.batch_shape == (2, 3)
    assert torch.allclose(p_x.mean[1, 2], model.decode(z[1, 2]).mean, atol=1e-10)
    assert model.decode(z[:0]).mean.shape == (0, 3, *model.data_shape)


@EACH
def test_samples(name: str) -> None:
    model = MODELS[name]()
    assert model.sample(7).shape == model.sample(7, draw=True).shape == (7, *model.data_shape)
    cold = model.sample(3, temperature=0.0)
    assert torch.allclose(cold, model.decode(model.prior().mean).mean.expand_as(cold), atol=1e-10)
    spread = [model.prior().sample(torch.Size([500]), t).std(0).mean().item() for t in (0.25, 1.0, 2.0)]
    assert spread == sorted(spread)


@EACH
def test_q_and_p_are_distributions(name: str) -> None:
    model = MODELS[name]()
    x = examples(model)
    for distribution, batch in ((model.infer(x), (B,)), (model.prior(), ())):
        assert (distribution.batch_shape, distribution.event_shape) == (batch, (model.latent_dim,))
        z = distribution.sample(torch.Size([2]))
        assert not z.requires_grad
        assert z.shape == (2, *batch, model.latent_dim)
        assert distribution.log_prob(z).shape == (2, *batch)
        wide = distribution.expand(torch.Size([2, *batch]))
        assert torch.allclose(wide.log_prob(z), distribution.log_prob(z), atol=1e-10)
        assert wide.mean.shape == (2, *batch, model.latent_dim)
        assert distribution.variance.gt(0).all()
    with pytest.raises(ShapeError, match=r"a batch of \(4,\) cannot become \(3,\)"):
        model.infer(x).expand(torch.Size([3]))


@EACH
def test_no_example_is_no_fault(name: str) -> None:
    model = MODELS[name]()
    assert model.encode(examples(model)[:0]).shape == (0, model.latent_dim)


@pytest.mark.parametrize("merge", ["joint", "precision", "delta"])
def test_merges_by_hand(merge: str) -> None:
    loc, raw, p_loc, p_raw = (torch.tensor([v], dtype=torch.float64) for v in (0.7, -0.4, -1.1, 0.3))
    own, prior = bounded(raw).exp(), bounded(p_raw).exp()
    found, scale = MERGES[merge]((loc, raw), (p_loc, p_raw), (p_loc, prior))
    if merge == "precision":
        weights = own**-2, prior**-2
        total = sum(weights)
        assert torch.allclose(found, (loc * weights[0] + p_loc * weights[1]) / total, atol=1e-14)
        assert torch.allclose(scale, total**-0.5, atol=1e-14)
    else:
        shift = p_loc if merge == "delta" else 0 * p_loc
        assert torch.allclose(found, loc + shift, atol=1e-14)
        assert torch.allclose(scale, bounded(raw + (p_raw if merge == "delta" else 0)).exp(), atol=1e-14)


def test_a_precise_side_wins_the_ladders_merge() -> None:
    zero, low = torch.zeros(1), torch.full((1,), -30.0)
    sharp = bounded(low).exp()
    loc, scale = MERGES["precision"]((zero + 1, low), (zero, zero), (zero, zero + 1))
    assert torch.allclose(loc, zero + 1, atol=1e-6)
    assert torch.allclose(scale, sharp, rtol=1e-5)


def test_delta_of_nothing_is_the_prior() -> None:
    """The residual Normal with zeros from the network has no KL."""
    model = mlp(merge="delta")
    for group in model.hierarchy.groups:  # type: ignore[union-attr]
        torch.nn.init.zeros_(group.q_net.out.weight)
        torch.nn.init.zeros_(group.q_net.out.bias)
    assert not model.trace(examples(model)).kl[..., 1:].any()


def test_a_prior_of_posteriors_on_top() -> None:
    model = mlp(top=VampPrior(2, (4,), components=2))
    x = examples(model)
    trace = model.trace(x, samples=2)
    q = model.infer_top(model.top.pseudo_inputs)
    assert (q.batch_shape, q.event_shape) == ((2,), (2,))
    first = trace.z[..., :2]
    by_hand = torch.logsumexp(q.log_prob(first[..., None, :]), -1) - torch.log(torch.tensor(2.0)).double()
    assert trace.p_z is not None
    assert torch.allclose(trace.p_z.top.log_prob(first), by_hand, atol=1e-7)  # log 2 in float32
    assert torch.allclose(trace.kl[..., 0], model.infer_top(x).log_prob(first) - trace.p_z.top.log_prob(first))
    assert trace.kl_dims is None
    trace.elbo.sum().backward()
    assert not dead(model)
    assert model.sample(5, temperature=0.5).shape == (5, 4)


def test_without_noise_a_mixture_on_top_leaves_its_components() -> None:
    top = MixturePrior(2, components=3)
    still = mlp(top=top).prior().tempered(torch.Size([50]), 0.0)[:, :2]
    assert torch.cdist(still, top.loc.detach()).amin(-1).max() < 1e-9
    assert len(still.round(decimals=9).unique(dim=0)) > 1


def test_a_laplace_prior_on_top_has_its_own_kl() -> None:
    model = mlp(top=LaplacePrior(2))
    trace = model.trace(examples(model))
    assert isinstance(model.infer_top(examples(model)[0]).base_dist, Normal)
    assert torch.allclose(trace.log_p_z, model.prior().log_prob(trace.z), atol=1e-10)


@pytest.mark.parametrize(("kind", "given"), members("objective"))
@EACH
def test_every_objective_runs(name: str, kind: str, given: Any) -> None:
    model = MODELS[name]()
    objective = make("objective", kind, given, model.data_shape, model.latent_dim).double()
    batch = Batch(examples(model, 6), {"labels": torch.arange(6) % 3})
    players = list(objective.players(model))
    reason = ""
    try:
        bounds = [player.play(batch, Progress(3, 10, examples=60)) for player in players]
    except RefusedError as refusal:  # q has noise, and groups that depend on those above them
        reason = str(refusal)
    if kind == "dip":
        assert "is not that of its draws" in reason
        return
    if reason:
        assert re.search("without a KL it would shrink" if objective.noiseless else "does not factorise", reason)
        return
    for bound in bounds:
        assert bound.value.shape == (6,)
        bound.loss.backward()
    fallen = set(dead(model))
    if kind in ("gan", "info-gan", "feature-matching"):  # these make examples and code none
        assert fallen < {name for name, _ in model.named_parameters()}
        return
    assert not fallen or len(players) > 1  # a critic judges p(z) by draws that pass it no gradient
    model.zero_grad()
    trace = model.trace(batch.x)
    (trace.z.sum() - trace.log_p_x.sum()).backward()
    assert fallen <= set(dead(model))  # none that codes or reconstructions depend on


@pytest.mark.parametrize(
    ("recipe", "shape"),
    [
        *[("biva", shape) for shape in ((1, 28, 28), (3, 64, 48), (1, 28, 20), (4, 33), (1, 1, 40))],
        ("ladder-vae", (1, 28, 20)),
        ("very-deep-vae", (3, 64, 48)),
    ],
)
def test_any_shape_builds(recipe: str, shape: Shape) -> None:
    model = build(recipe, tiny_data("unit", shape), hierarchy={"channels": 4, "latent_channels": 1})
    x = tiny_data("unit", shape).test.batch(slice(0, 2)).x
    assert model.trace(x).elbo.shape == (2,)
    assert model.sample(2).shape == (2, *shape)


class TestFit:
    @pytest.mark.parametrize(
        ("other", "sentence"),
        [
            ({"top": NormalPrior(3)}, r"the top group has 2 dimensions, its prior 3. .* latent_dim=2"),
            ({"top": CategoricalPrior(2, 2)}, "draws from all of R.L, CategoricalPrior from one-hot vectors"),
            ({"likelihood": NormalLikelihood((5,))}, r"leads from \(4,\) to \(4,\), .* data_shape=\(5,\)"),
            ({"likelihood": NormalLikelihood((4,), "predicted")}, r"out_shape=\(8,\)"),
            ({"kl": "closd"}, r"kl is 'closd'. Did you mean 'closed'"),
            ({"spectral": -1.0}, "spectral is -1.0, expected a number of 0 or more"),
            ({"spectral": float("nan")}, "spectral is nan"),
        ],
    )
    def test_parts_that_do_not_fit(self, other: dict[str, Any], sentence: str) -> None:
        with pytest.raises(PartError, match=sentence):
            put_together(MLPHierarchy((4,), (4,), (2, 2), (5,)), **other)

    def test_wrong_shapes_and_a_foreign_q(self) -> None:
        model = mlp()
        with pytest.raises(ShapeError, match=r"HierarchicalVAE: x is \(2, 5\), expected one item \(4,\) or a batch"):
            model.infer(torch.zeros(2, 5))
        with pytest.raises(PartError, match=r"q is a Independent, expected what infer\(x\) gave"):
            model.trace(examples(model), q=model.infer_top(examples(model)))

    def test_closed_form_that_does_not_exist_is_refused(self) -> None:
        model = mlp(top=MixturePrior(2), kl="closed")
        with pytest.raises(PartError, match="have no closed form"):
            _ = model.trace(examples(model)).kl


def test_a_damaged_copy_is_what_q_sees() -> None:
    model = conv(corruption=MaskingNoise(1.0))
    assert model.denoising
    x = torch.ones(2, *IMAGE, dtype=torch.float64)
    q = model.trace(x).q
    assert torch.equal(q.mean, model.infer(0 * x).mean)
    assert not torch.allclose(q.mean, model.infer(x).mean)


class TestSpectral:
    def test_norms_are_the_largest_singular_values(self) -> None:
        reseed(0)
        weights = [torch.randn(5, 3).double(), torch.randn(4, 2, 3, 3).double()]
        norms = SpectralNorms(weights).double()
        for _ in range(200):
            found = norms(weights)
        expected = sum(torch.linalg.matrix_norm(weight.flatten(1), 2) for weight in weights)
        # the second largest values are so close that 200 steps leave a part in 10^8
        assert torch.allclose(found, torch.as_tensor(expected), rtol=1e-8)

    def test_zeros_are_left_again(self) -> None:
        reseed(0)
        weight = torch.zeros(3, 2)
        norms = SpectralNorms([weight])
        assert norms([weight]) == 0
        for _ in range(20):
            found = norms([weight + torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.0, 0.0]])])
        assert found.item() == pytest.approx(2.0)

    def test_the_penalty_is_for_training_alone(self) -> None:
        model = conv(spectral=0.1)
        x = examples(model)
        penalty = model.trace(x).penalty
        assert penalty is not None
        assert penalty.shape == (B,)
        norms = [torch.linalg.matrix_norm(w.flatten(1), 2) for w in model._weights()]
        assert penalty[0] < 0.1 * sum(norms) * 1.0001  # power iteration comes from below
        penalty.sum().backward()
        assert not [name for name in dead(model.hierarchy) if name.endswith("weight")]
        model.eval()
        before = {name: value.clone() for name, value in model.named_buffers()}
        assert model.trace(x).penalty is None
        assert all(torch.equal(before[name], value) for name, value in model.named_buffers())


@pytest.mark.parametrize("recipe", ["hvae", "ladder-vae", "very-deep-vae"])
def test_saved_and_loaded_it_says_the_same(recipe: str, tmp_path: Path) -> None:
    data = tiny_data("real", (4,)) if recipe == "hvae" else tiny_data("levels", (1, 17, 16))
    small = {"hidden_dims": [6]} if recipe == "hvae" else {"channels": 4, "latent_channels": 1, "depth": "1x1,8x1"}
    reseed(0)
    model = seeded_(build(recipe, data, hierarchy=small, spectral=0.1)).eval()
    again = load(save(model, tmp_path / "model", data.spec))  # type: ignore[arg-type]
    assert repr(again) == repr(model)
    x = data.test.batch(slice(None)).x
    traces = []
    for one in (model, again):
        reseed(5)
        traces.append(one.trace(x, samples=2))  # type: ignore[operator]
    assert all(torch.equal(getattr(traces[0], f), getattr(traces[1], f)) for f in ("z", "kl", "log_p_x", "log_p_z"))


def trainer(folder: Path, recipe: str) -> Trainer:
    """A trainer of a small model of a recipe, from a seed of its own."""
    folder.mkdir(exist_ok=True)
    data = tiny_data("unit", (1, 16, 16))
    with torch.random.fork_rng():
        reseed(7)
        model = build(recipe, data, hierarchy={"channels": 4, "latent_channels": 1, "depth": "1x1,4x1"}, spectral=0.01)
    objective = make("objective", "elbo", {"warmup": 0.3, "free_bits": 0.05})
    given = settings(epochs=2, checkpoint_seconds=60, validations=1)
    return Trainer(model, data, objective, given, seed=0, folder=folder)


@pytest.mark.parametrize("recipe", ["ladder-vae", "very-deep-vae"])
def test_stopped_it_goes_on_bit_for_bit(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # what is tested is what checkpoints hold
    whole = trainer(tmp_path / "whole", recipe)
    rows = whole.run().metrics
    part = trainer(tmp_path / "part", recipe)
    part._agreed = lambda stop, due: (part.state.step == 4, due)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        part.run()
    resumed = trainer(tmp_path / "part", recipe)
    again = resumed.run(resume=True)
    assert equal(weights(resumed.model), weights(whole.model))
    assert timeless(again.metrics)[-1] == timeless(rows)[-1]


@pytest.mark.parametrize("precision", [pytest.param("float32", marks=pytest.mark.slow), "bfloat16"])
def test_training_lowers_the_loss(precision: str) -> None:
    reseed(0)
    data = tiny_data("binary", (1, 16, 16), (64, 16, 16))
    model = build("very-deep-vae", data, hierarchy={"channels": 8, "latent_channels": 2, "depth": "1x1,8x1"})
    given = {"epochs": 10, "batch_size": 16, "validations": 1, "tensorboard": False, "precision": precision}
    run = fit(model, data, device="cpu", **given)
    losses = [row["loss"] for row in run.metrics if row["split"] == "train"]
    assert losses[-1] < losses[0] - 5


class TestOtherFolders:
    def test_evaluate_counts_groups_and_dimensions(self) -> None:
        model = conv().float()
        found = evaluate(model, tiny_data("binary", IMAGE).test, samples=20)
        assert found["latent_dim"] == len(found["kl_per_dim"]) == model.latent_dim
        assert len(found["kl_per_group"]) == len(model.hierarchy.latent_dims)
        assert sum(found["kl_per_group"]) == pytest.approx(found["rate"], rel=1e-4)
        assert sum(found["kl_per_dim"]) == pytest.approx(found["rate"], rel=1e-4)
        assert 0 <= found["active_units"] <= model.latent_dim
        assert found["nll"] == pytest.approx(-found["elbo"], rel=0.2)

    def test_latents(self) -> None:
        model = conv().float()
        x = examples(model).float()
        assert interpolate(model, x[:2], x[2:], steps=3).shape == (2, 3, *IMAGE)
        assert traverse(model, x[0], dims=(0, 5), steps=3).shape == (2, 3, *IMAGE)

    def test_report_sorts_dimensions_by_their_kl(self) -> None:
        model = conv().float()
        subject = look_at(model, tiny_data("binary", IMAGE), {})
        assert subject.kl is not None
        assert len(subject.kl) == model.latent_dim
        assert subject.order[0] == int(subject.kl.argmax())

    def test_both_ways_are_compiled(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model, seen = conv(), []
        monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **given: seen.append(module))
        with compiled(model, wanted=True):
            assert seen == [model.hierarchy, model.hierarchy.up]

    def test_weights_are_channels_last(self) -> None:
        kernels = [weight for weight in conv().parameters() if weight.dim() == 4 and min(weight.shape) > 1]
        assert kernels
        assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in kernels)
