"""The class as a latent: sums over it are exact in training, draws of it are weighed in evaluation."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from reparam.data import Batch, load_data
from reparam.distributions import ByClass, Reshaped, normals
from reparam.errors import DataError, PartError, RefusedError
from reparam.evaluation import classify, evaluate
from reparam.latents import traverse
from reparam.likelihoods import NormalLikelihood
from reparam.models import VAE, SemiSupervisedVAE
from reparam.networks import ClassCondition, ConditionalDecoder, ConditionalEncoder, MLPEncoder
from reparam.objectives import ELBO, ImportanceBound, StickingTheLandingBound
from reparam.posteriors import NormalPosterior
from reparam.priors import ConditionalPrior, NormalPrior
from reparam.recipes import build
from reparam.rng import reseed
from reparam.runs import train
from reparam.store import load, save
from reparam.trace import Progress
from tests.contracts.members import dead, seeded_, tiny_data
from tests.oracles.test_linear_gaussian import Linear

C, L, D, B = 3, 2, 4, 5
SIGMA = 0.6


def model(alpha: float = 4.0) -> SemiSupervisedVAE:
    """A mixture of C linear-Gaussian models that share their directions."""
    reseed(0)
    encoder = ConditionalEncoder(MLPEncoder((D + C,), (6,)), C)
    decoder = ConditionalDecoder(Linear(torch.randn(D, L + C), torch.randn(D)), C)
    prior = ConditionalPrior(NormalPrior(L), C)
    parts = encoder, NormalPosterior(6, L), prior, decoder, NormalLikelihood((D,), SIGMA)
    vae = VAE(*parts, condition=ClassCondition(C))
    return seeded_(SemiSupervisedVAE(vae, MLPEncoder((D,), (7,)), alpha)).double()  # type: ignore[return-value]


def examples() -> tuple[Tensor, Tensor]:
    reseed(1)
    return torch.randn(B, D, dtype=torch.float64), torch.tensor([2, -1, 0, -1, 1])


def evidence(found: SemiSupervisedVAE, x: Tensor) -> Tensor:
    """log p(x): the mixture, in closed form."""
    each, base = torch.eye(C, dtype=torch.float64), found.vae.decoder.base
    weight, offsets = base.weight.split([L, C], 1)
    p_s = found.vae.p_z(labels=each).base_dist
    parts = []
    for k in range(C):
        mean = weight @ p_s.loc[k] + offsets[:, k] + base.bias
        covariance = weight @ torch.diag(p_s.scale[k] ** 2) @ weight.T + SIGMA**2 * torch.eye(D, dtype=torch.float64)
        parts.append(MultivariateNormal(mean, covariance).log_prob(x))
    return torch.stack(parts, -1).logsumexp(-1) - torch.tensor(C).log()


def test_sums_over_classes_that_are_not_seen() -> None:
    m, (x, labels) = model().train(), examples()
    reseed(3)
    found = m.trace(x, samples=2, labels=labels)
    reseed(3)
    own = m.vae.trace(x.repeat_interleave(C, 0), 2, labels=torch.arange(C).repeat(B))
    bounds = (own.log_p_x - own.kl.sum(-1)).mean(0).reshape(B, C)
    log_q = m.class_logits(x).log_softmax(-1)
    for row, label in enumerate(labels.tolist()):
        if label < 0:
            expected = (log_q[row].exp() * (bounds[row] - log_q[row])).sum() - torch.tensor(C).log()
            assert found.penalty[row] == 0
        else:
            expected = bounds[row, label] - torch.tensor(C).log()
            assert found.penalty[row].item() == pytest.approx(-4.0 * log_q[row, label].item())
        # float64, the same sums in another order
        assert found.elbo[row].item() == pytest.approx(expected.item(), abs=1e-10)


def test_weights_estimate_the_evidence() -> None:
    m, (x, _) = model().eval(), examples()
    with torch.no_grad():
        log_w = m.trace(x, samples=200_000).log_w
        exact = evidence(m, x)
    w = (log_w - exact).exp()
    assert ((w.mean(0) - 1).abs() < 4.5 * w.std(0) / len(w) ** 0.5).all()
    assert (log_w.mean(0) < exact).all()


def test_the_two_modes_have_one_bound() -> None:
    """Where no class is seen, the exact sum is the mean of the drawn bound."""
    m, (x, _) = model(), examples()
    with torch.no_grad():
        summed = m.train().trace(x, samples=40_000).elbo
        drawn = m.eval().trace(x, samples=40_000)
        each = drawn.log_p_x - drawn.kl.sum(-1)
    assert ((each.mean(0) - summed).abs() < 6 * each.std(0) / 200).all()


def test_every_parameter_learns() -> None:
    m, (x, labels) = model().train(), examples()
    for objective in (ELBO(), ImportanceBound(3, free_bits=0.1)):
        m.zero_grad()
        objective(m, Batch(x, {"labels": labels}), Progress()).loss.backward()
        assert not dead(m)


def test_labels_are_seen_in_training_alone() -> None:
    m, (x, labels) = model(), examples()
    objective, batch = ELBO(), Batch(x, {"labels": labels})
    assert "penalty" in objective(m.train(), batch, Progress()).terms
    objective.train(False)
    assert "penalty" not in objective(m.eval(), batch, Progress()).terms
    assert objective(m.eval(), Batch(x), Progress()).value.isfinite().all()


def test_one_item_and_a_batch() -> None:
    m, (x, _) = model().eval(), examples()
    q = m.infer(x)
    alone = m.infer(x[1])
    assert (alone.batch_shape, alone.event_shape) == ((), (C + L,))
    assert torch.allclose(alone.mean, q.mean[1], atol=1e-12)
    assert torch.allclose(m.reconstruct(x[1]), m.reconstruct(x)[1], atol=1e-12)
    assert m.trace(x[1], samples=3).log_w.shape == (3, 1)
    assert m.sample(6).shape == (6, D)
    assert m.sample(6, temperature=0.5).shape == (6, D)


def test_told_the_class_it_is_the_conditional_model() -> None:
    m = model().eval()
    reseed(0)
    first = m.given(labels=2).sample(4)
    reseed(0)
    assert torch.equal(m.vae.given(labels=2).sample(4), first)
    assert m.given() is m


class TestByClass:
    def distribution(self, *batch: int) -> ByClass:
        reseed(0)
        loc = torch.randn(*batch, C, L, dtype=torch.float64)
        return ByClass(torch.randn(*batch, C, dtype=torch.float64), normals((loc, torch.full_like(loc, 0.5))))

    @pytest.mark.parametrize("batch", [(), (2,)])
    def test_moments(self, batch: tuple[int, ...]) -> None:
        p = self.distribution(*batch)
        z = p.sample(torch.Size([60_000]))
        assert z.shape == (60_000, *batch, C + L)
        assert ((z.mean(0) - p.mean).abs() < 5 * z.std(0) / 60_000**0.5 + 1e-12).all()
        # the fourth moments of these mixtures keep the error of a variance below 2 %
        assert torch.allclose(z.var(0), p.variance, rtol=0.03, atol=1e-3)
        assert p.log_prob(z[:7]).shape == (7, *batch)

    def test_density_sums_to_one(self) -> None:
        p = self.distribution()
        axis = torch.linspace(-7, 7, 281, dtype=torch.float64)
        style = torch.cartesian_prod(axis, axis)
        total = torch.zeros((), dtype=torch.float64)
        for y in torch.eye(C, dtype=torch.float64):
            total += p.log_prob(torch.cat([y.expand(len(style), C), style], -1)).exp().sum() * 0.05**2
        assert total.item() == pytest.approx(1, abs=1e-8)  # a sum over a grid is exact for Normals this wide

    def test_expands(self) -> None:
        p = self.distribution().expand(torch.Size([4]))
        assert p.sample().shape == (4, C + L)
        assert p.log_prob(p.sample()).shape == (4,)

    def test_reshaped_answers_as_its_base(self) -> None:
        base = normals((torch.randn(6, L), torch.ones(6, L)))
        seen, value = Reshaped(base, torch.Size([2, 3])), torch.randn(5, 2, 3, L)
        assert torch.equal(seen.log_prob(value).flatten(1), base.log_prob(value.flatten(1, 2)))
        assert seen.sample(torch.Size([4])).shape == (4, 2, 3, L)
        assert seen.mean.shape == seen.variance.shape == (2, 3, L)


@pytest.mark.slow
@pytest.mark.unchecked
def test_learns_classes_from_few_labels(tmp_path: Path) -> None:
    data = load_data("digits", labelled=200)
    network = {"kind": "mlp", "hidden_dims": [100]}
    settings = {"train": {"epochs": 15, "tensorboard": False}, "model": {"alpha": 30.0, "network": network}}
    run = train("m2", settings, data=data, device="cpu")
    found = evaluate(run.model, data.test, ["elbo", "class-accuracy", "nll"], samples=20)
    assert found["class_accuracy"] > 0.75  # a tenth is chance
    assert found["nll"] < -found["elbo"]
    x = data.test.batch(slice(None)).x
    assert torch.allclose(classify(run.model, x).sum(1), torch.ones(len(x)))
    save(run.model, tmp_path / "model", run.spec)
    assert torch.equal(load(tmp_path / "model").reconstruct(x), run.model.reconstruct(x))


def test_few_labels() -> None:
    train_split = load_data("digits", labelled=100, seed=4).train
    labels = train_split.labels
    assert labels is not None
    known = labels[labels >= 0]
    assert len(known) % 100 == 0
    assert known.bincount().tolist() == [len(known) // 10] * 10
    assert 0.1 <= len(known) / len(labels) < 0.14
    distinct = {row.numpy().tobytes() for row in train_split.stored[labels >= 0]}
    assert len(distinct) == 100
    again = load_data("digits", labelled=100, seed=4).train
    assert torch.equal(again.stored, train_split.stored)
    assert (load_data("digits", labelled=100).test.labels >= 0).all()  # type: ignore[operator, union-attr]


def test_few_labels_stay_few_when_the_data_are_given_again() -> None:
    """Data that know their origin are read again from there; forgetting labels afterwards is no part of it."""
    assert load_data(load_data("digits"), labelled=100).origin == {}
    assert load_data("digits", labelled=100).origin["labelled"] == 100


def test_metrics_leave_out_what_is_not_labelled() -> None:
    data = load_data("digits", labelled=100)
    m = build("m2", data, network={"kind": "mlp", "hidden_dims": [20]})
    found = evaluate(m, data.test, ["completeness", "probe"], train=data.train)
    assert found["feature_network"].startswith("conv-64 classifier of digits (10 classes)")
    assert found["probe_accuracy"] > 0.3  # of random features; eleven classes of which one is -1 gave a hundredth
    known = data.train.take((data.train.labels >= 0).nonzero().flatten())  # type: ignore[operator, union-attr]
    some = evaluate(m, data.train, ["class-accuracy", "nmi"])
    assert some["labelled"] == len(known)
    assert some["class_accuracy"] == evaluate(m, known, ["class-accuracy"])["class_accuracy"]


def test_a_prior_made_of_examples_begins_with_them() -> None:
    prior = {"kind": "exemplar", "components": 3}
    data = tiny_data("real", (D,))
    m = build("m2", data, prior=prior, condition_into=["decoder"])
    m.start(data.train.batch(slice(None)).x)
    assert m.prior.exemplars.any()


@pytest.mark.parametrize("labelled", [7, 5, 3000])
def test_few_labels_must_be_shared_by_the_classes(labelled: int) -> None:
    with pytest.raises(DataError, match="expected a multiple of the 10 classes of digits, at most 1,"):
        load_data("digits", labelled=labelled)


def test_refusals() -> None:
    with pytest.raises(DataError, match=r"has no labels\. Leave labelled unset"):
        load_data(torch.rand(30, 4).numpy(), labelled=10)
    plain = build("vae", tiny_data("real", (D,)))
    with pytest.raises(PartError, match="must be told the class"):
        SemiSupervisedVAE(plain, MLPEncoder((D,), (3,)))  # type: ignore[arg-type]
    data = tiny_data("real", (D,))
    for settings in ({"posterior": "point"}, {"likelihood": {"kind": "normal", "scale": "optimal"}}):
        with pytest.raises(PartError, match="a scale that is optimal for a batch, or a posterior without a density"):
            build("m2", data, **settings)
    with pytest.raises(PartError, match="alpha is -1"):
        model(-1.0)
    with pytest.raises(RefusedError, match="draws of the class pass no gradient"):
        StickingTheLandingBound()(model(), Batch(examples()[0]), Progress())


def test_relaxed_styles_have_no_density() -> None:
    """As in a flat model: a bound of several draws is refused in training, the ELBO is not."""
    data = tiny_data("real", (D,))
    classes = {"kind": "gumbel-softmax", "classes": 3}
    settings = {"posterior": classes, "prior": {"kind": "categorical", "classes": 3}, "latent_dim": 6}
    m, batch = build("m2", data, condition_into=["encoder", "decoder"], **settings), data.train.batch(slice(None))
    assert ELBO()(m, batch, Progress()).value.isfinite().all()
    with pytest.raises(RefusedError, match="relaxed in training"):
        ImportanceBound(3)(m, batch, Progress())
    assert ImportanceBound(3)(m.eval(), batch, Progress()).value.isfinite().all()


def test_traversals_leave_the_choice_of_one_class() -> None:
    """A step along a class is a weight of it, which need not be a probability."""
    vae = build("m2", tiny_data("levels", (1, 9, 8))).eval()
    classes = vae.vae.condition.classes  # type: ignore[union-attr]
    found = traverse(vae, dims=[0, classes], steps=3)
    assert found.shape == (2, 3, 1, 9, 8)
    assert found.isfinite().all()
