"""The losses of games against hand computation, and whom each of them moves."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reparam.data import Batch, load_data
from reparam.errors import PartError, RefusedError
from reparam.networks import ClassCondition, Discriminator, Seen, bounded, squared_slope
from reparam.objectives import (
    ELBO,
    CriticSettings,
    CVAEGANGame,
    FeatureMatchingGame,
    GANGame,
    InfoGANGame,
    ReconstructionGame,
    VAEGANGame,
)
from reparam.objectives.adversary import Adversary
from reparam.objectives.feature_matching import ClassMatching, mean_distance
from reparam.processes import Processes
from reparam.recipes import RECIPES, build
from reparam.rng import reseed
from reparam.runs import fit, train
from reparam.trace import Progress
from tests.contracts.members import tiny_data
from tests.contracts.test_games import CLASSES, B, batch, model

NO_PENALTY = CriticSettings(hidden_dim=7, penalty="none")
REAL, MADE = torch.tensor([0.5, 2.0]), torch.tensor([-1.0, 0.3])
SIGMOID = torch.sigmoid


class _Says(nn.Module):
    """A critic that says what it is told to."""

    def __init__(self, *said: Tensor) -> None:
        super().__init__()
        self.said = list(said)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Any:
        outputs = self.said.pop(0).unsqueeze(1)
        return Seen(outputs, outputs, outputs)


def adversary(gan_loss: Any, settings: CriticSettings = NO_PENALTY) -> Adversary:
    reseed(0)
    return Adversary((4,), gan_loss, settings)


@pytest.mark.parametrize(
    ("gan_loss", "critic", "generator"),
    [
        ("non-saturating", SIGMOID(REAL).log() + (1 - SIGMOID(MADE)).log(), SIGMOID(MADE).log()),
        ("saturating", SIGMOID(REAL).log() + (1 - SIGMOID(MADE)).log(), -(1 - SIGMOID(MADE)).log()),
        ("hinge", torch.tensor([-0.5 - 0.0, -0.0 - 1.3]), MADE),
        ("wasserstein", REAL - MADE, MADE),
    ],
)
def test_losses(gan_loss: str, critic: Tensor, generator: Tensor) -> None:
    """The objective of the lectures, the critic's E[-log D(x)] + E[-log(1 - D(G(z)))], and its relatives."""
    one = adversary(gan_loss)
    one.network = _Says(REAL, MADE)  # type: ignore[assignment]
    x = torch.zeros(2, 4)
    found = one.told_apart(x, [x], None, Progress(), Processes())
    assert torch.allclose(found.value, critic)
    right = 1.0 if gan_loss == "wasserstein" else 0.75  # where only differences count, the middle is the boundary
    assert found.terms["critic_accuracy"].mean() == pytest.approx(right)
    one.network = _Says(MADE)  # type: ignore[assignment]
    assert torch.allclose(one.convinced(one(x)), generator)


def test_slope_of_a_linear_critic_is_its_weight() -> None:
    class Linear(nn.Module):
        units = nn.Identity()

        def look(self, values: Tensor, c: Tensor | None = None) -> Seen:
            outputs = (values @ torch.tensor([3.0, 0.0, -4.0, 0.0]))[:, None]
            return Seen(outputs, outputs, outputs)

        forward = look

    x = torch.randn(5, 4)
    assert torch.allclose(squared_slope(Linear(), x), torch.full((5,), 25.0))  # type: ignore[arg-type]
    for penalty, cost in (("r1", 12.5), ("interpolated", 16.0)):
        one = adversary("wasserstein", CriticSettings(penalty=penalty, penalty_weight=2.0, penalty_every=3))  # type: ignore[arg-type]
        one.network = Linear()  # type: ignore[assignment]
        values = [
            one.told_apart(x, [x + 1], None, Progress(step), Processes()).value.mean().item() for step in (0, 1, 3)
        ]
        assert values == pytest.approx([1 - 6 * cost, 1.0, 1 - 6 * cost], rel=1e-4)  # float32


def test_a_critic_rests_when_it_is_too_sure_and_before_it_begins() -> None:
    x = torch.randn(6, 4)
    for settings, progress in (
        (CriticSettings(penalty="none", rest_above=0.0), Progress(5, 10)),
        (CriticSettings(penalty="none", start=0.6), Progress(5, 10)),
    ):
        one = adversary("non-saturating", settings)
        found = one.told_apart(x, [-x], None, progress, Processes())
        gradients = torch.autograd.grad(found.loss, list(one.parameters()), allow_unused=True)
        assert found.terms["critic_accuracy"].mean() > 0
        assert all(gradient is None for gradient in gradients)
    awake = adversary("non-saturating").told_apart(x, [-x], None, Progress(5, 10), Processes())
    assert any(gradient is not None for gradient in torch.autograd.grad(awake.loss, [awake.value], allow_unused=True))


def test_a_critic_takes_its_steps_at_its_rate() -> None:
    game = GANGame((4,), critic=CriticSettings(hidden_dim=6, steps=5, rate=0.5))
    assert [(one.name, one.steps, one.rate) for one in game.players(model("gan"))] == [
        ("model", 1, 1.0),
        ("critic", 5, 0.5),
    ]
    assert RECIPES["wgan"](tiny_data("unit", (4,)).spec)["objective"]["critic"]["steps"] == 5


def test_a_critic_that_rests_does_not_move() -> None:
    """Not by Adam's momentum either."""
    x = torch.rand(40, 4)
    gan = build("gan", x, decoder={"kind": "mlp", "hidden_dims": [6]})
    game = GANGame((4,), critic=CriticSettings(hidden_dim=6, rest_above=0.0))
    before = {name: value.clone() for name, value in game.adversary.state_dict().items()}
    made = {name: value.clone() for name, value in gan.state_dict().items()}
    fit(gan, x, game, epochs=2, batch_size=8, validations=1, tensorboard=False, device="cpu", ema=0.0)
    assert all(torch.equal(before[name], value) for name, value in game.adversary.state_dict().items())
    assert not all(torch.equal(made[name], value) for name, value in gan.state_dict().items())


@pytest.mark.parametrize("kind", ["gan", "wgan", "cvae-gan"])
def test_units_of_the_data_change_nothing(kind: str) -> None:
    """A table in thousandths trains as the table does: the first losses of both are the same."""
    losses = []
    for scale in (1.0, 1024.0):
        data = tiny_data("real", (4,))
        x = data.train.batch(slice(None)).x * scale
        given = load_data((x, data.train.labels))
        settings = {"train": {"epochs": 1, "batch_size": 8, "validations": 1, "tensorboard": False}}
        losses.append([row["loss"] for row in train(kind, settings, data=given, device="cpu").metrics])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)  # float32


def test_an_implicit_model_is_trained_by_a_game_that_its_critic_hears() -> None:
    gan = build("gan", torch.rand(40, 4))
    with pytest.raises(RefusedError, match="ELBO reads codes of examples, and a ImplicitModel has no encoder"):
        fit(gan, torch.rand(40, 4), ELBO(), epochs=1, device="cpu")
    with pytest.raises(PartError, match="only its critic teaches a GAN"):
        GANGame((4,), critic=CriticSettings(start=0.5))
    with pytest.raises(RefusedError, match="told labels, of which the critic hears nothing"):
        GANGame((4,), critic=NO_PENALTY)(model("gan"), batch(), Progress())


def test_a_critic_is_told_the_class_by_projection() -> None:
    reseed(0)
    critic = Discriminator((4,), condition_dim=CLASSES, hidden_dim=7).double()
    x, c = torch.randn(CLASSES, 4).double(), torch.eye(CLASSES).double()
    assert critic.by_condition is not None
    seen = critic(x, c)
    expected = critic.head(seen.coarse)[:, 0] + (critic.by_condition.weight.T * seen.coarse).sum(1)
    assert torch.allclose(seen.outputs[:, 0], expected)


def test_means_of_features() -> None:
    real, made = torch.tensor([[1.0, 2.0], [3.0, 2.0]]), torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    assert mean_distance(real, made, Processes()) == pytest.approx(0.5 * (1.0 + 4.0 - (2.0 + 2.0) / 2))
    assert mean_distance(real[:1], made[:1], Processes()) == pytest.approx(0.5 * (1.0 + 4.0))  # no variance of one


def without_noise(centre: Tensor, *noisy: Tensor) -> Tensor:
    """Half the squared distance of the first one's mean from a centre, less the variances of the means of all."""
    off = sum(features.var(0) / len(features) for features in noisy)
    return 0.5 * ((centre - noisy[0].mean(0)).square() - off).sum()


def test_the_distance_of_means_is_not_paid_for_variance() -> None:
    """Its expectation does not depend on how much examples vary, nor on how many there are."""
    reseed(0)
    n, runs = 4, 4000
    real, made = torch.randn(runs, n, 3).double(), 1 + 2 * torch.randn(runs, n, 3).double()
    found = torch.stack([mean_distance(*pair, Processes()) for pair in zip(real, made, strict=True)])
    assert found.mean().item() == pytest.approx(0.5 * 3 * 1, abs=4 * found.std().item() / runs**0.5)


def test_means_of_classes() -> None:
    reseed(0)
    matching = ClassMatching((4,), 3, {"hidden_dim": 2}, momentum=0.5).double()
    x, c = torch.randn(4, 4).double(), torch.eye(3).double()[[0, 0, 1, 1]]
    features = matching(x).coarse
    found = matching.learn(x, c, Processes())
    log_probs = F.log_softmax(matching(x).outputs, 1)
    assert torch.allclose(found.value, log_probs[torch.arange(4), [0, 0, 1, 1]])
    first = torch.stack([features[:2].mean(0), features[2:].mean(0)])
    assert torch.allclose(matching.centres[:2], first)  # at first sight the mean itself, then a running one
    matching.learn(2 * x, c, Processes())
    second = matching(2 * x).coarse
    expected = 0.5 * first + 0.5 * torch.stack([second[:2].mean(0), second[2:].mean(0)])
    assert torch.allclose(matching.centres[:2], expected)
    made = torch.randn(3, 2).double()
    of_made = torch.eye(3).double()[[0, 0, 2]]  # class 2 was never seen, and class 1 is not in the batch
    cost = 0.5 * ((made[:2].mean(0) - matching.centres[0]).square() - made[:2].var(0) / 2).sum()
    assert torch.allclose(matching.distance(made, of_made, Processes()), cost)
    assert matching.distance(made[1:], of_made[1:], Processes()) == 0  # of one example the variance is not known


def test_a_class_that_is_not_known_says_nothing() -> None:
    reseed(0)
    matching = ClassMatching((4,), 3, {"hidden_dim": 2}).double()
    x, c = torch.randn(4, 4).double(), torch.eye(3).double()[[0, 1, 2, 0]]
    known = matching.learn(x[:2], c[:2], Processes())
    half = matching.learn(x, c * torch.tensor([[1.0], [1.0], [0.0], [0.0]]).double(), Processes())
    assert half.loss.item() == pytest.approx(known.loss.item())
    for name, values in known.terms.items():
        assert half.terms[name].mean().item() == pytest.approx(values.mean().item())


def gradients(loss: Tensor, parameters: Any) -> list[Tensor]:
    found = torch.autograd.grad(loss, list(parameters), allow_unused=True, retain_graph=True)
    return [torch.zeros(()) if gradient is None else gradient for gradient in found]


@pytest.mark.parametrize("gamma", [0.2, 1.0, 3.0])
def test_vae_gan_moves_encoder_and_decoder_as_the_paper_says(gamma: float) -> None:
    """Encoder: KL and likeness; decoder: gamma times likeness, and the adversarial loss."""
    reseed(0)
    game = VAEGANGame((4,), gamma=gamma, beta=0.7, sigma=1.0, critic=NO_PENALTY).double()
    vae, given = model("vae-gan"), batch()
    reseed(5)
    loss = game(vae, given, Progress()).loss
    reseed(5)
    trace = vae.trace(given.x, samples=1, labels=given.named["labels"])
    new = game.new(vae, given)

    def parts(z: Tensor) -> tuple[Tensor, Tensor]:
        x_hat = vae.decode(z, labels=given.named["labels"]).mean
        like = 0.5 * (game.adversary(given.x).fine.detach() - game.adversary(x_hat).fine).square().sum(1)
        adversarial = -F.logsigmoid(game.adversary(x_hat).outputs[:, 0]) - F.logsigmoid(
            game.adversary(new).outputs[:, 0]
        )
        return like, adversarial

    like, adversarial = parts(trace.z[0])
    encoder = [*vae.encoder.parameters(), *vae.posterior.parameters()]
    decoder = list(vae.decoder.parameters())
    for found, wanted in (
        (gradients(loss, encoder), gradients((0.7 * trace.rate + like).mean(), encoder)),
        (gradients(loss, decoder), gradients((gamma * like + adversarial).mean(), decoder)),
    ):
        assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(found, wanted, strict=True))


def test_vae_gan_can_make_reconstructions_and_critic_equally_loud() -> None:
    """gamma is the ratio of the two gradients' norms at the last weight of the decoder."""
    reseed(0)
    game = VAEGANGame((4,), gamma="adaptive", beta=0.7, sigma=0.5, critic=NO_PENALTY).double()
    vae, given = model("vae-gan"), batch()
    reseed(5)
    found = game(vae, given, Progress())
    reseed(5)
    trace = vae.trace(given.x, samples=1, labels=given.named["labels"])
    new, x_hat = game.new(vae, given), trace.p_x.mean[0]
    like = 0.5 / 0.5**2 * (game.adversary(given.x).fine.detach() - game.adversary(x_hat).fine).square().sum(1)
    adversarial = -sum(F.logsigmoid(game.adversary(x).outputs[:, 0]) for x in (x_hat, new))
    last = [weight for weight in vae.decoder.parameters() if weight.ndim > 1][-1]
    of_critic, of_likeness = (gradients(term.mean(), [last])[0].norm() for term in (adversarial, like))
    gamma = of_critic / (of_likeness + 1e-4)
    assert torch.allclose(found.terms["gamma"], gamma.expand(B))
    decoder = list(vae.decoder.parameters())
    wanted = gradients((gamma.detach() * like + adversarial).mean(), decoder)
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(gradients(found.loss, decoder), wanted, strict=True))
    assert game.differentiates_twice
    with torch.no_grad():
        assert "gamma" not in game.eval()(vae, given, Progress()).terms


def test_vae_gan_learns_no_scale_of_features() -> None:
    """With the best sigma, features ten times as large change no likeness."""
    reseed(0)
    game = VAEGANGame((4,), critic=NO_PENALTY).double()
    target, found = torch.randn(B, 7).double(), torch.randn(B, 7).double()
    variance = game._variance(target, found)
    assert variance == pytest.approx((target - found).square().mean().item())
    assert game._variance(10 * target, 10 * found) == pytest.approx(100 * variance.item())


def test_before_the_critic_begins_a_vae_gan_is_a_vae() -> None:
    game = VAEGANGame((4,), critic=CriticSettings(start=0.5, hidden_dim=7)).double()
    vae, given = model("vae-gan"), batch()
    reseed(5)
    found = game(vae, given, Progress(1, 10))
    reseed(5)
    assert torch.equal(found.value, vae.trace(given.x, labels=given.named["labels"]).elbo)


def test_cvae_gan_is_the_sum_of_its_parts() -> None:
    reseed(0)
    weights = {"kl_weight": 3.0, "pair_weight": 2.0, "critic_weight": 0.5, "class_weight": 0.25}
    game = CVAEGANGame((4,), **weights, critic=NO_PENALTY, condition=ClassCondition(CLASSES)).double()
    vae, given = model("cvae-gan"), batch()
    c = F.one_hot(given.named["labels"], CLASSES).double()
    game.matching.learn(given.x, c, Processes())
    reseed(5)
    found = game(vae, given, Progress())
    reseed(5)
    trace = vae.trace(given.x, samples=1, labels=given.named["labels"])
    x, coded, new = given.x, trace.p_x.mean[0], game.new(vae, given)
    critic, classifier = game.adversary, game.matching

    def half(a: Tensor, b: Tensor) -> Tensor:
        return 0.5 * (a - b).square().sum(1)

    pairs = half(x, coded) + half(critic(x).coarse, critic(coded).coarse)
    pairs = pairs + half(classifier(x).coarse, classifier(coded).coarse)
    of_critic = without_noise(critic(x).coarse.mean(0), critic(new).coarse, critic(x).coarse)
    by_class = [classifier(new).coarse[c[:, k] > 0] for k in range(CLASSES)]
    pairs_of_classes = zip(classifier.centres, by_class, strict=True)
    of_classes = sum(without_noise(centre, made) for centre, made in pairs_of_classes if len(made) > 1)
    loss = 3.0 * trace.rate.mean() + 2.0 * pairs.mean() + 0.5 * of_critic + 0.25 * of_classes
    assert found.loss.item() == pytest.approx(loss.item())
    encoder = [*vae.encoder.parameters(), *vae.posterior.parameters()]
    wanted = gradients(3.0 * trace.rate.mean() + 2.0 * pairs.mean(), encoder)
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(gradients(found.loss, encoder), wanted, strict=True))


def test_feature_matching_needs_no_gan_loss() -> None:
    reseed(0)
    game = FeatureMatchingGame(
        (4,), critic_weight=1.0, class_weight=0.0, critic=NO_PENALTY, condition=ClassCondition(3)
    ).double()
    generator, given = model("feature-matching"), batch()
    reseed(5)
    loss = game(generator, given, Progress()).loss
    reseed(5)
    new = game.new(generator, given)
    real = game.adversary(given.x).coarse
    wanted = without_noise(real.mean(0), game.adversary(new).coarse, real)
    assert loss.item() == pytest.approx(wanted.item())


def test_info_gan_adds_what_examples_tell() -> None:
    r"""lambda log Q(c|x), for choice and number, beside the adversarial loss; the critic's player climbs it too."""
    reseed(0)
    weights = {"choice_weight": 2.0, "number_weight": 0.5}
    game = InfoGANGame(
        (4,), **weights, critic=NO_PENALTY, structure=(2, 1, 1), condition=ClassCondition(CLASSES)
    ).double()
    generator, given = model("info-gan"), batch()
    reseed(5)
    found = game(generator, given, Progress())
    reseed(5)
    z = game.codes(generator, given)
    seen = game.adversary(generator.decode(z, labels=given.named["labels"]).mean, game.told(given))
    numbers = game.recogniser.head(F.silu(game.recogniser.dense(seen.coarse)))
    choice = F.log_softmax(numbers[:, :2], 1)[torch.arange(B), z[:, :2].argmax(1)]
    number = torch.distributions.Normal(numbers[:, 2], 0.1 + bounded(numbers[:, 3]).exp()).log_prob(z[:, 2])
    assert torch.allclose(found.value, F.logsigmoid(seen.outputs[:, 0]) + 2.0 * choice + 0.5 * number)
    assert torch.allclose(found.terms["information"], choice + math.log(2) + number + math.log(2))
    reseed(5)
    examined = game.examine(generator, given, Progress())
    real = game.adversary(given.x, game.told(given)).outputs[:, 0]
    adversarial = F.logsigmoid(real) + F.logsigmoid(-seen.outputs[:, 0])
    assert torch.allclose(examined.value, adversarial + 2.0 * choice + 0.5 * number)
    assert all(not gradient.any() for gradient in gradients(examined.loss, generator.parameters()))
    with pytest.raises(PartError, match="has no choices or numbers that examples could tell"):
        InfoGANGame((4,), critic=NO_PENALTY)


def test_a_critic_of_patches_sees_no_further_than_they_reach() -> None:
    reseed(0)
    settings = CriticSettings(channels=(4, 6), patches=True, penalty="none")
    one = Adversary((1, 64, 64), "hinge", settings)
    x = torch.rand(2, 1, 64, 64)
    outputs = one(x).outputs
    assert outputs.shape == (2, 16 * 16)  # a patch of 2, and one halving
    other = x.clone()
    other[:, :, -1, -1] += 1
    changed = (one(other).outputs != outputs).reshape(2, 16, 16).any(0)
    assert changed[-1, -1]
    assert not changed[:8].any()
    assert torch.allclose(one.convinced(one(x)), outputs.mean(1))
    found = one.told_apart(x, [other], None, Progress(), Processes())
    expected = -F.relu(1 - outputs).mean(1) - F.relu(1 + one(other).outputs).mean(1)
    assert torch.allclose(found.value, expected)
    with pytest.raises(PartError, match="of which there are no patches"):
        Adversary((4,), "hinge", settings)


def test_a_tokenizers_critic_is_as_loud_as_its_data() -> None:
    reseed(0)
    game = ReconstructionGame((4,), weight=0.5, beta=0.1, critic=NO_PENALTY).double()
    vae, given = model("reconstruction-gan"), batch()
    reseed(5)
    found = game(vae, given, Progress())
    reseed(5)
    trace = vae.trace(given.x, samples=1, labels=given.named["labels"])
    said = game.adversary(trace.p_x.mean[0]).outputs[:, 0]  # hinge
    last = [weight for weight in vae.decoder.parameters() if weight.ndim > 1][-1]
    of_data, of_critic = (gradients(term.mean(), [last])[0].norm() for term in (trace.distortion, said))
    louder = of_data / (of_critic + 1e-4)
    assert torch.allclose(found.value, -trace.distortion - 0.1 * trace.rate + 0.5 * louder * said)
    assert torch.allclose(found.terms["critic_weight"], louder.expand(B))
    early = ReconstructionGame((4,), beta=0.1, critic=CriticSettings(start=0.5, hidden_dim=7)).double()
    reseed(5)
    assert torch.allclose(early(vae, given, Progress(1, 10)).value, -trace.distortion - 0.1 * trace.rate)


def test_the_last_weight_of_the_decoder_is_meant_though_a_prior_follows() -> None:
    """Where the last parameters are those of a learned prior."""
    data = tiny_data("unit", (4,))
    settings = {"train": {"epochs": 1, "batch_size": 8, "validations": 1, "tensorboard": False}}
    settings |= {"objective": {"kind": "reconstruction-gan"}, "model": {"top": {"kind": "mixture", "components": 3}}}
    run = train("hvae", settings, data=data, device="cpu")
    weights = [row["critic_weight"] for row in run.metrics if row["split"] == "train"]
    assert min(weights) > 0


def test_unknown_classes_are_all_zeros() -> None:
    game = GANGame((4,), critic=NO_PENALTY, condition=ClassCondition(CLASSES))
    told = game.told(Batch(torch.zeros(2, 4), {"labels": torch.tensor([2, -1])}))
    assert told is not None
    assert told.tolist() == [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    assert GANGame((4,), critic=NO_PENALTY).told(Batch(torch.zeros(2, 4))) is None


@pytest.mark.slow
def test_a_gan_learns_a_gaussian() -> None:
    reseed(0)
    x = torch.randn(2000, 2) @ torch.tensor([[1.0, 0.0], [0.8, 0.6]]).T + torch.tensor([1.0, -2.0])
    gan = build("gan", x, latent_dim=2, decoder={"kind": "mlp", "hidden_dims": [32, 32]})
    objective = {"kind": "gan", "critic": {"hidden_dim": 32, "penalty_every": 4, "penalty_weight": 0.1}}
    settings: dict[str, Any] = {"batch_size": 100, "learning_rate": 2e-3, "betas": (0.5, 0.99), "schedule": "constant"}
    fit(gan, x, objective, epochs=40, ema=0.99, validations=1, tensorboard=False, device="cpu", **settings)
    reseed(1)
    new = gan.sample(4000)
    # variances are 1; a critic of two small layers sees the mean to a tenth and the covariance to a third
    assert (new.mean(0) - x.mean(0)).abs().max() < 0.1
    assert (new.T.cov() - x.T.cov()).abs().max() < 0.33
