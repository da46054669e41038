"""Every objective that plays against a critic of examples."""

from typing import Any

import pytest
import torch

from reparam.data import Batch
from reparam.errors import PartError
from reparam.likelihoods import NormalLikelihood
from reparam.models import VAE, ImplicitModel
from reparam.networks import ClassCondition, ConditionalDecoder, ConditionalEncoder, MLPDecoder, MLPEncoder
from reparam.objectives import Game, Objective
from reparam.parts import constructor
from reparam.posteriors import NormalPosterior
from reparam.priors import NormalPrior, StructuredPrior
from reparam.rng import reseed
from reparam.trace import Progress
from tests.contracts.members import Settings, dead, make, members, seeded_

B, L, CLASSES = 5, 4, 3
GAMES = [row for row in members("objective") if not issubclass(constructor("objective", row.values[0]), Objective)]
CODED = ("vae-gan", "cvae-gan", "reconstruction-gan")  # those that need an encoder


def build(kind: str, settings: Settings) -> Game:
    reseed(3)
    game: Game = make("objective", kind, settings, (4,), L).double()
    return seeded_(game)  # type: ignore[return-value]


def model(kind: str, scale: Any = 0.5) -> Any:
    """A model that the game can be played with, told the class."""
    reseed(0)
    condition, likelihood = ClassCondition(CLASSES), NormalLikelihood((4,), scale)
    decoder = ConditionalDecoder(MLPDecoder(L + CLASSES, (4,), (6,)), CLASSES)
    prior = StructuredPrior(L, classes=2, uniform=1) if kind == "info-gan" else NormalPrior(L)
    if kind not in CODED:
        return seeded_(ImplicitModel(prior, decoder, likelihood, condition)).double()
    encoder = ConditionalEncoder(MLPEncoder((4 + CLASSES,), (6,)), CLASSES)
    return seeded_(VAE(encoder, NormalPosterior(6, L), prior, decoder, likelihood, condition=condition)).double()


def batch() -> Batch:
    reseed(1)
    return Batch(torch.randn(B, 4, dtype=torch.float64), {"labels": torch.arange(B) % CLASSES})


@pytest.mark.parametrize(("kind", "settings"), GAMES)
class TestGame:
    @pytest.mark.parametrize("progress", [Progress(0, 10), Progress(8, 10, examples=100), Progress(examples=7)])
    def test_players_give_a_number_for_each_example(self, kind: str, settings: Settings, progress: Progress) -> None:
        for player in build(kind, settings).players(model(kind)):
            found = player.play(batch(), progress)
            assert found.value.shape == (B,)
            assert found.value.isfinite().all()
            assert all(term.shape == (B,) and term.isfinite().all() for term in found.terms.values())
            assert not any(term.requires_grad for term in found.terms.values())

    def test_players_move_every_parameter_once(self, kind: str, settings: Settings) -> None:
        game, trained = build(kind, settings), model(kind)
        players = game.players(trained)
        moved = [id(parameter) for player in players for parameter in player.parameters]
        assert len(moved) == len(set(moved))
        assert set(moved) == {id(parameter) for parameter in (*trained.parameters(), *game.parameters())}
        for player in reversed(players):  # the classifier first: it must know the classes' means
            loss = player.play(batch(), Progress()).loss
            gradients = torch.autograd.grad(loss, player.parameters, allow_unused=True)
            for parameter, gradient in zip(player.parameters, gradients, strict=True):
                parameter.grad = gradient
        assert not dead(trained)
        # a critic's constant tells nothing apart where its loss is one of differences alone
        assert [name for name in dead(game) if not name.endswith("head.bias")] == []

    def test_says_whether_it_trains_the_noise(self, kind: str, settings: Settings) -> None:
        game, trained = build(kind, settings), model(kind, "learned")
        player = game.players(trained)[0]
        noise = list(trained.likelihood.parameters())
        found = torch.autograd.grad(player.play(batch(), Progress(8, 10)).loss, noise, allow_unused=True)
        assert noise
        assert game.trains_likelihood == any(gradient is not None and bool(gradient.any()) for gradient in found)

    def test_judging_changes_nothing(self, kind: str, settings: Settings) -> None:
        game, trained = build(kind, settings).eval(), model(kind).eval()
        before = {name: value.clone() for name, value in game.state_dict().items()}
        bounds = []
        for _ in range(2):
            reseed(2)
            with torch.no_grad():
                bounds.append(game(trained, batch(), Progress(examples=20)))
        assert torch.equal(bounds[0].value, bounds[1].value)
        assert 0 <= bounds[0].terms["critic_accuracy"].mean() <= 1
        assert all(torch.equal(before[name], value) for name, value in game.state_dict().items())

    def test_all_it_knows_is_in_its_state(self, kind: str, settings: Settings) -> None:
        game, trained = build(kind, settings), model(kind)
        for step in range(3):
            for player in game.players(trained):
                player.play(batch(), Progress(step, 10))
        again = seeded_(make("objective", kind, settings, (4,), L).double(), seed=5)
        again.load_state_dict(game.state_dict())
        values = []
        for one in (game, again):
            reseed(4)
            values.append([player.play(batch(), Progress(8, 10)).value for player in one.players(trained)])
        assert all(torch.equal(*pair) for pair in zip(*values, strict=True))


@pytest.mark.parametrize(
    ("kind", "settings", "sentence"),
    [
        ("gan", {"gan_loss": "least-squares"}, "gan_loss is 'least-squares'"),
        ("gan", {"critic": {"penalty": "r2"}}, "penalty is 'r2'"),
        ("gan", {"critic": {"hiden_dim": 3}}, "no setting 'hiden_dim'"),
        ("gan", {"critic": {"penalty_every": 0}}, "penalty_every is 0"),
        ("gan", {"critic": {"steps": 2.5}}, "steps is 2.5, expected a whole number of 1 or more"),
        ("gan", {"critic": {"rate": 0.0}}, "rate is 0.0"),
        ("vae-gan", {"gamma": -1.0}, "gamma is -1.0"),
        ("vae-gan", {"gamma": "adaptative"}, "gamma is adaptative"),
        ("vae-gan", {"sigma": 0.0}, "sigma is 0.0"),
        ("cvae-gan", {"kl_weight": -1.0}, "kl_weight is -1.0"),
        ("cvae-gan", {"condition": None}, "told of 0 classes"),
        ("feature-matching", {"condition": ClassCondition(1)}, "told of 1 classes"),
    ],
)
def test_refuses_wrong_settings(kind: str, settings: Settings, sentence: str) -> None:
    with pytest.raises(PartError, match=sentence):
        constructor("objective", kind)(data_shape=(4,), **({"condition": ClassCondition(3)} | dict(settings)))
