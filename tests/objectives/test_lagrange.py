"""Multipliers and capacities against hand computations."""

import math

import pytest
import torch

from reparam.objectives import CapacityBound, RateConstraint, ReconstructionConstraint
from reparam.objectives.lagrange import MOST_LOG, Multiplier
from reparam.trace import Progress, Trace
from tests.objectives.traces import trace

D = 4  # what the traces' p(x|z) says


def met(distortion: float = 8.0, rate: float = 2.0) -> Trace:
    """Two examples with this distortion and rate in the mean."""
    log_p_x = torch.tensor([[-distortion + 1, -distortion - 1]], dtype=torch.float64)
    kl = torch.tensor([[[rate - 0.5], [rate + 0.5]]], dtype=torch.float64)
    return trace(log_p_x, kl=kl)


class TestMultiplier:
    def test_follows_the_moving_average(self) -> None:
        one = Multiplier(speed=0.5, decay=0.75)
        assert one().item() == 1
        one.follow(torch.tensor(0.2))
        assert one.average.item() == pytest.approx(0.2)
        assert one().item() == pytest.approx(math.exp(0.1))
        one.follow(torch.tensor(-0.6))
        assert one.average.item() == pytest.approx(0, abs=1e-7)  # 3/4 of 0.2 and 1/4 of -0.6, in float32
        assert one().item() == pytest.approx(math.exp(0.1))

    def test_is_not_wound_up_by_a_bad_start(self) -> None:
        one, other = Multiplier(0.5, 0.75), Multiplier(0.5, 0.75)
        one.follow(torch.tensor(1e6))
        other.follow(torch.tensor(1.0))
        assert one().item() == other().item()

    def test_stays_within_its_bounds(self) -> None:
        one = Multiplier(speed=1e9, decay=0.0)
        for sign in (1, -1):
            one.follow(torch.tensor(sign * 1.0))
            assert one.log_value.item() == sign * MOST_LOG

    @pytest.mark.parametrize("bad", [math.nan, math.inf])
    def test_what_is_not_finite_leaves_no_trace(self, bad: float) -> None:
        one, other = Multiplier(0.5, 0.75), Multiplier(0.5, 0.75)
        for value in (1.0, bad, 0.3):
            one.follow(torch.tensor(value))
        for value in (1.0, 0.3):
            other.follow(torch.tensor(value))
        assert all(torch.equal(a, b) for a, b in zip(one.buffers(), other.buffers(), strict=True))

    def test_is_no_parameter_and_is_kept(self) -> None:
        assert not list(Multiplier(0.1, 0.9).parameters())
        assert set(Multiplier(0.1, 0.9).state_dict()) == {"log_value", "average", "steps"}


class TestReconstruction:
    def test_value_and_direction(self) -> None:
        objective = ReconstructionConstraint(tau=1.5, speed=0.1, decay=0.0)  # tolerates a distortion of 6
        found = objective.bound(met(8.0), Progress())
        assert found.value.mean().item() == pytest.approx(-2.0 - (8.0 - 6.0))
        assert found.terms["elbo"].mean().item() == pytest.approx(-10.0)
        assert objective.multiplier().item() == pytest.approx(math.exp(0.1 * (8.0 / D - 1.5)))
        above = objective.multiplier().item()
        objective.bound(met(2.0), Progress())
        assert objective.multiplier().item() < above

    def test_multiplier_one_is_the_elbo_but_for_a_constant(self) -> None:
        given = met()
        assert torch.allclose(ReconstructionConstraint(tau=1.5).bound(given, Progress()).value, given.elbo + D * 1.5)

    def test_weighs_by_the_multiplier_before_it_moves(self) -> None:
        objective = ReconstructionConstraint(tau=1.5, speed=1.0, decay=0.0)
        objective.bound(met(8.0), Progress())
        weight = objective.multiplier().item()
        found = objective.bound(met(8.0), Progress())
        assert found.value.mean().item() == pytest.approx(-2.0 - weight * 2.0)
        assert found.terms["multiplier"].mean().item() == pytest.approx(weight)

    def test_stands_still_at_validation(self) -> None:
        objective = ReconstructionConstraint(tau=1.5).eval()
        objective.bound(met(), Progress())
        assert objective.multiplier().item() == 1
        assert objective.multiplier.steps.item() == 0


class TestRate:
    def test_value_and_direction(self) -> None:
        objective = RateConstraint(target=4.0, speed=0.1, decay=0.0)
        found = objective.bound(met(rate=6.0), Progress())
        assert found.value.mean().item() == pytest.approx(-8.0 - (6.0 - 4.0))
        assert objective.multiplier().item() == pytest.approx(math.exp(0.1 * (6.0 / 4.0 - 1)))
        above = objective.multiplier().item()
        objective.bound(met(rate=1.0), Progress())
        assert objective.multiplier().item() < above


class TestCapacity:
    @pytest.mark.parametrize("rate", [2.0, 9.0])
    def test_value_is_the_deviation_of_the_mean(self, rate: float) -> None:
        found = CapacityBound(gamma=10.0, capacity=5.0).bound(met(rate=rate), Progress())
        assert found.value.mean().item() == pytest.approx(-8.0 - 10 * abs(rate - 5.0))
        assert found.terms["elbo"].mean().item() == pytest.approx(-8.0 - rate)

    @pytest.mark.parametrize(("step", "capacity"), [(0, 0.0), (25, 2.5), (50, 5.0), (90, 5.0)])
    def test_capacity_rises(self, step: int, capacity: float) -> None:
        objective = CapacityBound(gamma=1.0, capacity=5.0, warmup=0.5)
        found = objective.bound(met(rate=7.0), Progress(step, 100, 100)).value.mean().item()
        assert found == pytest.approx(-8.0 - (7.0 - capacity))
