"""Likelihoods of counts: where they begin, how their means stay bounded, and which data they are of."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from reparam.composing import build_model, build_objective, describe, rebuild
from reparam.config import Part
from reparam.distributions import NegativeBinomial
from reparam.errors import PartError
from reparam.likelihoods import (
    NegativeBinomialLikelihood,
    ObservationsLikelihood,
    PoissonLikelihood,
    ZeroInflatedNegativeBinomialLikelihood,
)
from reparam.recipes import build, resolve
from reparam.rng import reseed
from tests.contracts.members import tiny_data

stats = pytest.importorskip("scipy.stats")


def test_a_decoder_of_zeros_begins_at_the_means() -> None:
    likelihood = PoissonLikelihood((2,))
    assert likelihood.starts
    likelihood.start(torch.tensor([[3.0, 0.0], [5.0, 0.0], [1.0, 0.0]]))
    assert not likelihood.starts
    mean = likelihood(torch.zeros(1, 2)).mean
    assert torch.allclose(mean, torch.tensor([[10 / 4, 1 / 4]]), rtol=1e-4)  # as if one more had been seen, of one each
    again = PoissonLikelihood((2,))
    again.load_state_dict(likelihood.state_dict())
    assert not again.starts
    assert torch.equal(again(torch.zeros(1, 2)).mean, mean)


def test_observations_of_which_none_is_whole_begin_without_data() -> None:
    likelihood = ObservationsLikelihood([NegativeBinomialLikelihood((2,)), PoissonLikelihood((1,))])
    likelihood.start(torch.tensor([[3.0, torch.nan, 5.0], [torch.nan, 4.0, 3.0]]))
    assert [one.starts for one in likelihood.likelihoods] == [True, False]


def test_dispersion_begins_where_moments_put_it() -> None:
    reseed(0)
    x = NegativeBinomial(torch.tensor([4.0, 4.0, 9.0]), torch.tensor([0.5, 1e6, 3.0])).sample(torch.Size([20_000]))
    likelihood = NegativeBinomialLikelihood((3,))
    likelihood.start(x)
    theta = likelihood(torch.zeros(1, 3)).base_dist.theta
    assert theta[0].item() == pytest.approx(0.5, rel=0.1)  # 20,000 draws of a heavy tail
    assert theta[1].item() > 90  # no more spread than events have, up to exp(5)
    assert theta[2].item() == pytest.approx(3, rel=0.1)


@pytest.mark.parametrize("dispersion", ["shared", "each"])
def test_zeros_of_their_own_are_few_at_first(dispersion: str) -> None:
    likelihood = ZeroInflatedNegativeBinomialLikelihood((3,), dispersion)  # type: ignore[arg-type]
    p_x = likelihood(torch.zeros(1, *likelihood.out_shape))
    share = 1 / (1 + np.exp(2))
    assert torch.allclose(p_x.mean, torch.full((1, 3), 1 - share, dtype=torch.float32), rtol=1e-4)


def test_means_and_dispersions_are_bounded() -> None:
    likelihood = NegativeBinomialLikelihood((1,), "each")
    low, high = (likelihood(torch.full((1, 2), number)).base_dist for number in (-1e6, 1e6))
    assert (low.mean.log().item(), high.mean.log().item()) == pytest.approx((-12, 20), abs=1e-3)
    assert (low.theta.log().item(), high.theta.log().item()) == pytest.approx((-6, 12), abs=1e-3)


def test_networks_see_standardised_logs_of_counts() -> None:
    data = tiny_data("counts", (4,))
    model = build("vae", data)
    x = data.train.batch(slice(None)).x
    shift, scale = (torch.tensor(one) for one in (data.spec.shift, data.spec.scale))
    seen = model.encoder.units(x)
    assert torch.allclose(seen, (x.log1p() - shift) / scale)
    assert torch.allclose(model.encoder.units.inverse(seen), x, atol=1e-4)
    assert describe(rebuild(describe(model.encoder, "encoder"), "encoder"), "encoder") == describe(
        model.encoder, "encoder"
    )


def test_what_stands_beside_counts_keeps_its_values() -> None:
    data = tiny_data("counts", (4,))
    model = build("cvae", data)
    units = model.encoder.base.units
    beside = units(torch.tensor([[0.0, 1.0, 2.0, 3.0, -5.0, 0.0, 1.0]]))
    assert torch.equal(beside[0, 4:], torch.tensor([-5.0, 0.0, 1.0]))
    old = describe(model.encoder.base, "encoder") | {"counts": 0}
    assert rebuild({k: v for k, v in old.items() if k != "counts"}, "encoder").counts == 0  # as older versions saved it


@pytest.mark.parametrize(
    ("kind", "likelihood", "sentence"),
    [
        ("real", "poisson", "poisson is a likelihood of counts; tiny holds real values"),
        ("binary", "negative-binomial", "negative-binomial is a likelihood of counts; tiny holds binary values"),
        ("counts", "bernoulli", "bernoulli is no likelihood of counts, which tiny holds"),
        ("counts", "normal", "normal is no likelihood of counts"),
        ("counts", "reconstruction", "reconstruction is no likelihood of counts"),
    ],
)
def test_likelihoods_of_other_values_are_refused(kind: str, likelihood: str, sentence: str) -> None:
    data = tiny_data(kind)
    config = resolve("vae", data, {"model": {"likelihood": likelihood}, "data": {"binarize": "none"}})
    assert config.model is not None
    with pytest.raises(PartError, match=sentence):
        build_model(config.model, data.spec)


def test_no_critic_sees_means_of_counts() -> None:
    with pytest.raises(PartError, match=r"those of counts are no whole numbers\. Take elbo"):
        build_objective(Part(kind="vae-gan"), build("vae", tiny_data("counts")), 0)


def test_tolerance_of_geco_is_the_entropy_of_events() -> None:
    data = tiny_data("counts", (2,))
    spec = replace(data.spec, shift=(float(np.log1p(50.0)), 0.0))
    data = replace(data, train=replace(data.train, spec=spec))
    config = resolve("geco-vae", data)
    assert config.objective is not None
    entropy = stats.poisson(50).entropy()
    least = 0.5 * np.log(2 * np.pi * np.e / 12)  # that the bound gives where nothing is counted
    assert config.objective.settings["tau"] == pytest.approx((entropy + least) / 2, abs=2e-3)
