"""Bounds with a term of the aggregate posterior against hand computations."""

import math
from typing import Any

import pytest
import torch
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal

from reparam.distributions import Flow, Grouped, Members, OneHot, PointMass, VonMisesFisher
from reparam.errors import RefusedError
from reparam.networks import ExponentialMap
from reparam.objectives import (
    ELBO,
    AdversarialBound,
    CovarianceBound,
    DiscrepancyBound,
    FactorBound,
    Objective,
    SlicedBound,
    TotalCorrelationBound,
)
from reparam.objectives.matching import maximum_mean_discrepancy
from reparam.processes import Processes
from reparam.rng import reseed
from reparam.trace import Progress, Trace
from tests.objectives.traces import normal, point_trace, trace

LOC = torch.tensor([[1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
VARIANCE = torch.tensor([0.5, 2.0], dtype=torch.float64)
LOG_P_X = torch.tensor([[-3.0, -4.0]], dtype=torch.float64)
KL = torch.tensor([[[0.5, 0.1], [0.7, 0.3]]], dtype=torch.float64)


def given(**more: Any) -> Trace:
    q = normal(LOC, VARIANCE.sqrt())
    z = LOC.unsqueeze(0) + 0.1
    return trace(LOG_P_X, q, z, kl=KL, log_q=q.log_prob(z), **more)


def penalty(objective: Objective, of: Trace) -> float:
    """What a bound takes from the ELBO."""
    return (ELBO().bound(of, Progress()).value - objective.bound(of, Progress()).value).mean().item()


class TestCovariance:
    def test_of_means(self) -> None:
        """Cov is all ones: 2 covariances of 1, and variances of 1 that cost nothing."""
        assert penalty(CovarianceBound(off_diagonal=3.0, diagonal=100.0), given()) == pytest.approx(3 * 2)

    def test_of_codes(self) -> None:
        """The variances are 1.5 and 3: 0.25 and 4 too many, squared."""
        found = penalty(CovarianceBound(moments="codes", off_diagonal=3.0, diagonal=10.0), given())
        assert found == pytest.approx(3 * 2 + 10 * 4.25)

    def test_of_codes_with_correlated_noise(self) -> None:
        noise = torch.tensor([[0.5, -1.0], [-1.0, 2.5]], dtype=torch.float64)
        of = trace(LOG_P_X, MultivariateNormal(LOC, noise), LOC.unsqueeze(0))
        # the covariance 1 of the means and -1 of the noise cancel
        found = penalty(CovarianceBound(moments="codes", off_diagonal=3.0, diagonal=10.0), of)
        assert found == pytest.approx(10 * (0.25 + 6.25))


def test_one_draw_has_no_discrepancy() -> None:
    a, b = torch.zeros(2, 1, 3, dtype=torch.float64), torch.ones(2, 4, 3, dtype=torch.float64)
    assert maximum_mean_discrepancy(a, b).tolist() == [0.0, 0.0]


class TestTotalCorrelation:
    def test_weights_of_one_are_the_elbo_with_a_sampled_kl(self) -> None:
        """Whatever the estimate of q(z) is, it cancels."""
        of = given(log_p_z=torch.tensor([[-2.0, -1.5]], dtype=torch.float64))
        for sampling in ("stratified", "weighted"):
            objective = TotalCorrelationBound(beta=1.0, sampling=sampling)  # type: ignore[arg-type]
            for examples in (0, 2, 1000):
                found = objective.bound(of, Progress(examples=examples)).value
                assert torch.allclose(found, of.log_w.mean(0), atol=1e-10)

    def test_terms_by_hand(self) -> None:
        """Two examples are all there are: q(z) is the mean of two densities."""
        of = given()
        q = normal(LOC, VARIANCE.sqrt())
        each = q.base_dist.log_prob(of.z[0].unsqueeze(1))
        joint = each.sum(-1).exp().mean(1).log()
        single = each.exp().mean(1).log().sum(-1)
        objective = TotalCorrelationBound(alpha=2.0, beta=3.0, gamma=5.0)
        found = objective.bound(of, Progress(examples=2))
        assert torch.allclose(found.terms["total_correlation"], joint - single)
        expected = LOG_P_X[0] - 2 * (of.log_q[0] - joint) - 3 * (joint - single) - 5 * single
        assert torch.allclose(found.value, expected)

    def test_refuses_what_does_not_factorise(self) -> None:
        of = trace(LOG_P_X, MultivariateNormal(LOC, torch.eye(2).double()), LOC.unsqueeze(0))
        with pytest.raises(RefusedError, match=r"does not factorise .*, q\(z_l\|x\), are not at hand"):
            TotalCorrelationBound().bound(of, Progress())


class TestMatching:
    @pytest.mark.parametrize("kind", [DiscrepancyBound, SlicedBound])
    def test_weights(self, kind: type[DiscrepancyBound] | type[SlicedBound]) -> None:
        """alpha = 0.25 and lambda = 10: the KL weighs 0.75, the distance 9.25."""
        found = kind(alpha=0.25, weight=10.0).bound(given(), Progress())
        expected = given().elbo + 0.25 * given().rate - 9.25 * found.terms["distance"]
        assert torch.allclose(found.value, expected)
        assert torch.allclose(found.terms["elbo"], given().elbo)

    @pytest.mark.parametrize("objective", [DiscrepancyBound(), SlicedBound()])
    def test_without_noise_the_elbo_is_what_is_maximised(self, objective: Objective) -> None:
        found = objective.bound(point_trace(LOG_P_X, LOC), Progress())
        assert torch.equal(found.terms["elbo"], found.value)
        assert torch.allclose(found.value, LOG_P_X[0] - 10 * found.terms["distance"])
        assert "rate" not in found.terms

    @pytest.mark.parametrize("kind", [DiscrepancyBound, SlicedBound])
    def test_refuses(self, kind: type[DiscrepancyBound] | type[SlicedBound]) -> None:
        with pytest.raises(RefusedError, match=r"is infinite. Set alpha to 1"):
            kind(alpha=0.5).bound(point_trace(LOG_P_X, LOC), Progress())
        alone = Trace(LOC[None], PointMass(LOC), None, normal(LOC[0]), kl=KL, log_q=KL, log_p_z=KL, log_p_x=LOG_P_X)
        with pytest.raises(RefusedError, match=r"there is no prior p\(z\) that codes could match"):
            kind().bound(alone, Progress())


class Ended(Independent):
    """Codes that end after the first dimension."""

    def padded(self, z: torch.Tensor) -> torch.Tensor:
        return torch.cat([z[..., :1], torch.randn_like(z[..., 1:])], -1)


def drawn(q: Distribution, z: torch.Tensor) -> Trace:
    """A trace of codes."""
    return trace(torch.zeros(z.shape[:2], dtype=z.dtype), q, z)


class TestComparedWithThePrior:
    def test_where_codes_have_ended_they_are_draws_of_the_prior(self) -> None:
        """Zeros behind the end would be a distance that no training removes."""
        reseed(0)
        z = torch.cat([torch.randn(1, 1000, 1), torch.zeros(1, 1000, 3)], -1)
        q = Ended(normal(z[0]).base_dist, 1, validate_args=False)
        near, far = (
            DiscrepancyBound().bound(drawn(of, z), Progress()).terms["distance"][0] for of in (q, normal(z[0]))
        )
        assert abs(near) < 0.01
        assert far > 0.3

    @pytest.mark.parametrize("objective", [DiscrepancyBound(), SlicedBound(), AdversarialBound(6), FactorBound(6)])
    def test_refuses_codes_that_no_prior_draws(self, objective: Objective) -> None:
        logits = torch.zeros(4, 2, 3)
        relaxed = OneHot(logits, 0.5)
        shared = Grouped(Normal(torch.zeros(4, 6), 1.0), 2, Members(torch.tensor([0, 0, 1, 1]), Processes()))
        for q, said in ((relaxed, "draws of .* are relaxed"), (shared, "examples of a group share a draw")):
            with pytest.raises(RefusedError, match=said):
                objective.bound(drawn(q, q.rsample(torch.Size([1]))), Progress())

    @pytest.mark.parametrize(
        "q",
        [
            OneHot(torch.zeros(4, 2, 3)),
            VonMisesFisher(torch.nn.functional.normalize(torch.ones(4, 6), dim=-1), torch.ones(4, 1)),
            Flow(normal(torch.zeros(4, 6)), ExponentialMap(1.0)),
        ],
    )
    def test_dimensions_that_cannot_be_exchanged_have_no_total_correlation(self, q: Distribution) -> None:
        with pytest.raises(RefusedError, match="make a code only together"):
            FactorBound(6).bound(drawn(q, q.rsample(torch.Size([1]))), Progress())


class TestCritics:
    def blind(self, kind: type[FactorBound] | type[AdversarialBound]) -> FactorBound | AdversarialBound:
        """A critic that gives every code the same log odds, 1."""
        objective = kind(2, hidden_dims=(3,)).double()
        with torch.no_grad():
            for parameter in objective.parameters():
                parameter.zero_()
            objective.critic.net[-1].bias.fill_(1.0)  # type: ignore[union-attr, operator]
        return objective

    def test_factor(self) -> None:
        objective = self.blind(FactorBound)
        assert penalty(objective, given()) == pytest.approx(10.0)
        cross_entropy = -0.5 * (math.log(1 / (1 + math.exp(-1))) + math.log(1 / (1 + math.exp(1))))
        assert objective.examine(given()).loss.item() == pytest.approx(cross_entropy)

    def test_adversarial(self) -> None:
        found = self.blind(AdversarialBound).bound(given(), Progress())
        assert torch.allclose(found.value, LOG_P_X[0] + math.log(1 / (1 + math.exp(-1))))
        assert torch.allclose(found.terms["elbo"], given().elbo)

    def test_a_steep_critic_pays(self) -> None:
        """Log odds 3 z_1 - 4 z_2 have a squared slope of 25 everywhere."""
        objective = AdversarialBound(2, slope_weight=0.2, hidden_dims=(1,)).double()
        free = AdversarialBound(2, slope_weight=0.0, hidden_dims=(1,)).double()
        with torch.no_grad():
            first, _, last = objective.critic.net
            first.weight.copy_(torch.tensor([[3.0, -4.0]]))  # type: ignore[union-attr, operator]
            first.bias.fill_(1e3)  # type: ignore[union-attr, operator]
            last.weight.fill_(1.0)  # type: ignore[union-attr, operator]
        free.load_state_dict(objective.state_dict())
        losses = []
        for one in (objective, free):
            reseed(0)
            losses.append(one.examine(given()).loss.item())
        assert losses[0] - losses[1] == pytest.approx(0.2 * 12.5)

    def test_adversarial_without_noise_shows_the_distortion(self) -> None:
        found = self.blind(AdversarialBound).bound(point_trace(LOG_P_X, LOC), Progress())
        assert torch.equal(found.terms["elbo"], LOG_P_X[0])

    def test_a_critic_feels_which_is_which(self) -> None:
        """One step of its own makes it better; one of the model's loss does not belong to it."""
        reseed(0)
        objective = AdversarialBound(2, hidden_dims=(8,)).double()
        far = trace(LOG_P_X.expand(1, 2), z=LOC.unsqueeze(0) + 6)
        losses = []
        optimizer = torch.optim.SGD(objective.critic.parameters(), 0.1)
        for _ in range(20):
            optimizer.zero_grad()
            loss = objective.examine(far).loss
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < losses[0] - 0.1
        assert objective.critic(far.z).mean() < 0  # codes, not draws from the prior
