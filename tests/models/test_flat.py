"""The flat model: its parts must fit, its trace says what its densities say, one item is a batch of one."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from reparam.errors import PartError, RefusedError, ShapeError
from reparam.likelihoods import BernoulliLikelihood, Likelihood, NormalLikelihood
from reparam.models import VAE
from reparam.networks import ConvDecoder, ConvEncoder, Corruption, Encoder, MaskingNoise, MLPDecoder, MLPEncoder
from reparam.posteriors import FullNormalPosterior, LaplacePosterior, NormalPosterior, PointPosterior, Posterior
from reparam.priors import LaplacePrior, NormalPrior, Prior
from reparam.recipes import RECIPES, build
from reparam.rng import reseed
from reparam.shapes import Shape
from tests.contracts.members import (
    OF_OBSERVATIONS,
    OF_PICTURES,
    OF_SEQUENCES,
    dead,
    seeded_,
    several_data,
    tiny_data,
    values,
)

IMAGE = (1, 12, 9)
POSTERIORS: list[type[Posterior]] = [NormalPosterior, FullNormalPosterior, LaplacePosterior]


def mlp_vae(
    posterior: type[Posterior] = NormalPosterior,
    prior: Prior | None = None,
    shape: Shape = (4,),
    **more: Any,
) -> VAE:
    reseed(0)
    likelihood = NormalLikelihood(shape, 0.5)
    prior = prior if posterior is PointPosterior else prior or NormalPrior(2)
    decoder = MLPDecoder(2, likelihood.out_shape, (6,))
    vae = VAE(MLPEncoder(shape, (6,)), posterior(6, 2), prior, decoder, likelihood, **more)
    return seeded_(vae).double()  # type: ignore[return-value]


def conv_dae() -> VAE:
    reseed(0)
    likelihood = BernoulliLikelihood(IMAGE)
    encoder, decoder = ConvEncoder(IMAGE, channels=(4, 8)), ConvDecoder(3, IMAGE, channels=(4, 8))
    posterior = NormalPosterior(encoder.out_dim, 3)
    return VAE(encoder, posterior, NormalPrior(3), decoder, likelihood, corruption=MaskingNoise(0.5))


@pytest.mark.parametrize("posterior", POSTERIORS)
@pytest.mark.parametrize("prior", [NormalPrior(2), LaplacePrior(2)])
def test_trace(posterior: type[Posterior], prior: Prior) -> None:
    vae = mlp_vae(posterior, prior)
    reseed(1)
    x = torch.randn(5, 4, dtype=torch.float64)
    trace = vae.trace(x, samples=3)
    assert trace.z.shape == (3, 5, 2)
    assert trace.kl.shape[:2] == trace.log_q.shape == trace.log_p_z.shape == trace.log_p_x.shape == (3, 5)
    q = vae.infer(x)
    # the same numbers in the same order: float64 rounding at most
    assert torch.allclose(trace.log_q, q.log_prob(trace.z), atol=1e-12)
    assert torch.allclose(trace.log_p_z, vae.prior().log_prob(trace.z), atol=1e-12)  # type: ignore[misc]
    assert torch.allclose(trace.log_p_x, vae.decode(trace.z).log_prob(x), atol=1e-12)
    assert trace.penalty is None
    (-trace.elbo.mean()).backward()
    assert not dead(vae)


def test_a_given_q_is_used() -> None:
    vae = mlp_vae()
    x = torch.randn(5, 4, dtype=torch.float64)
    q = vae.infer(x + 1)
    trace = vae.trace(x, samples=2, q=q)
    assert trace.q is q
    assert torch.equal(trace.log_q, q.log_prob(trace.z))


@pytest.mark.parametrize("kl", ["closed", "sampled"])
def test_the_user_can_force_either_kl(kl: Any) -> None:
    vae = mlp_vae(kl=kl)
    trace = vae.trace(torch.randn(5, 4, dtype=torch.float64), samples=3)
    sampled = trace.log_q - trace.log_p_z
    assert trace.kl.shape == (3, 5, 2)
    assert torch.allclose(trace.kl.sum(-1), sampled, atol=1e-10) == (kl == "sampled")
    assert torch.equal(trace.kl[0], trace.kl[1]) == (kl == "closed")


def test_closed_form_that_does_not_exist_is_refused() -> None:
    vae = mlp_vae(FullNormalPosterior, LaplacePrior(2), kl="closed")
    with pytest.raises(PartError, match=r"MultivariateNormal and Laplace have no closed form. Use kl='sampled'"):
        _ = vae.trace(torch.randn(5, 4, dtype=torch.float64)).kl


def test_plain_autoencoder() -> None:
    vae = mlp_vae(PointPosterior)
    x = torch.randn(5, 4, dtype=torch.float64)
    trace = vae.trace(x)
    assert not trace.kl.any()
    assert torch.equal(trace.elbo, trace.log_p_x[0])
    with pytest.raises(RefusedError, match="no prior p"):
        vae.sample(3)


def test_point_posterior_with_a_prior_is_regularised() -> None:
    vae = mlp_vae(PointPosterior, NormalPrior(2))
    trace = vae.trace(torch.randn(5, 4, dtype=torch.float64))
    assert torch.allclose(trace.rate, -trace.log_p_z[0])


def test_samples() -> None:
    vae = mlp_vae()
    assert vae.sample(7).shape == (7, 4)
    assert vae.sample(7, draw=True).shape == (7, 4)
    cold = vae.sample(7, temperature=0.0)
    assert torch.allclose(cold, vae.decode(torch.zeros(7, 2, dtype=torch.float64)).mean)
    reseed(3)
    first = vae.sample(7)
    reseed(3)
    assert torch.equal(vae.sample(7), first)
    assert not first.requires_grad


def test_codes_of_any_batch_shape_are_decoded() -> None:
    vae = mlp_vae(shape=(2, 3))
    z = torch.randn(4, 5, 2, dtype=torch.float64)
    p_x = vae.decode(z)
    assert p_x.mean.shape == (4, 5, 2, 3)
    assert torch.allclose(p_x.mean[2, 3], vae.decode(z[2, 3]).mean, atol=1e-12)


class TestOneItem:
    x = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def test_answers_are_those_of_an_item(self) -> None:
        vae = mlp_vae()
        q = vae.infer(self.x[0])
        assert (q.batch_shape, q.event_shape) == ((), (2,))
        assert vae.encode(self.x[0]).shape == vae.encode(self.x[0], draw=True).shape == (2,)
        assert vae.reconstruct(self.x[0]).shape == vae.reconstruct(self.x[0], draw=True).shape == (4,)

    def test_trace_takes_it_as_a_batch_of_one(self) -> None:
        vae = mlp_vae()
        for q in (None, vae.infer(self.x[0])):
            reseed(0)
            alone = vae.trace(self.x[0], samples=3, q=q)
            reseed(0)
            batch = vae.trace(self.x[:1], samples=3)
            assert alone.z.shape == (3, 1, 2)
            assert torch.equal(alone.log_w, batch.log_w)
            assert torch.equal(alone.elbo, batch.elbo)

    def test_a_wrong_shape_is_one_sentence(self) -> None:
        with pytest.raises(ShapeError, match=r"x is \(3, 5\), expected one item \(4,\) or a batch \(B, 4\)"):
            mlp_vae().encode(torch.zeros(3, 5, dtype=torch.float64))


def test_x_is_taken_in_the_precision_of_the_weights() -> None:
    vae = mlp_vae()
    x = torch.randn(3, 4)
    assert vae.encode(x).dtype == torch.float64
    assert torch.equal(vae.encode(x), vae.encode(x.double()))
    assert torch.equal(vae.float().reconstruct(x.double()), vae.reconstruct(x))
    assert torch.equal(vae.encode(x.half()), vae.encode(x.half().float()))
    vae.register_parameter("first", nn.Parameter(torch.zeros(1, dtype=torch.int8), requires_grad=False))
    assert torch.equal(vae.encode(x.double()), vae.encode(x))


@pytest.mark.unchecked
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_whole_numbers_are_refused_for_their_scale_is_unknown(dtype: torch.dtype) -> None:
    with pytest.raises(ShapeError, match=rf"x holds {dtype} numbers, expected floating-point ones"):
        mlp_vae().encode(torch.zeros(3, 4).to(dtype))


@pytest.mark.unchecked
@pytest.mark.parametrize("n", [-1, 2.5, "7"])
def test_samples_are_counted_in_whole_numbers(n: Any) -> None:
    with pytest.raises(ShapeError, match=f"asked for {n!r} examples, expected a whole number"):
        mlp_vae().sample(n)


def test_samples_are_counted_by_anything_that_counts() -> None:
    assert len(mlp_vae().sample(np.int64(3))) == len(mlp_vae().sample(torch.tensor(3))) == 3


# one model for each kind of network: what an item gives must not depend on the batch around it
ALONE = {
    "conv-dae": conv_dae(),
    "vae-image": build("vae", tiny_data("binary", (1, 16, 9))),
    "sigma-vae-real": build("sigma-vae", tiny_data("real", (5,))),
    "dae-real": build("dae", tiny_data("real", (5,))),
    "levels": build("vae", tiny_data("levels", (2, 17)), likelihood="discretized-logistic", network="conv"),
    "ae-image": build("ae", tiny_data("unit", (3, 17, 12)), likelihood={"kind": "reconstruction", "distance": "ssim"}),
}


@pytest.mark.parametrize("name", list(ALONE))
@pytest.mark.parametrize("training", [True, False])
@settings(max_examples=6, deadline=None, derandomize=True)
@given(count=st.integers(1, 40), chosen=st.integers(0, 39), seed=st.integers(0, 99))
def test_an_item_gives_the_same_numbers_alone_and_in_any_batch(
    name: str, training: bool, count: int, chosen: int, seed: int
) -> None:
    """Also in training mode: encoding never corrupts, never draws, and nothing is shared over the batch."""
    model = ALONE[name].train(training)
    reseed(seed)
    x = values("binary", count, *model.data_shape, dtype=torch.float32)
    item = x[chosen % count]
    for answer in (model.encode, model.reconstruct, lambda batch: model.infer(batch).mean.detach()):
        # 1e-6, the promise: float32 sums may run in another order
        assert torch.allclose(answer(item), answer(x)[chosen % count], atol=1e-6, rtol=1e-6)
    assert torch.equal(model.encode(x), model.encode(x))
    assert torch.equal(model.reconstruct(x), model.reconstruct(x))


@pytest.mark.parametrize("recipe", [recipe for recipe in RECIPES if recipe not in OF_PICTURES + OF_SEQUENCES])
def test_answers_take_nothing_from_the_generator(recipe: str) -> None:
    reseed(0)
    data = several_data() if recipe in OF_OBSERVATIONS else tiny_data("real", (5,))
    model = build(recipe, data).train()
    model = model.given(**dict.fromkeys(model.conditions, 1))
    before = torch.get_rng_state()
    x = torch.ones(3, *data.shape)
    model.encode(x), model.reconstruct(x), model.infer(x)
    assert torch.equal(torch.get_rng_state(), before)


class Spy(Encoder):
    """Remembers what it saw."""

    def __init__(self, data_shape: Shape) -> None:
        super().__init__(data_shape, 3)
        self.linear = nn.Linear(data_shape[0], 3)
        self.seen = torch.empty(0)

    def features(self, x: Tensor) -> Tensor:
        self.seen = x.clone()
        return self.linear(x)


class Plus(Corruption):
    """Adds 100, so that clean and damaged values cannot be confused."""

    def __init__(self) -> None:
        super().__init__(0.0, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        return x + 100


def denoising(corruption: Corruption) -> tuple[VAE, Spy]:
    reseed(0)
    spy, likelihood = Spy((4,)), NormalLikelihood((4,), 1.0)
    return VAE(spy, PointPosterior(3, 2), None, MLPDecoder(2, (4,)), likelihood, corruption=corruption), spy


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 1000),
    count=st.integers(1, 9),
    probability=st.floats(0, 1),
    training=st.booleans(),
    samples=st.integers(1, 3),
)
def test_the_noise_is_never_the_target(seed: int, count: int, probability: float, training: bool, samples: int) -> None:
    """The likelihood judges the clean x; a trace damages what the encoder sees, in any mode, and infer never does."""
    for corruption in (MaskingNoise(probability), Plus()):
        model, spy = denoising(corruption)
        model.train(training)
        reseed(seed)
        x = torch.rand(count, 4) + 0.5
        reseed(seed)
        trace = model.trace(x, samples=samples)
        assert torch.equal(trace.log_p_x, trace.p_x.log_prob(x))
        reseed(seed)
        assert torch.equal(spy.seen, corruption(x))
        model.infer(x)
        assert torch.equal(spy.seen, x)


def test_corrupt_is_the_identity_where_nothing_is_damaged() -> None:
    x = torch.rand(3, 4)
    assert mlp_vae().corrupt(x) is x
    assert not mlp_vae().denoising
    model, _ = denoising(Plus())
    assert torch.equal(model.corrupt(x), x + 100)
    assert model.denoising


class TestFit:
    def parts(self, **other: Any) -> dict[str, Any]:
        likelihood: Likelihood = NormalLikelihood((4,))
        encoder, decoder = MLPEncoder((4,), (6,)), MLPDecoder(2, (4,), (6,))
        return {
            "encoder": encoder,
            "posterior": NormalPosterior(6, 2),
            "prior": NormalPrior(2),
            "decoder": decoder,
            "likelihood": likelihood,
        } | other

    @pytest.mark.parametrize(
        ("other", "sentence"),
        [
            ({"posterior": NormalPosterior(5, 2)}, "gives 6 features, the posterior takes 5. .* in_dim=6"),
            ({"prior": NormalPrior(3)}, "disagree on latent_dim .posterior 2, decoder 2, prior 3"),
            ({"decoder": MLPDecoder(3, (4,))}, "disagree on latent_dim .posterior 2, decoder 3, prior 2"),
            ({"decoder": MLPDecoder(2, (5,))}, r"Pass out_shape=\(4,\) to the decoder"),
            ({"likelihood": NormalLikelihood((4,), "predicted")}, r"Pass out_shape=\(8,\) to the decoder"),
            ({"prior": None}, "NormalPosterior needs a prior"),
        ],
    )
    def test_parts_that_do_not_fit(self, other: dict[str, Any], sentence: str) -> None:
        with pytest.raises(PartError, match=sentence):
            VAE(**self.parts(**other))

    def test_a_misspelt_kl_names_the_nearest(self) -> None:
        model = VAE(**self.parts())
        model.kl = "closd"  # type: ignore[assignment]
        with pytest.raises(PartError, match=r"kl is 'closd'. Did you mean 'closed'"):
            model._require_fit()

    def test_any_module_can_encode_and_decode(self) -> None:
        model = VAE(**self.parts(encoder=nn.Linear(4, 6), decoder=nn.Linear(2, 4)))
        x = torch.randn(3, 4)
        assert model.reconstruct(x).shape == (3, 4)
        assert (model.latent_dim, model.data_shape, model.conditions) == (2, (4,), ())


class Joined(Prior):
    """A Normal without its event: one density for each dimension, where one for each code was asked for."""

    def forward(self, infer: Any = None) -> torch.distributions.Distribution:
        return torch.distributions.Normal(torch.zeros(self.latent_dim), torch.ones(self.latent_dim))


def test_a_density_of_another_shape_is_refused() -> None:
    """Also where there are as many examples as dimensions, so that it would be broadcast without a word."""
    one = build("vae", tiny_data("real", (5,)), latent_dim=4, kl="sampled")
    with pytest.raises(ShapeError, match=r"is \(1, 4, 4\), expected .* Give distributions their event"):
        one.trace(torch.randn(4, 5), p_z=Joined(4)()).log_p_z  # noqa: B018


def test_calling_a_model_traces_it() -> None:
    one, x = build("vae", tiny_data("real", (5,))).eval(), torch.randn(3, 5)
    reseed(0)
    traced = one.trace(x, samples=2)
    reseed(0)
    assert torch.equal(one(x, samples=2).z, traced.z)
