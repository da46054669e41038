"""The flat model with latents from a finite set: a true bound, detached priors, and what is refused."""

import copy
import itertools
from typing import Any

import pytest
import torch

from reparam.composing import build_model
from reparam.config import merged
from reparam.data import Batch
from reparam.errors import ConfigError, PartError, RefusedError
from reparam.evaluation import importance_weighted
from reparam.likelihoods import NormalLikelihood
from reparam.models import VAE
from reparam.networks import MLPDecoder, MLPEncoder
from reparam.objectives import ELBO
from reparam.posteriors import (
    FiniteScalarPosterior,
    LookupFreePosterior,
    NormalPosterior,
    PointPosterior,
    Posterior,
    ResidualQuantisedPosterior,
    VectorQuantisedPosterior,
)
from reparam.priors import NormalPrior, PixelCNNPrior, Prior, TransformerPrior, UniformCodesPrior
from reparam.recipes import build, resolve
from reparam.rng import reseed
from reparam.runs import train
from reparam.trace import Progress
from tests.contracts.members import dead, make, members, seeded_, tiny_data


def model(posterior: Posterior | None = None, prior: Prior | None = None) -> VAE:
    reseed(0)
    posterior = posterior or VectorQuantisedPosterior(8, 4, grid=(1, 2), codes=3)
    likelihood = NormalLikelihood((4,), 0.5)
    parts = MLPEncoder((4,), (8,)), posterior, prior, MLPDecoder(4, likelihood.out_shape, (6,)), likelihood
    return seeded_(VAE(*parts)).double()  # type: ignore[return-value]


def transformer(codes: int = 3, grid: tuple[int, ...] = (1, 2)) -> TransformerPrior:
    return TransformerPrior(4, grid, codes, width=8, heads=2)


X = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
PRIORS: dict[str, Any] = {"uniform": lambda: UniformCodesPrior(4), "transformer": transformer}


@pytest.mark.parametrize("prior", list(PRIORS))
def test_elbo_is_a_bound_of_the_sum_over_all_codes(prior: str) -> None:
    """p(x) is a finite sum here: log p(x) is known exactly, and above the ELBO."""
    vae = model(prior=PRIORS[prior]()).eval()
    assert vae.prior is not None
    codebook = vae.posterior.codebook
    every = torch.tensor(list(itertools.product(range(3), repeat=2)))
    z = codebook.vectors(every).unsqueeze(1).expand(-1, 5, -1)
    log_p = (vae.decode(z).log_prob(X) + vae.prior().log_prob(z)).logsumexp(0)
    trace = vae.trace(X, samples=2)
    assert torch.equal(trace.log_q, torch.zeros(2, 5).double())
    assert (trace.elbo < log_p).all()
    chosen = [every.tolist().index(one) for one in trace.q.indices.tolist()]
    joint = vae.decode(z).log_prob(X) + vae.prior().log_prob(z)
    # the bound is the term of that sum which q chose
    assert torch.allclose(trace.elbo, joint[chosen, range(5)], atol=1e-10)
    found = importance_weighted(vae, X, samples=4)
    assert torch.allclose(found.log_p_x, trace.elbo, atol=1e-10)


def test_penalty_joins_the_loss_and_is_shown() -> None:
    vae = model(prior=UniformCodesPrior(4)).eval()
    bound = ELBO().bound(vae.trace(X), Progress())
    penalty = bound.terms["penalty"]
    assert penalty.gt(0).all()
    assert torch.allclose(bound.value, bound.terms["elbo"] - penalty)


def test_codes_do_not_feel_their_prior() -> None:
    """The gradient of log p(z) ends at the prior's network: it is trained beside the model as after it."""
    vae = model(prior=transformer())
    vae.trace(X).log_p_z.sum().backward()
    assert all(parameter.grad is None for parameter in (*vae.encoder.parameters(), *vae.posterior.parameters()))
    assert vae.prior is not None
    assert not dead(vae.prior)


def test_every_parameter_learns() -> None:
    vae = model(prior=transformer())
    ELBO()(vae, _Batch(X), Progress()).loss.backward()
    assert not dead(vae)


REASONS = dict.fromkeys(("iwae", "piwae", "fivo", "renyi"), "all draws are the same one and weighing them is pointless")
REASONS |= dict.fromkeys(("dreg", "stl"), "passes gradients straight through, which is no derivative of a path")
REASONS |= {"beta-tc": "does not factorise", "dip codes": "does not factorise", "rae": "from a finite set"}
QUANTISERS: dict[str, Any] = {
    "vq": lambda: VectorQuantisedPosterior(8, 4, grid=(1, 2), codes=3),
    "residual-vq": lambda: ResidualQuantisedPosterior(8, 4, grid=(1, 2), codes=3, stages=2),
    "fsq": lambda: FiniteScalarPosterior(8, 4, grid=(1, 2), code_levels=(3, 3)),
    "lfq": lambda: LookupFreePosterior(8, 4, grid=(1, 2)),
}


@pytest.mark.parametrize(("kind", "given"), members("objective"))
@pytest.mark.parametrize("name", list(QUANTISERS))
def test_every_objective_runs_or_says_why_not(name: str, kind: str, given: Any) -> None:
    vae = model(QUANTISERS[name](), UniformCodesPrior(4))
    objective = make("objective", kind, given, (4,), 4).double()
    batch = Batch(torch.cat([X, X[:1]]), {"labels": torch.arange(6) % 3})
    players, bounds, reason = list(objective.players(vae)), [], ""
    try:
        bounds = [player.play(batch, Progress(3, 10, examples=60)) for player in players]
    except RefusedError as refusal:  # q has no noise, and its codes lie in no order
        reason = str(refusal)
    expected = REASONS.get("dip codes" if given.get("moments") == "codes" else kind, "")
    assert bool(expected) == bool(reason)
    assert expected in reason
    for bound in bounds:
        assert bound.value.shape == (6,)
        assert bound.value.isfinite().all()
        bound.loss.backward()


class _Batch:
    def __init__(self, x: Any) -> None:
        self.x = x

    def pick(self, names: Any) -> dict[str, Any]:
        return {}

    known = pick


def test_one_item_and_no_item() -> None:
    vae = model(prior=transformer()).eval()
    assert vae.infer(X[0]).indices.shape == (2,)  # type: ignore[attr-defined]
    assert vae.trace(X[0]).elbo.shape == (1,)
    assert torch.allclose(vae.reconstruct(X)[2], vae.reconstruct(X[2]), atol=1e-12)
    assert vae.infer(X[:0]).mean.shape == (0, 4)


def test_samples_are_decoded_codes() -> None:
    vae = model(prior=transformer()).eval()
    every = torch.tensor(list(itertools.product(range(3), repeat=2)))
    pictures = vae.decode(vae.posterior.codebook.vectors(every)).mean
    reseed(0)
    new = vae.sample(20)
    assert torch.cdist(new, pictures).min(1).values.lt(1e-12).all()
    cold = vae.sample(20, temperature=0.0)
    assert torch.allclose(cold, cold[:1].expand(20, -1), atol=1e-12)


def test_a_copy_has_codes_of_its_own() -> None:
    vae = model(prior=transformer()).eval()
    other = copy.deepcopy(vae)
    with torch.no_grad():
        other.posterior.quantiser.table.add_(10.0)  # type: ignore[union-attr, operator]
    assert other.prior is not None
    assert other.prior().sample(torch.Size([4])).min() > 5
    assert vae.prior is not None
    assert vae.prior().sample(torch.Size([4])).max() < 5


def test_without_a_prior() -> None:
    vae = model()
    assert not vae.trace(X).kl.any()


@pytest.mark.parametrize(
    ("posterior", "prior", "sentence"),
    [
        (lambda: None, lambda: NormalPrior(4), "a finite set of codes, NormalPrior from all of R"),
        (
            lambda: NormalPosterior(8, 4),
            lambda: UniformCodesPrior(4),
            "all of R.L, UniformCodesPrior from a finite set of codes",
        ),
        (lambda: PointPosterior(8, 4), transformer, "PointPosterior draws z from all of R.L, TransformerPrior"),
        (lambda: None, lambda: transformer(codes=4), r"a grid of \(1, 2\) and 4 codes, the posterior has"),
        (lambda: None, lambda: transformer(grid=(2, 1)), "disagree on the grid"),
        (
            lambda: ResidualQuantisedPosterior(8, 4, (1, 2), codes=3, stages=2),
            transformer,
            "z is a sum of codes, from which one cannot read which they were",
        ),
    ],
)
def test_refuses_what_makes_no_sense(posterior: Any, prior: Any, sentence: str) -> None:
    with pytest.raises(PartError, match=sentence):
        model(posterior(), prior())


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: VectorQuantisedPosterior(8, 4, grid=(3,)), "in_dim is 8, expected a multiple of the 3 positions"),
        (lambda: VectorQuantisedPosterior(9, 4, grid=(3,)), "latent_dim is 4, expected a multiple of the 3 positions"),
        (lambda: VectorQuantisedPosterior(8, 4, grid=(0, 2)), "expected extents of at least 1"),
        (
            lambda: FiniteScalarPosterior(8, 4, (2,), (5, 5, 5)),
            "each of 2 positions has 2 numbers. Set latent_dim",
        ),
        (PixelCNNPrior(4), "does not know the codes yet"),
    ],
)
def test_parts_refuse(make: Any, sentence: str) -> None:
    with pytest.raises(PartError, match=sentence):
        make()


def test_a_continuous_posterior_has_no_codebook() -> None:
    with pytest.raises(RuntimeError, match="NormalPosterior has no codebook"):
        _ = NormalPosterior(3, 2).codebook


class TestRecipes:
    def test_parts_follow_the_data(self) -> None:
        picture, signal = tiny_data("levels", (1, 28, 20)), tiny_data("real", (2, 33))
        vae = build("vq-vae", picture)
        assert vae.posterior.grid == vae.decoder.grid == vae.prior.grid == (7, 5)  # type: ignore[union-attr]
        assert vae.latent_dim == 7 * 5 * 16
        assert isinstance(vae.prior, PixelCNNPrior)
        assert isinstance(build("vq-vae", signal).prior, TransformerPrior)
        small = build("fsq-vae", tiny_data("real", (5,)))
        assert isinstance(small.prior, TransformerPrior)
        assert small.prior.codes == 8 * 6 * 5

    def test_another_width_of_the_codes(self) -> None:
        vae = build("vq-vae", tiny_data("levels", (1, 28, 28)), latent_dim=49 * 4)
        assert vae.posterior.code_dim == 4
        with pytest.raises(PartError, match="latent_dim is 50, expected a multiple of the 49 positions"):
            build("vq-vae", tiny_data("levels", (1, 28, 28)), latent_dim=50)

    def test_another_number_of_codes_reaches_the_prior(self) -> None:
        settings = {"posterior": {"codes": 7}, "prior": {"kind": "transformer", "width": 8}}
        vae = build("vq-vae", tiny_data("levels", (1, 28, 28)), **settings)
        assert vae.prior.codes == vae.posterior.codes == 7  # type: ignore[union-attr]

    def test_a_misspelt_setting(self) -> None:
        with pytest.raises(ConfigError, match=r"vq has no setting 'code'. Did you mean 'codes'"):
            resolve("vq-vae", tiny_data("levels", (1, 28, 28)), {"model": {"posterior": {"code": 7}}})

    def test_begins_with_the_codes_of_data(self) -> None:
        data = tiny_data("unit", (4,))
        config = resolve("vq-vae", data, {"train": {"epochs": 1, "batch_size": 8, "tensorboard": False}})
        assert config.model is not None
        vae = build_model(config.model, data.spec)
        before = vae.posterior.quantiser.table.clone()  # type: ignore[union-attr, operator]
        assert vae.starts
        vae.start(data.train.batch(slice(None)).x)
        assert not torch.equal(before, vae.posterior.quantiser.table)  # type: ignore[union-attr]

    def test_quantisation_error_falls_while_training(self) -> None:
        """Twenty short epochs: the codes follow the encoder, and the reconstruction gets better."""
        over = {"train": {"epochs": 20, "batch_size": 8, "validations": 2, "tensorboard": False}}
        small = {"model": {"encoder": {"hidden_dims": [32]}, "decoder": {"hidden_dims": [32]}}}
        run = train("vq-vae", merged(over, small), data=tiny_data("unit", (1, 4, 4)), device="cpu")
        rows = [row for row in run.metrics if row["split"] == "train"]
        assert rows[-1]["distortion"] < rows[0]["distortion"]
        assert all("penalty" in row for row in rows)
