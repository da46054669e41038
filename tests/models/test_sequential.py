"""The sequential model: ends of sequences, codes, continuations, and what it refuses."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import reparam
from reparam.data import Batch, load_data
from reparam.distributions import is_discrete
from reparam.errors import DataError, PartError, RefusedError
from reparam.evaluation import evaluate, log_likelihood
from reparam.likelihoods import BernoulliLikelihood, NormalLikelihood
from reparam.models import SequentialVAE
from reparam.models.trajectories import Unrolled
from reparam.networks import Dynamics, MLPDecoder, MLPEncoder
from reparam.report.figures import draw_sections
from reparam.report.subject import look_at
from reparam.rng import part_of_batch, reseed
from tests.contracts.members import ROWS, dead, seeded_

D, T = 3, 6
KINDS = ROWS["dynamics"]["recurrent"]
LENGTHS = torch.tensor([6, 2, 4, 1])


def model(settings: Any, steps: int = T, ragged: bool = True, binary: bool = False) -> SequentialVAE:
    reseed(0)
    encoder, dynamics = MLPEncoder((D,), (5,)), Dynamics(5, **settings)
    likelihood = BernoulliLikelihood((D,)) if binary else NormalLikelihood((D,), 0.5)
    decoder = MLPDecoder(dynamics.step_dim + dynamics.memory_dim, (D,), (7,))
    found = SequentialVAE(encoder, dynamics, decoder, likelihood, steps, ragged)
    return seeded_(found, spread=0.2).double()  # type: ignore[return-value]


def sequences(count: int = 4, steps: int = T) -> Tensor:
    reseed(1)
    x = torch.rand(count, D, T, dtype=torch.float64)
    there = torch.arange(T) < LENGTHS[:count, None]
    return torch.nn.functional.pad(x * there[:, None], (0, steps - T))


def test_codes_are_padded_with_noise() -> None:
    """Where there is a code it stays; behind the ends are draws of N(0, 1)."""
    found, x = model(KINDS[0]).eval(), sequences()
    q = found.infer(x, lengths=LENGTHS)
    reseed(3)
    z = q.rsample(torch.Size([500]))
    each = q.padded(z).unflatten(-1, (T, -1))
    there = torch.arange(T) < LENGTHS[:, None]
    assert torch.equal(each[:, there], z.unflatten(-1, (T, -1))[:, there])
    assert each[:, ~there].mean().abs() < 0.02
    assert each[:, ~there].std().sub(1).abs() < 0.02


@pytest.mark.parametrize("settings", KINDS)
class TestEverySequentialModel:
    def test_what_lies_behind_the_end_changes_nothing(self, settings: Any) -> None:
        """Padded to twice the length, and filled with anything: the same numbers."""
        short, long = model(settings).eval(), model(settings, 2 * T).eval()
        long.load_state_dict(short.state_dict())
        more = sequences(steps=2 * T)
        more[..., T:] = 77.0
        found = []
        for one, x in ((short, sequences()), (long, more)):
            reseed(2)
            trace = one.trace(x, 3, lengths=LENGTHS)
            reseed(2)
            bound = one.filtered(x, 5, lengths=LENGTHS)
            mean = one.infer(x, lengths=LENGTHS).mean.unflatten(-1, (one.steps, -1))
            found.append((trace.log_w, trace.elbo, trace.log_q, bound, mean[:, :T]))
        for first, second in zip(*found, strict=True):
            assert torch.allclose(first, second, atol=1e-12)

    def test_identities_of_the_trace(self, settings: Any) -> None:
        found, x = model(settings).eval(), sequences()
        reseed(3)
        trace = found.trace(x, 4, lengths=LENGTHS)
        assert trace.kl.shape == (4, 4, T)
        assert trace.z.shape == (4, 4, found.latent_dim)
        assert torch.allclose(trace.p_x.log_prob(x), trace.log_p_x)
        assert torch.allclose(found.decode(trace.z, lengths=LENGTHS).log_prob(x), trace.log_p_x)
        assert torch.allclose(trace.q.log_prob(trace.z), trace.log_q)
        assert (trace.kl[:, LENGTHS == 2, 2:] == 0).all()
        sampled = found.trace(x[:1], 40_000, lengths=LENGTHS[:1])
        each = (sampled.log_q - sampled.log_p_z)[:, 0] - sampled.kl.sum(-1)[:, 0]
        # the closed form is the mean of the Monte Carlo estimate: four standard errors
        assert each.mean().abs() < 4 * each.std() / 200

    def test_gradient_reaches_every_parameter(self, settings: Any) -> None:
        found = model(settings)
        found.trace(sequences(), 2, lengths=LENGTHS).elbo.mean().neg().backward()
        assert not dead(found)
        moved = {id(p) for p in (*found.inference_parameters(), *found.generative_parameters())}
        assert moved == {id(p) for p in found.parameters()}

    def test_an_item_has_the_same_code_alone_and_in_any_batch(self, settings: Any) -> None:
        found, x = model(settings).eval(), sequences()
        whole = found.encode(x, lengths=LENGTHS)
        assert torch.allclose(found.encode(x[2], lengths=LENGTHS[2]), whole[2], atol=1e-12)
        assert found.reconstruct(x, lengths=LENGTHS).shape == x.shape
        assert (found.reconstruct(x, lengths=LENGTHS)[1, :, 2:] == 0).all()

    def test_several_processes_draw_what_one_would(self, settings: Any) -> None:
        found, x = model(settings).eval(), sequences()
        reseed(7)
        whole = found.trace(x, 3, lengths=LENGTHS).log_w, found.filtered(x, 4, lengths=LENGTHS)
        for part in (0, 1):
            own = slice(2 * part, 2 * part + 2)
            reseed(7)
            with part_of_batch(part, 2):
                half = found.trace(x[own], 3, lengths=LENGTHS[own]).log_w
                bound = found.filtered(x[own], 4, lengths=LENGTHS[own])
            assert torch.allclose(half, whole[0][:, own], atol=1e-12)
            assert torch.allclose(bound, whole[1][own], atol=1e-12)

    def test_new_sequences_have_the_length_that_is_told(self, settings: Any) -> None:
        found = model(settings, binary=True).eval()
        made = found.sample(3, draw=True, lengths=torch.tensor([2, 6, 1]))
        assert made.shape == (3, D, T)
        assert set(made.unique().tolist()) <= {0.0, 1.0}
        assert (made[0, :, 2:] == 0).all()
        assert is_discrete(found.decode(torch.zeros(found.latent_dim).double(), lengths=torch.tensor(3)))

    def test_continuations_begin_as_they_are_told(self, settings: Any) -> None:
        found, x = model(settings, ragged=False).eval(), sequences()
        made = found.continued(x, 3, n=5)
        assert made.shape == (5, *x.shape)
        assert torch.equal(made[..., :3], x[..., :3].expand(5, -1, -1, -1))
        assert made[..., 3:].std(0).min() > 0
        other = x.clone()
        other[..., 3:] = 9.0  # not looked at
        reseed(4)
        first = found.continued(x, 3)
        reseed(4)
        assert torch.allclose(first, found.continued(other, 3))
        assert found.continued(x[0], 2, n=2).shape == (2, D, T)
        noise = torch.zeros(1, found.latent_dim).double()
        wide = Unrolled(found.networks, noise, torch.ones(T).double(), x[:1, :, :3]).expand(torch.Size([2, 1]))
        assert torch.equal(wide.sample()[..., :3], x[:1, :, :3].expand(2, -1, -1, -1))
        with pytest.raises(PartError, match="6 steps are given, expected 1 to 5"):
            found.continued(x, 6)


def test_an_lstm_carries_its_cell() -> None:
    reseed(9)
    dynamics, own = Dynamics(3, 2, hidden_dim=4, memory=("x",), markov=True, unit="lstm"), nn.LSTMCell(3, 4)
    assert dynamics.cell is not None
    own.load_state_dict(dynamics.cell.state_dict())
    phi, z = torch.randn(3, 5, 3), torch.randn(3, 5, 2)
    state, by_hand = dynamics.begin(5, phi), (torch.zeros(5, 4), torch.zeros(5, 4))
    for step in range(3):
        state, by_hand = dynamics.advance(state, phi[step], z[step]), own(phi[step], by_hand)
    assert torch.equal(state.h, by_hand[0])
    assert torch.equal(state.c, by_hand[1])
    rows = torch.tensor([3, 3, 0])
    assert all(torch.equal(taken, whole[rows]) for taken, whole in zip(state.take(rows), state, strict=True))


def test_a_model_saved_before_units_were_chosen_is_one_of_grus(tmp_path: Path) -> None:
    found = model(KINDS[0])
    reparam.save(found, tmp_path)
    described = json.loads((tmp_path / "config.json").read_text())
    assert described["model"]["dynamics"].pop("unit") == "gru"
    (tmp_path / "config.json").write_text(json.dumps(described))
    again = reparam.load(tmp_path)
    assert torch.equal(again.encode(sequences(), lengths=LENGTHS), found.encode(sequences(), lengths=LENGTHS))
    assert {name for name in again.state_dict() if ".cell." in name} == {
        f"dynamics.cell.{kind}_{of}" for kind in ("weight", "bias") for of in ("ih", "hh")
    }


def data(ragged: bool = True) -> reparam.Data:
    reseed(5)
    arrays: dict[str, Any] = {}
    for split, count in (("train", 24), ("validation", 8), ("test", 8)):
        lengths = torch.randint(1, T + 1, (count,))
        x = (torch.rand(count, D, T) < 0.4) * (torch.arange(T) < lengths[:, None])[:, None]
        arrays |= {f"x_{split}": x.numpy().astype("uint8")}
        arrays |= {f"lengths_{split}": lengths.numpy()} if ragged else {}
    return load_data(arrays, axes="NCT")


@pytest.mark.usefixtures("sketched")
def test_trains_is_judged_and_saved_with_the_lengths_of_its_data(tmp_path: Path) -> None:
    given = data()
    assert (given.shape, given.kind, dict(given.spec.widths)) == ((D, T), "binary", {"lengths": 1})
    settings = {"train": {"epochs": 2, "batch_size": 8, "validations": 1, "tensorboard": False}}
    run = reparam.train("vrnn", settings, data=given, out=tmp_path / "run", device="cpu")
    assert run.model.conditions == ("lengths",)
    found = run.evaluate("test", ["elbo", "nll", "reconstruction"], samples=5)
    steps = given.test.named["lengths"].double().mean().item()
    assert found["nll_per_step"] == pytest.approx(found["nll"] / steps)
    assert found["bits_per_dim"] == pytest.approx(found["nll_per_step"] / D / 0.6931471805599453)
    again = reparam.load(tmp_path / "run")
    batch = given.test.batch(slice(0, 4))
    named = batch.pick(again.conditions)
    assert torch.equal(again.encode(batch.x, **named), run.model.encode(batch.x, **named))
    sections = {section.name: section for section in draw_sections(look_at(run.model, given, {}), run.metrics)}
    assert "continuations" in {figure.name for figure in sections["samples"].figures}


def test_sequences_of_one_length_need_not_be_told() -> None:
    given = data(ragged=False)
    found = reparam.build("srnn", given).eval()
    assert found.conditions == ()
    assert evaluate(found, given.test, ["elbo"])["n"] == 8
    x = given.test.batch(slice(None)).x
    assert log_likelihood(found, x, samples=3).shape == (8,)


@pytest.mark.slow
def test_a_longer_training_explains_more() -> None:
    """A loop of four values: after some epochs the next one is known."""
    reseed(6)
    place = (torch.arange(12) + torch.randint(4, (200, 1))) % 4
    x = torch.nn.functional.one_hot(place, 4).mT.numpy().astype("uint8")
    given = load_data(x, axes="NCT")
    settings = {"train": {"epochs": 9, "batch_size": 20, "learning_rate": 3e-2, "validations": 1, "tensorboard": False}}
    settings["model"] = {"dynamics": {"hidden_dim": 16, "step_dim": 2}}
    run = reparam.train("vrnn", settings, data=given, device="cpu")
    elbo = run.evaluate("test", ["elbo"])["elbo"]
    assert elbo > -4.0  # log 4 for where the loop begins, and little more; a model without memory has -27


def test_a_list_of_sequences_has_lengths_and_moments_of_its_own() -> None:
    reseed(8)
    given = load_data([3 * torch.randn(2, 1 + number % 4) + 5 for number in range(30)])
    assert (given.shape, given.kind) == ((2, 4), "real")
    assert given.train.named["lengths"].max() == 4
    steps = torch.cat(
        [x[:, :length] for x, (length,) in zip(given.train.stored, given.train.named["lengths"], strict=True)], 1
    )
    assert given.spec.shift == pytest.approx(steps.mean(1).tolist(), rel=1e-5)
    assert given.spec.scale == pytest.approx(steps.std(1, correction=0).tolist(), rel=1e-5)
    with pytest.raises(DataError, match="Items differ in shape"):
        load_data([torch.zeros(2, 3), torch.zeros(3, 4)])


def test_real_values_have_a_scale_for_each_step() -> None:
    """Also of steps a thousand times as large as others, and of a channel that never changes, it stays finite."""
    reseed(10)
    x = torch.randn(40, 2, 8) * torch.tensor([1.0, 1000.0]).repeat(4)
    x[:, 1] = 4.0
    given = load_data(x.numpy(), axes="NCT")
    for recipe in ("vrnn", "srnn", "dmm"):
        assert reparam.build(recipe, given).likelihood.out_shape == (4,)  # two means and two scales
    settings: dict[str, Any] = {"train": {"epochs": 3, "validations": 1, "tensorboard": False, "learning_rate": 1e-2}}
    settings["model"] = {"dynamics": {"hidden_dim": 16, "step_dim": 2}}
    run = reparam.train("vrnn", settings, data=given, device="cpu")
    assert all(math.isfinite(row["elbo"]) for row in run.metrics)
    chosen = run.config.model
    assert chosen is not None
    assert (chosen.likelihood.kind, chosen.likelihood.settings) == ("normal", {"scale": "predicted"})
    assert run.model.sample(9, draw=True).isfinite().all()


@pytest.mark.parametrize(
    ("lengths", "sentence"),
    [
        ([0, 2, 3], "run from 0 to 3; expected one whole number for each sequence, from 1 to 5"),
        ([1, 2, 6], "run from 1 to 6"),
    ],
)
def test_refuses_lengths_that_are_none(lengths: list[int], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        load_data({"x": torch.rand(3, 2, 5), "lengths": torch.tensor(lengths)})


def test_says_what_is_missing_or_wrong() -> None:
    found = model(KINDS[0]).eval()
    with pytest.raises(RefusedError, match="must be told the lengths of sequences"):
        found.infer(sequences())
    with pytest.raises(PartError, match="lengths from 1 to 9, expected 1 to 6"):
        found.infer(sequences(2), lengths=torch.tensor([1, 9]))
    with pytest.raises(RefusedError, match="cannot be fixed at given draws"):
        found.trace(sequences(), lengths=LENGTHS, fixed_q=True)
    with pytest.raises(PartError, match="reads sequences"):
        reparam.build("vrnn", torch.rand(9, 4))
    with pytest.raises(PartError, match="nothing depends on the past"):
        Dynamics(3, 2, memory=())
    with pytest.raises(PartError, match="memory reads 'y'"):
        Dynamics(3, 2, memory=("y",))  # type: ignore[arg-type]
    with pytest.raises(PartError, match=r"unit is 'lst'\. Did you mean 'lstm'"):
        Dynamics(3, 2, unit="lst")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="needs 'lengths' with each example"):
        Batch(sequences()).pick(found.conditions)


def test_counts_begin_where_the_steps_lie_that_there_are() -> None:
    x, lengths = torch.full((8, 2, 6), 5.0), torch.tensor([2, 3] * 4)
    x[torch.arange(6)[None, None] >= lengths[:, None, None].expand_as(x)] = 0
    data = load_data({"x_train": x.numpy(), "lengths_train": lengths.numpy()}, values="counts")
    vrnn: Any = reparam.build("vrnn", data)
    vrnn.start(x, lengths=lengths)
    assert torch.allclose(vrnn.likelihood.log_mean, torch.tensor((1 + 5.0 * 20) / 21).log().expand(2), atol=1e-5)
