"""Mutual information, continuity, completeness, predictive checks and probes against closed forms and built cases."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from reparam.data import DataSpec, Split, load_data
from reparam.distributions import Energy, PointMass, joint
from reparam.errors import RefusedError
from reparam.evaluation import evaluate
from reparam.evaluation.aggregate import log_densities
from reparam.evaluation.checking import neighbours, two_sided
from reparam.evaluation.decoding import share_among
from reparam.evaluation.probing import clustering_information, probe_accuracies
from reparam.recipes import build
from reparam.trace import Trace


class Linear(nn.Module):
    """q(z|x) = N(slope x, spread^2), p(z) = N(0, 1), p(x|z) = N(gain z + shift, 1), dimension by dimension."""

    conditions: tuple[str, ...] = ()

    def __init__(self, slope: float = 1.0, spread: float = 0.5, shift: float = 0.0, gain: float = 1.0) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope, dtype=torch.float64))
        self.spread, self.shift, self.gain = spread, shift, gain

    def out(self, z: Tensor) -> Tensor:
        return self.gain * z + self.shift

    def infer(self, x: Tensor, **named: Any) -> Distribution:
        mean = self.slope * x.double()
        return joint(Normal(mean, torch.full_like(mean, self.spread)), 1)

    def decode(self, z: Tensor) -> Distribution:
        mean = self.out(z)
        return joint(Normal(mean, torch.ones_like(mean)), 1)

    def trace(self, x: Tensor, samples: int = 1, *, q: Any = None, **named: Any) -> Trace:
        q = q or self.infer(x)
        z, p_z = q.rsample((samples,)), joint(Normal(torch.zeros(x.shape[1]).double(), 1.0), 1)
        return Trace(
            z,
            q,
            p_z,
            self.decode(z),
            kl=z,
            log_q=lambda: q.log_prob(z),
            log_p_z=lambda: p_z.log_prob(z),
            log_p_x=lambda: self.decode(z).log_prob(x),
        )

    def sample(self, n: int, temperature: float = 1.0, draw: bool = False) -> Tensor:
        p_x = self.decode(torch.randn(n, 2, dtype=torch.float64))
        return p_x.sample() if draw else p_x.mean


class Threshold(Linear):
    """Decodes to a square wave: all change is in one place."""

    def out(self, z: Tensor) -> Tensor:
        return z.sign()


class Plain(Linear):
    """A code without noise, and a distance instead of a density."""

    def infer(self, x: Tensor, **named: Any) -> Distribution:
        return PointMass(x.double())

    def decode(self, z: Tensor) -> Distribution:
        return Energy(z, lambda x, x_hat: (x - x_hat).square(), 1)


def normal_data(count: int, dims: int = 2, scale: float = 1.0) -> Split:
    x = scale * torch.randn(count, dims, generator=torch.Generator().manual_seed(1))
    return Split(x, DataSpec("normal", (dims,), "real"))


def test_information_of_a_linear_gaussian_model() -> None:
    """q(z) = N(0, a^2 + s^2) in each of two dimensions, so I and KL have closed forms."""
    a, s = 1.2, 0.5
    found = evaluate(Linear(a, s), normal_data(1500), ["collapse"])
    total = a * a + s * s
    information = math.log(total / (s * s))
    mismatch = total - 1 - math.log(total)
    # three standard errors, and the bias of 1,500 examples: about (e^I - 1) / 2 N for the first
    near = 3 * found["mutual_information_stderr"] + 0.01
    assert found["mutual_information"] == pytest.approx(information, abs=near)
    assert found["aggregate_kl"] == pytest.approx(mismatch, abs=3 * found["aggregate_kl_stderr"] + 0.01)
    assert found["mutual_information_most"] == pytest.approx(math.log(1500))
    assert found["collapse_n"] == 1500


def test_both_add_up_to_the_rate() -> None:
    model, split = Linear(2.0, 0.1), normal_data(50)
    found = evaluate(model, split, ["collapse"], seed=4)
    x = split.batch(slice(None)).x.double()
    rate = 0.5 * (0.01 + (2 * x).square() - 1 - math.log(0.01)).sum(1).mean().item()
    # one draw for each of 50 examples: log q - log p has a standard deviation of about 0.3
    assert found["mutual_information"] + found["aggregate_kl"] == pytest.approx(rate, abs=0.2)
    assert found["mutual_information"] <= math.log(50)


def test_a_collapsed_code_tells_nothing() -> None:
    found = evaluate(Linear(0.0, 1.0), normal_data(40), ["collapse"])
    assert found["mutual_information"] == pytest.approx(0, abs=1e-12)
    assert found["aggregate_kl"] == pytest.approx(0, abs=1e-12)


def test_log_densities_in_parts_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    q, z = Linear().infer(torch.randn(7, 2)), torch.randn(11, 2).double()
    whole = log_densities(q, z)
    assert whole.shape == (11, 7)
    monkeypatch.setattr("reparam.evaluation.aggregate._MOST_VALUES", 40)
    assert torch.allclose(log_densities(q, z), whole, atol=0)


def test_an_even_decoder_has_even_steps() -> None:
    """A step goes as far in x as in z, whatever the scale of the code; half as far where x is decoded half as wide."""
    for slope, gain, step in ((1.0, 1.0, 1.0), (30.0, 1 / 30, 1.0), (1.0, 0.5, 0.5)):
        found = evaluate(Linear(slope, gain=gain), normal_data(50), ["continuity"])
        steps = [found["continuity_median"], found["continuity_p95"]]
        assert [*steps, found["continuity_jump"]] == pytest.approx([step, step, 1.0])


def test_a_sudden_decoder_jumps() -> None:
    x = torch.tensor([[-1.0], [1.0]]).repeat(20, 1)
    found = evaluate(Threshold(), Split(x, DataSpec("two", (1,), "real")), ["continuity"])
    assert found["continuity_median"] == 0
    assert found["continuity_jump"] == pytest.approx(10)  # sign(0) = 0 lies on the way: the jump takes two steps
    with pytest.raises(RefusedError, match="All codes are the same"):
        evaluate(Linear(0.0), normal_data(9), ["continuity"])


def test_completeness_is_1_among_the_data_and_0_elsewhere() -> None:
    draws = torch.Generator().manual_seed(0)
    train, test, fresh = (torch.randn(500, 2, generator=draws, dtype=torch.float64) for _ in range(3))
    assert share_among(train, test, train) == 1
    assert share_among(fresh + 100, test, train) == 0
    assert share_among(test, test, train) == pytest.approx(0.95)
    assert share_among(fresh, test, train) == pytest.approx(0.95, abs=0.04)  # 500 draws: four standard errors
    half = torch.cat([train[:250], train[:250] + 100])
    assert share_among(half, test, train) == 0.5
    with pytest.raises(RefusedError, match="are training examples"):
        share_among(fresh, train, train)


def test_two_sided_p_values_by_hand() -> None:
    replicated = torch.arange(1.0, 10.0)
    assert two_sided(10.0, replicated) == pytest.approx(2 * 1 / 10)
    assert two_sided(0.0, replicated) == pytest.approx(2 * 1 / 10)
    assert two_sided(2.0, replicated) == pytest.approx(2 * 3 / 10)
    assert two_sided(5.0, replicated) == 1


def test_predictive_checks_tell_a_model_that_fits() -> None:
    """p(x) = N(0, 2) in each dimension."""
    found = evaluate(Linear(), normal_data(300, scale=math.sqrt(2)), ["ppc"])
    assert found["ppc_mean_p"] > 0.05
    assert found["ppc_variance_p"] > 0.05
    assert "ppc_ink_p" not in found  # the values are not in [0, 1]
    assert found["ppc_variance_model"] == pytest.approx(1, abs=0.1)  # of two values: half of the variance, 2 / 2
    shifted = evaluate(Linear(shift=1.0), normal_data(300, scale=math.sqrt(2)), ["ppc"])
    assert shifted["ppc_mean_p"] == pytest.approx(2 / 1001)
    assert shifted["ppc_variance_p"] > 0.05
    assert shifted["ppc_mean_model"] == pytest.approx(1, abs=0.1)


def test_neighbours_by_hand() -> None:
    rows = torch.tensor([[[[0.0, 0.0], [1.0, 1.0]]], [[[0.0, 1.0], [1.0, 0.0]]], [[[0.3, 0.3], [0.3, 0.3]]]])
    # along the rows 1 and -1, along the columns -1 and -1
    assert neighbours(rows).tolist() == [0.0, -1.0, 0.0]
    up = torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert neighbours(up[None, None]).item() == pytest.approx((0.75 - 0.25 + 0.75) / 3 / 1.25)
    # channels have means and units of their own, and one that does not vary says nothing
    assert neighbours(torch.stack([up, 100 + 5 * up, 0.3 + 0 * up])[None]).item() == pytest.approx(1 / 3)


def test_predictive_checks_tell_independent_noise() -> None:
    """Each value of a model's draw has noise of its own; a smooth signal has none."""
    smooth = torch.cumsum(torch.randn(300, 1, 16, generator=torch.Generator().manual_seed(0)), 2).numpy()
    data = load_data(smooth)
    found = evaluate(build("vae", data).eval(), data.test, ["ppc"])
    assert found["ppc_neighbours"] > 0.5
    assert found["ppc_neighbours_model"] < 0.2
    assert found["ppc_neighbours_p"] == pytest.approx(2 / 1001)


@pytest.mark.parametrize("metric", ["collapse", "ppc"])
def test_what_has_no_density_is_refused(metric: str) -> None:
    with pytest.raises(RefusedError, match="density"):
        evaluate(Plain(), normal_data(5), [metric])


def clouds(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Codes of three classes, far apart."""
    labels = torch.arange(count) % 3
    places = torch.tensor([[0.0, 0], [9, 0], [0, 9]], dtype=torch.float64)
    return places[labels] + torch.randn(count, 2, generator=torch.Generator().manual_seed(seed)).double(), labels


def test_probes_and_clusters_of_what_is_apart_and_of_noise() -> None:
    fit, score = clouds(90, 0), clouds(60, 1)
    assert probe_accuracies(fit, score) == (1.0, 1.0)
    assert clustering_information(*fit) == pytest.approx(1)
    noisy = torch.randn(300, 2, generator=torch.Generator().manual_seed(2)).double()
    wrong = torch.arange(300) % 3
    linear, nearest = probe_accuracies((noisy[:200], wrong[:200]), (noisy[200:], wrong[200:]))
    assert linear == pytest.approx(1 / 3, abs=0.2)  # four standard errors of 100 examples
    assert nearest == pytest.approx(1 / 3, abs=0.2)
    assert clustering_information(noisy, wrong) < 0.05
    with pytest.raises(RefusedError, match="at least two classes"):
        probe_accuracies((noisy, torch.zeros_like(wrong)), score)
    with pytest.raises(RefusedError, match="at least two; these examples are of one"):
        clustering_information(noisy, torch.ones_like(wrong))
