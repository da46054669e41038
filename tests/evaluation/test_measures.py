"""The numbers of evaluation.json against their definitions."""

import math

import pytest
import torch

from reparam.data import Split
from reparam.errors import DataError, RefusedError, UnknownNameError
from reparam.evaluation import evaluate, log_likelihood
from reparam.models import VAE
from reparam.recipes import build
from reparam.rng import reseed
from tests.contracts.members import tiny_data, tiny_split


def model(recipe: str, kind: str, shape: tuple[int, ...], **settings: object) -> VAE:
    reseed(0)
    return build(recipe, tiny_data(kind, shape), **settings)


def test_all_numbers_of_a_discrete_model() -> None:
    split, vae = tiny_split("binary", (1, 8, 8), 20, 5), model("vae", "binary", (1, 8, 8))
    found = evaluate(vae, split, samples=30, seed=1)
    x = split.batch(slice(None)).x
    vae.eval()
    # float32 means of 20 numbers
    assert found["n"] == 20
    assert found["nll"] == pytest.approx(-log_likelihood(vae, x, samples=30, seed=1).mean().item(), rel=1e-6)
    assert found["bits_per_dim"] == pytest.approx(found["nll"] / (64 * math.log(2)))
    assert found["elbo"] == pytest.approx(-found["distortion"] - found["rate"], rel=1e-5)
    assert sum(found["kl_per_dim"]) == pytest.approx(found["rate"], rel=1e-5)
    assert len(found["kl_per_dim"]) == found["latent_dim"] == vae.latent_dim
    assert -found["nll"] > found["elbo"] - 3 * found["elbo_stderr"]
    assert (found["nll_samples"], found["seed"]) == (30, 1)
    assert 1 <= found["nll_ess"] <= 30
    mse = (x - vae.reconstruct(x)).square().mean().item()
    assert found["mse"] == pytest.approx(mse, rel=1e-5)
    assert found["psnr"] == pytest.approx(-10 * math.log10(mse), rel=1e-5)
    assert -1 <= found["ssim"] <= 1
    assert "mse_corrupted" not in found


def test_codes_without_noise_take_one_draw() -> None:
    split, quantised = tiny_split("binary", (1, 8, 8), 20, 5), model("vq-vae", "binary", (1, 8, 8))
    found = evaluate(quantised, split, samples=30, seed=1)
    assert (found["nll_samples"], found["nll_ess"]) == (1, 1.0)
    assert (found["noiseless"], found["nll_mc_stderr"]) == (True, 0)
    assert -found["nll"] == pytest.approx(found["elbo"], rel=1e-5)  # the bound at the one code


def test_one_draw_of_a_noisy_code_tells_no_error() -> None:
    vae, split = model("vae", "real", (4,)), tiny_split("real", (4,), 9, 1)
    one, two = (evaluate(vae, split, "nll", samples=count) for count in (1, 2))
    assert "nll_mc_stderr" not in one
    assert two["nll_mc_stderr"] > 0
    assert one["noiseless"] is two["noiseless"] is False


def test_active_units_count_means_that_move() -> None:
    vae, split = model("vae", "real", (4,), latent_dim=3).eval(), tiny_split("real", (4,), 50, 1)
    means = vae.encode(split.batch(slice(None)).x)
    for bound, wished in ((0.02, 1), (0.005, 0)):
        with torch.no_grad():
            weight = vae.posterior.head.weight
            weight[0] *= bound**0.5 / means[:, 0].std(correction=0)
            weight[1:3] = 0
            means = vae.encode(split.batch(slice(None)).x)
        assert evaluate(vae, split, ["elbo"])["active_units"] == wished


def test_codes_that_say_nothing_are_called_so() -> None:
    vae, split = model("vae", "real", (4,)).eval(), tiny_split("real", (4,), 50, 1)
    torch.nn.init.constant_(vae.posterior.head.weight, 0.0)
    torch.nn.init.constant_(vae.posterior.head.bias, 0.0)
    found = evaluate(vae, split, ["elbo"])
    assert found["rate"] < 0.001
    assert "posterior collapse" in found["active_units_note"]
    torch.nn.init.constant_(vae.posterior.head.bias, 1.0)  # alike for all, and yet far from the prior: it has a cost
    assert "active_units_note" not in evaluate(vae, split, ["elbo"])


def test_continuous_densities_have_no_bits() -> None:
    found = evaluate(model("vae", "levels", (1, 8, 8)), tiny_split("levels", (1, 8, 8), 6, 1), samples=3)
    assert "bits_per_dim" not in found
    assert "nll" in found


def test_denoising_is_judged_on_damaged_inputs() -> None:
    split, dae = tiny_split("unit", (1, 8, 8), 40, 1), model("dae", "unit", (1, 8, 8))
    found = evaluate(dae, split, ["reconstruction"])
    x = split.batch(slice(None)).x
    # half of the values lose their square; each draw differs: 2,560 values with a relative error of a few percent
    assert found["mse_corrupted"] == pytest.approx(0.5 * x.square().mean().item(), rel=0.1)
    assert found["mse"] > 0
    assert "elbo" not in found


def test_plain_autoencoder_has_a_distortion_and_no_bound() -> None:
    split, ae = tiny_split("real", (4,), 12, 1), model("ae", "real", (4,))
    found = evaluate(ae, split)
    assert {"elbo", "rate", "kl_per_dim", "active_units", "nll", "psnr", "ssim"}.isdisjoint(found)
    assert found["distortion"] > 0
    assert "no density" in found["nll_refused"]
    with pytest.raises(RefusedError, match="no density"):
        evaluate(ae, split, ["nll"])


def test_limit_is_a_random_subset() -> None:
    """The first rows of a split are black, the others white: a subset of half of them sees both."""
    x = torch.zeros(40, 1, 4, 4)
    x[20:] = 1.0
    spec = tiny_split("unit", (1, 4, 4), 1, 0).spec
    ae = model("ae", "unit", (1, 4, 4), network={"kind": "mlp", "hidden_dims": (3,)})
    parts = [evaluate(ae, Split(part, spec), ["reconstruction"])["mse"] for part in (x[:20], x[20:])]
    found = evaluate(ae, Split(x, spec), ["reconstruction"], limit=20, seed=3)
    assert found["n"] == 20
    assert min(parts) < found["mse"] < max(parts)
    again = evaluate(ae, Split(x, spec), ["reconstruction"], limit=20, seed=3)
    assert again == found
    assert evaluate(ae, Split(x, spec), ["reconstruction"], limit=20, seed=4)["mse"] != found["mse"]


def test_dynamic_binarisation_is_drawn_once() -> None:
    data = tiny_data("unit", (1, 8, 8)).binarized("dynamic")
    vae = build("vae", data)
    first, second = (evaluate(vae, data.test, ["elbo", "reconstruction"], seed=2) for _ in range(2))
    assert first == second
    assert first["binarize"] == "dynamic"


@pytest.mark.parametrize("training", [True, False])
def test_leaves_mode_weights_and_generator_as_they_were(training: bool) -> None:
    vae = model("sigma-vae", "real", (4,)).train(training)
    state, before = {k: v.clone() for k, v in vae.state_dict().items()}, torch.get_rng_state()
    evaluate(vae, tiny_split("real", (4,), 9, 1), samples=4)
    assert vae.training == training
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, state[name]) for name, value in vae.state_dict().items())


def test_one_example() -> None:
    found = evaluate(model("vae", "real", (4,)), tiny_split("real", (4,), 1, 1), samples=4)
    assert found["n"] == 1
    assert {"nll_stderr", "elbo_stderr"}.isdisjoint(found)  # one example says nothing of the spread
    assert found["active_units"] == 0
    assert all(math.isfinite(value) for value in found.values() if isinstance(value, float))


def test_nothing_to_judge_on_is_said() -> None:
    vae, split = model("vae", "real", (4,)), tiny_split("real", (4,), 6, 1)
    with pytest.raises(DataError, match="the split has no example to judge on"):
        evaluate(vae, split.take(torch.arange(0)))
    for limit in (2.5, 0):
        with pytest.raises(DataError, match=f"limit is {limit}, expected a whole number of examples, 1 or more"):
            evaluate(vae, split, limit=limit)  # type: ignore[arg-type]


def test_one_metric_is_one_name() -> None:
    vae, split = model("vae", "real", (4,)), tiny_split("real", (4,), 6, 1)
    assert evaluate(vae, split, "elbo") == evaluate(vae, split, ["elbo"])


def test_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"no metric 'nl'. Did you mean 'nll'"):
        evaluate(model("vae", "real", (4,)), tiny_split("real", (4,), 3, 1), ["nl"])
