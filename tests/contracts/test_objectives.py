"""Every objective."""

from typing import Any

import pytest
import torch
from torch import Tensor

from reparam.data import Batch
from reparam.errors import PartError, RefusedError
from reparam.likelihoods import NormalLikelihood
from reparam.models import VAE
from reparam.networks import MLPDecoder, MLPEncoder
from reparam.objectives import Objective
from reparam.parts import constructor
from reparam.priors import NormalPrior
from reparam.rng import reseed
from reparam.trace import Bound, Progress
from tests.contracts.members import Settings, dead, make, members, seeded_

B, L = 5, 2


def build(kind: str, settings: Settings) -> Objective:
    reseed(3)
    objective: Objective = make("objective", kind, settings, (4,), L).double()
    return objective


def model(posterior: str = "normal", prior: bool = True) -> VAE:
    reseed(0)
    likelihood = NormalLikelihood((4,), "learned")
    encoder, decoder = MLPEncoder((4,), (6,)), MLPDecoder(L, likelihood.out_shape, (6,))
    q = constructor("posterior", posterior)(6, L)
    return seeded_(VAE(encoder, q, NormalPrior(L) if prior else None, decoder, likelihood)).double()


def fitting(objective: Objective) -> VAE:
    """A model with a posterior of the kind that the objective asks for."""
    return model("point", prior=False) if objective.noiseless else model()


def batch(size: int = B) -> Batch:
    reseed(1)
    return Batch(torch.randn(size, 4, dtype=torch.float64))


# what an objective of a trace is; test_games.py holds what those are that play against a critic of examples
OF_A_TRACE = [
    member for member in members("objective") if issubclass(constructor("objective", member.values[0]), Objective)
]


@pytest.mark.parametrize(("kind", "settings"), OF_A_TRACE)
class TestObjective:
    def bound(self, objective: Objective, progress: Progress, size: int = B) -> Bound:
        given, trained = batch(size), fitting(objective)
        reseed(2)
        return objective(trained, given, progress)

    @pytest.mark.parametrize("size", [B, 1])
    @pytest.mark.parametrize("progress", [Progress(0, 10), Progress(3, 10, examples=100), Progress(examples=7)])
    def test_bound(self, kind: str, settings: Settings, progress: Progress, size: int) -> None:
        found = self.bound(build(kind, settings), progress, size)
        assert found.value.shape == (size,)
        assert found.value.isfinite().all()
        assert all(term.shape == (size,) and term.isfinite().all() for term in found.terms.values())
        assert not any(term.requires_grad for term in found.terms.values())
        assert found.terms["elbo"].mean().isfinite()
        assert torch.equal(found.loss, -found.value.mean())

    def test_elbo_is_always_reported_plain(self, kind: str, settings: Settings) -> None:
        """Weights and warm-ups change what is maximised, never the ELBO that is shown."""
        objective = build(kind, settings)
        elbo = [self.bound(objective, Progress(step, 10)).terms["elbo"] for step in (0, 10)]
        assert torch.equal(*elbo)
        x, trained = batch().x, fitting(objective)
        reseed(2)
        assert torch.equal(elbo[0], trained.trace(x, samples=objective.samples).elbo)

    def test_players_move_every_parameter_once(self, kind: str, settings: Settings) -> None:
        objective = build(kind, settings)
        trained = fitting(objective)
        players = objective.players(trained)
        moved = [id(parameter) for player in players for parameter in player.parameters]
        assert len(moved) == len(set(moved))
        assert set(moved) == {id(parameter) for parameter in (*trained.parameters(), *objective.parameters())}
        for player in players:
            found = player.play(batch(), Progress())
            assert all(term.shape == (B,) and not term.requires_grad for term in found.terms.values())
            found.loss.backward()
        assert not dead(trained)
        assert not dead(objective)
        assert len({player.name for player in players}) == len(players)

    def test_draws_as_many_samples_as_it_says(self, kind: str, settings: Settings) -> None:
        asked: list[int] = []
        objective = build(kind, settings)
        watched = fitting(objective)

        class Watched(torch.nn.Module):
            conditions = observes = ()
            generative_parameters = watched.generative_parameters
            filtered = watched.filtered

            def trace(self, x: Tensor, samples: int = 1, **named: Any) -> Any:
                asked.append(samples)
                return watched.trace(x, samples=samples)

        objective(Watched(), batch(), Progress())
        assert asked == [objective.samples]

    def test_judging_changes_nothing(self, kind: str, settings: Settings) -> None:
        """At validation the same draws give the same bound, again and again, and with no gradient too."""
        objective = build(kind, settings).eval()
        before = {name: value.clone() for name, value in objective.state_dict().items()}
        first = self.bound(objective, Progress(examples=20))
        with torch.no_grad():
            second = self.bound(objective, Progress(examples=20))
        assert all(torch.equal(before[name], value) for name, value in objective.state_dict().items())
        assert torch.equal(first.terms["elbo"], second.terms["elbo"])
        assert second.value.isfinite().all()

    def test_all_it_knows_is_in_its_state(self, kind: str, settings: Settings) -> None:
        """After some steps, another one with the same state gives the same bound: a training can be resumed."""
        objective = build(kind, settings)
        for step in range(3):
            self.bound(objective, Progress(step, 10))
        again = seeded_(make("objective", kind, settings, (4,), L).double(), seed=5)
        again.load_state_dict(objective.state_dict())
        progress = Progress(3, 10)
        assert torch.equal(self.bound(objective, progress).value, self.bound(again, progress).value)

    @pytest.mark.parametrize("posterior", ["normal", "laplace", "full-normal", "point"])
    def test_takes_a_posterior_or_says_why_not(self, kind: str, settings: Settings, posterior: str) -> None:
        objective = build(kind, settings)
        trained, reasons = model(posterior), []
        for player in objective.players(trained):
            try:
                found = player.play(batch(), Progress(examples=20))
            except RefusedError as refusal:
                reasons.append(str(refusal))
                continue
            assert found.value.isfinite().all()
            found.loss.backward()
        assert all(reason.startswith(f"{type(objective).__name__}: q(z|x) ") for reason in reasons)
        assert reasons or not dead(trained)


@pytest.mark.parametrize(
    ("kind", "settings", "sentence"),
    [
        ("elbo", {"samples": 0}, "samples is 0, expected at least 1"),
        ("elbo", {"beta": -1.0}, "beta is -1.0, expected a number of 0 or more"),
        ("elbo", {"beta": float("nan")}, "beta is nan, expected a number of 0 or more"),
        ("elbo", {"free_bits": -0.1}, "free_bits is -0.1, expected a number of 0 or more"),
        ("elbo", {"warmup": 1.5}, "warmup is 1.5, expected a share of training from 0 to 1"),
        ("elbo", {"warmup": -0.1}, "warmup is -0.1, expected a share of training from 0 to 1"),
        ("elbo", {"warmup": 0.5, "cycles": 0}, "cycles is 0, expected at least 1"),
        ("iwae", {"samples": 5, "groups": 2}, "5 samples cannot be shared by 2 groups"),
        ("iwae", {"elbo_share": 1.5}, "elbo_share is 1.5, expected a share from 0 to 1"),
        ("piwae", {"samples": 5, "groups": 0}, "5 samples cannot be shared by 0 groups"),
        ("stl", {"beta": -1.0}, "beta is -1.0, expected a number of 0 or more"),
        ("renyi", {"alpha": float("inf")}, "alpha is inf, expected a finite number or 'max'"),
        ("renyi", {"alpha": "min"}, "alpha is 'min', expected a finite number or 'max'"),
        ("capacity", {"capacity": -1.0}, "capacity is -1.0, expected a number of 0 or more"),
        ("geco", {"tau": float("nan")}, "tau is nan"),
        ("geco", {"decay": 1.0}, "decay is 1.0, expected a number from 0 to below 1"),
        ("vib", {"target": 0.0}, "target is 0.0, expected a number of 1e-06 or more"),
        ("factor", {"gamma": -1.0}, "gamma is -1.0, expected a number of 0 or more"),
        ("factor", {"hidden_dims": ()}, "expected at least one width of 1 or more"),
        ("beta-tc", {"beta": -1.0}, "beta is -1.0, expected a number of 0 or more"),
        ("beta-tc", {"sampling": "weigted"}, "Did you mean 'weighted'"),
        ("dip", {"moments": "mean"}, "Did you mean 'means'"),
        ("dip", {"diagonal": float("inf")}, "diagonal is inf"),
        ("mmd", {"alpha": 1.1}, "expected alpha of 1 or less"),
        ("mmd", {"alpha": 0.0, "weight": 0.5}, "alpha . weight of 1 or more"),
        ("mmd", {"kernel": "rfb"}, "Did you mean 'rbf'"),
        ("mmd", {"scales": (1.0, 0.0)}, "expected one or more positive numbers"),
        ("sliced", {"projections": 0}, "projections is 0, expected a number of 1 or more"),
        ("adversarial", {"weight": -1.0}, "weight is -1.0, expected a number of 0 or more"),
        ("rae", {"regularization": "gradeint"}, "Did you mean 'gradient'"),
        ("rae", {"code_weight": -1.0}, "code_weight is -1.0, expected a number of 0 or more"),
    ],
)
def test_refuses_wrong_settings(kind: str, settings: Settings, sentence: str) -> None:
    with pytest.raises(PartError, match=sentence):
        make("objective", kind, settings)
