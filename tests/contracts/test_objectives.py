"""Every objective."""

from typing import Any

import pytest
import torch
from torch import Tensor

from reparam.data import Batch
from reparam.errors import PartError
from reparam.likelihoods import NormalLikelihood
from reparam.models import VAE
from reparam.networks import MLPDecoder, MLPEncoder
from reparam.posteriors import NormalPosterior
from reparam.priors import NormalPrior
from reparam.trace import Bound, Progress
from tests.contracts.members import Settings, dead, make, members, seeded_

B = 5


def model() -> VAE:
    torch.manual_seed(0)
    likelihood = NormalLikelihood((4,), "learned")
    encoder, decoder = MLPEncoder((4,), (6,)), MLPDecoder(2, likelihood.out_shape, (6,))
    return seeded_(VAE(encoder, NormalPosterior(6, 2), NormalPrior(2), decoder, likelihood)).double()


def batch() -> Batch:
    torch.manual_seed(1)
    return Batch(torch.randn(B, 4, dtype=torch.float64))


@pytest.mark.parametrize(("kind", "settings"), members("objective"))
class TestObjective:
    def bound(self, objective: Any, progress: Progress) -> Bound:
        torch.manual_seed(2)
        return objective(model(), batch(), progress)

    @pytest.mark.parametrize("progress", [Progress(), Progress(0, 10), Progress(3, 10), Progress(10, 10)])
    def test_bound(self, kind: str, settings: Settings, progress: Progress) -> None:
        found = self.bound(make("objective", kind, settings), progress)
        assert found.value.shape == (B,)
        assert found.value.isfinite().all()
        assert all(term.shape == (B,) and term.isfinite().all() for term in found.terms.values())
        assert found.terms["elbo"].mean().isfinite()
        assert torch.equal(found.loss, -found.value.mean())

    def test_elbo_is_always_reported_plain(self, kind: str, settings: Settings) -> None:
        """Weights and warm-ups change what is maximised, never the ELBO that is shown."""
        objective = make("objective", kind, settings)
        elbo = [self.bound(objective, Progress(step, 10)).terms["elbo"] for step in (0, 10)]
        assert torch.equal(*elbo)
        torch.manual_seed(2)
        assert torch.equal(elbo[0], model().trace(batch().x, samples=objective.samples).elbo)

    def test_players_move_every_parameter_once(self, kind: str, settings: Settings) -> None:
        objective, trained = make("objective", kind, settings), model()
        players = objective.players(trained)
        moved = [id(parameter) for player in players for parameter in player.parameters]
        assert len(moved) == len(set(moved))
        assert set(moved) == {id(parameter) for parameter in (*trained.parameters(), *objective.parameters())}
        for player in players:
            player.play(batch(), Progress()).loss.backward()
        assert not dead(trained)
        assert len({player.name for player in players}) == len(players)

    def test_draws_as_many_samples_as_it_says(self, kind: str, settings: Settings) -> None:
        asked: list[int] = []

        class Watched(torch.nn.Module):
            conditions = ()

            def trace(self, x: Tensor, samples: int = 1, **named: Any) -> Any:
                asked.append(samples)
                return model().trace(x, samples=samples)

        objective = make("objective", kind, settings)
        objective(Watched(), batch(), Progress())
        assert asked == [objective.samples]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"samples": 0}, "samples is 0, expected at least 1"),
        ({"beta": -1.0}, "beta is -1.0, expected a number of 0 or more"),
        ({"beta": float("nan")}, "beta is nan, expected a number of 0 or more"),
        ({"free_bits": -0.1}, "free_bits is -0.1, expected a number of 0 or more"),
        ({"warmup": 1.5}, "warmup is 1.5, expected a share of training from 0 to 1"),
        ({"warmup": -0.1}, "warmup is -0.1, expected a share of training from 0 to 1"),
        ({"warmup": 0.5, "cycles": 0}, "cycles is 0, expected at least 1"),
    ],
)
def test_elbo_refuses_wrong_settings(settings: Settings, sentence: str) -> None:
    with pytest.raises(PartError, match=sentence):
        make("objective", "elbo", settings)
