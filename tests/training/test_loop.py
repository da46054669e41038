"""The loop: repeatable, resumable, silent about nothing, and blind to who the players are."""

import json
import math
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from reparam.data import Data, Split
from reparam.errors import RunError
from reparam.objectives import (
    ELBO,
    DoublyReparameterizedBound,
    ImportanceBound,
    Objective,
    PartialImportanceBound,
    RenyiBound,
)
from reparam.rng import reseed
from reparam.trace import Bound, Player, Progress, Trace
from reparam.training import Trainer, read_metrics
from reparam.training.optim import rate_factor
from reparam.training.state import State
from tests.contracts.members import tiny_data, tiny_split
from tests.training.trained import TwoPlayers, equal, settings, timeless, trainer, weights


class TestRepeatable:
    @pytest.mark.parametrize("recipe", ["dae", "sigma-vae", "laplace-vae"])
    def test_bit_for_bit_from_the_seed(self, recipe: str) -> None:
        first, second, other = trainer(recipe=recipe), trainer(recipe=recipe), trainer(recipe=recipe, seed=1)
        reseed(1)
        rows = first.run().metrics
        reseed(2)
        assert timeless(second.run().metrics) == timeless(rows)
        assert equal(weights(first.model), weights(second.model))
        other.run()
        assert not equal(weights(first.model), weights(other.model))

    def test_global_state_is_untouched(self) -> None:
        before, dtype = torch.get_rng_state(), torch.get_default_dtype()
        trainer(data=tiny_data("unit", (1, 8, 8)).binarized("dynamic"), recipe="dae").run()
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.get_default_dtype() == dtype
        assert torch.is_grad_enabled()

    @pytest.mark.parametrize("training", [True, False])
    def test_modes_come_back(self, training: bool) -> None:
        one = trainer()
        one.model.train(training)
        one.run()
        assert one.model.training == training

    def test_dynamic_binarisation_is_drawn_afresh(self) -> None:
        """Two epochs show the same grey example as different binary ones, and validation shows the same ones always."""
        seen: list[torch.Tensor] = []

        class Watching(ELBO):
            def forward(self, model: Any, batch: Any, progress: Progress) -> Bound:
                seen.append(batch.x.clone())
                return super().forward(model, batch, progress)

        grey = Split(torch.full((4, 6), 0.5), tiny_split("unit", (6,), 1, 0).spec)
        data = Data(grey, grey, grey).binarized("dynamic")
        trainer(data=data, recipe="vae", objective=Watching(), batch_size=4, epochs=2, validations=2).run()
        first, validated, second, again = seen
        assert not torch.equal(first, second)
        assert torch.equal(validated, again)


class Scripted(Objective):
    """Validates with the ELBOs it is told, in order."""

    def __init__(self, *elbos: float) -> None:
        super().__init__()
        self.elbos = list(elbos)

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        value = trace.log_p_x.mean(0)
        elbo = torch.full_like(value, 0.0 if progress.total_steps else self.elbos.pop(0))
        return Bound(value, {"elbo": elbo})


class TestSchedules:
    def rates(self, **given: Any) -> list[float]:
        rows = trainer(learning_rate=0.01, **given).run().metrics
        return [row["learning_rate"] for row in rows if row["split"] == "train"]

    def test_cosine_falls_to_zero(self) -> None:
        found = self.rates(learning_rate_warmup=0.25)
        # 12 steps: three of warm-up, then half a cosine over nine
        rise = [0.01 * share for share in (1 / 3, 2 / 3, 1)]
        fall = [0.005 * (1 + math.cos(math.pi * step / 9)) for step in range(9)]
        assert found == pytest.approx(rise + fall)

    def test_constant(self) -> None:
        assert self.rates(schedule="constant", learning_rate_warmup=0.0) == [0.01] * 12

    @pytest.mark.parametrize("warmup", [0.0, 0.02, 0.1, 0.13, 0.5, 1.0])
    @pytest.mark.parametrize("schedule", ["constant", "cosine", "plateau"])
    def test_never_above_the_peak(self, warmup: float, schedule: str) -> None:
        chosen = settings(schedule=schedule, learning_rate_warmup=warmup)
        for total in (1, 2, 3, 7, 49, 51, 75, 100, 1234):
            factors = [rate_factor(chosen, Progress(step, total), 0) for step in range(total)]
            assert 0 < max(factors) <= 1
            assert min(factors) >= 0

    def test_plateau_halves_when_validation_stalls(self) -> None:
        objective = Scripted(-5, -5, -5, -4, -4, -4)
        found = self.rates(
            schedule="plateau", plateau_patience=2, learning_rate_warmup=0.0, objective=objective, validations=6
        )
        # validated after every second step; two that are no better halve the rate
        assert found == pytest.approx([0.01] * 6 + [0.005] * 6)

    def test_early_stopping(self) -> None:
        kept: list[int] = []
        one = trainer(objective=Scripted(-5, -3, -4, -3, -1, -1), patience=2, validations=6)
        one.keep = lambda: kept.append(one.state.step)
        outcome = one.run()
        assert outcome.stopped_early
        assert outcome.steps == 8
        assert outcome.best == -3
        assert kept == [2, 4]

    def test_no_early_stopping_without_patience(self) -> None:
        outcome = trainer(objective=Scripted(*[-1.0] * 6), validations=6).run()
        assert not outcome.stopped_early
        assert outcome.steps == 12

    def test_clipping(self) -> None:
        """Adam hides the norm of the gradient; what is clipped is seen before it steps."""
        norms: list[float] = []
        one = trainer(clip=1e-3, batch_size=24, epochs=1)
        step = one.updates[0].optimizer.step

        def watched(gradients: Any, rate: float) -> None:
            norms.append(torch.stack([gradient.norm() for gradient in gradients]).norm().item())
            step(gradients, rate)

        one.updates[0].optimizer.step = watched  # type: ignore[method-assign]
        one.run()
        assert norms == [pytest.approx(1e-3, rel=1e-5)]  # float32

    @pytest.mark.parametrize("optimizer", ["adam", "adamw", "adamax", "rmsprop", "sgd"])
    def test_weight_decay_pulls_to_zero(self, optimizer: str) -> None:
        free, pulled = (trainer(optimizer=optimizer, weight_decay=decay) for decay in (0.0, 10.0))
        free.run(), pulled.run()
        assert not equal(weights(free.model), weights(pulled.model))

    @pytest.mark.parametrize("precision", ["bfloat16", "float16"])
    def test_mixed_precision_trains(self, precision: str) -> None:
        outcome = trainer(precision=precision, recipe="vae").run()
        assert math.isfinite(outcome.best)


class TestSizes:
    @pytest.mark.parametrize(
        ("examples", "batch_size", "steps"), [(24, 8, 3), (25, 8, 3), (5, 8, 1), (1, 8, 1), (3, 1, 3)]
    )
    def test_steps_are_epochs_times_batches(self, examples: int, batch_size: int, steps: int) -> None:
        data = tiny_data("unit", (4,), (examples, 2, 1))
        for recipe in ("sigma-vae", "dae"):
            outcome = trainer(recipe=recipe, data=data, batch_size=batch_size, epochs=2).run()
            assert outcome.steps == 2 * steps
            assert outcome.metrics[-1]["epoch"] == 2
            assert math.isfinite(outcome.best)

    def test_an_epoch_shows_each_example_once(self) -> None:
        seen: list[int] = []

        class Watching(ELBO):
            def forward(self, model: Any, batch: Any, progress: Progress) -> Bound:
                if progress.total_steps:
                    seen.extend(batch.named["number"].tolist())
                return super().forward(model, batch, progress)

        data = tiny_data("unit", (4,))
        train = Split(data.train.stored, data.train.spec, {"number": torch.arange(24)})
        trainer(data=Data(train, data.validation, data.test), objective=Watching(), epochs=2).run()
        assert sorted(seen[:24]) == sorted(seen[24:]) == list(range(24))
        assert seen[:24] != seen[24:]

    def test_no_end_is_refused(self) -> None:
        with pytest.raises(RunError, match="give epochs or max_minutes"):
            trainer(epochs=None)


class TestMinutes:
    def tick(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        """Every look at the clock takes this long."""
        ticks = count()
        monkeypatch.setattr("time.perf_counter", lambda: seconds * next(ticks))

    def test_plan_is_finite_and_fills_the_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tick(monkeypatch, 0.1)
        outcome = trainer(epochs=None, max_minutes=0.1).run()
        assert 1 < outcome.steps < 1000
        assert outcome.metrics[-1]["step"] == outcome.steps

    def test_at_least_one_step(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tick(monkeypatch, 50.0)
        assert trainer(epochs=None, max_minutes=0.01).run().steps == 1

    def test_the_smaller_of_epochs_and_minutes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tick(monkeypatch, 0.1)
        assert trainer(epochs=1, max_minutes=1.0).run().steps == 3

    def test_measuring_leaves_no_trace(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The steps taken to measure the speed are taken back: weights are those of a run of as many epochs."""
        self.tick(monkeypatch, 0.1)
        for recipe in ("sigma-vae", "dae"):
            timed, plain = trainer(recipe=recipe, epochs=4, max_minutes=1.0), trainer(recipe=recipe, epochs=4)
            timed.run(), plain.run()
            assert equal(weights(timed.model), weights(plain.model))

    def test_more_minutes_go_on_from_the_checkpoint(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        trainer(tmp_path, epochs=2).run()
        self.tick(monkeypatch, 0.1)
        again = trainer(tmp_path, epochs=None, max_minutes=0.1)
        outcome = again.run(resume=True, replan=True)
        assert 7 < outcome.steps < 1000
        assert sorted({row["step"] for row in outcome.metrics}) == list(range(1, outcome.steps + 1))

    def test_a_plan_is_kept_when_nothing_else_is_asked(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tick(monkeypatch, 0.1)
        planned = trainer(tmp_path, epochs=None, max_minutes=0.1).run().steps
        assert trainer(tmp_path, epochs=None, max_minutes=0.1).run(resume=True).steps == planned


class TestPlayers:
    @pytest.mark.parametrize("still", [0, 1])
    def test_each_moves_only_its_own(self, still: int) -> None:
        reseed(0)
        objective = TwoPlayers()
        one = trainer(recipe="vae", objective=objective, epochs=1)
        modules = (one.model, objective.critic)
        before = [weights(module) for module in modules]
        one.updates[still].optimizer.step = lambda *args, **named: None  # type: ignore[method-assign,assignment]
        one.run()
        assert equal(before[still], weights(modules[still]))
        assert not equal(before[1 - still], weights(modules[1 - still]))

    def test_is_one_gradient_of_each(self) -> None:
        """What the model's play left in the critic's gradients is cleared before the critic plays."""
        reseed(0)
        objective = TwoPlayers()
        one = trainer(recipe="vae", objective=objective, epochs=1, batch_size=24, clip=None)
        found: list[list[torch.Tensor]] = []
        for player, update in zip(one.players, one.updates, strict=True):

            def step(gradients: Any, *args: Any, own: Player = player, **named: Any) -> None:
                assert len(gradients) == len(own.parameters)
                found.append([gradient.clone() for gradient in gradients])

            update.optimizer.step = step  # type: ignore[method-assign]
        one.run()
        loss = objective.judge(one.model, one.train.batch(slice(None))).loss
        expected = torch.autograd.grad(loss, list(objective.critic.parameters()))
        # the same mean over 24 examples in another order, float32
        assert all(torch.allclose(a, b, rtol=1e-4) for a, b in zip(found[1], expected, strict=True))

    def test_terms_of_one_player_are_not_thinned_by_the_other(self) -> None:
        reseed(0)
        rows = trainer(recipe="vae", objective=TwoPlayers(), epochs=1, batch_size=24, ema=0.0).run().metrics
        alone = trainer(recipe="vae", epochs=1, batch_size=24, ema=0.0, objective=ELBO()).run().metrics
        assert rows[0]["elbo"] == pytest.approx(alone[0]["elbo"], rel=1e-6)  # the same draws before the first step
        assert "score" in rows[0]
        # each player has a loss of its own; validation shows the first one's
        assert rows[0]["loss_critic"] > 0
        assert rows[0]["loss"] != pytest.approx(rows[0]["loss_critic"])

    def test_each_moves_as_often_and_as_fast_as_it_says(self) -> None:
        """Adam moves a weight whose gradient stays the same by the learning rate."""
        objective = TwoPlayers()
        weight = nn.Parameter(torch.zeros(2))
        seen: list[tuple[int, int, float]] = []

        def play(batch: Any, progress: Progress) -> Bound:
            seen.append((progress.step, id(batch), torch.rand(()).item()))
            return Bound(weight.sum().expand(len(batch.x)))

        second = Player("critic", (weight,), play, steps=3, rate=0.25)
        objective.players = lambda model: (TwoPlayers.players(objective, model)[0], second)  # type: ignore[method-assign]
        given: dict[str, Any] = {"schedule": "constant", "learning_rate_warmup": 0.0, "learning_rate": 0.1}
        trainer(recipe="vae", objective=objective, epochs=2, batch_size=24, **given).run()
        assert [step for step, _, _ in seen] == [0, 0, 0, 1, 1, 1]
        assert len({batch for _, batch, _ in seen[:3]}) == 1
        assert len({draw for _, _, draw in seen}) == 6  # all see noise of their own
        assert weight.tolist() == pytest.approx([2 * 3 * 0.25 * 0.1] * 2, rel=1e-5)  # float32

    def test_resumes(self, tmp_path: Path) -> None:
        reseed(0)
        (tmp_path / "whole").mkdir(), (tmp_path / "half").mkdir()
        whole = TwoPlayers()
        start = weights(whole)
        trainer(tmp_path / "whole", recipe="vae", objective=whole, schedule="constant").run()
        half = TwoPlayers()
        half.load_state_dict(start)
        trainer(tmp_path / "half", recipe="vae", objective=half, schedule="constant", epochs=2).run()
        rest = TwoPlayers()
        trainer(tmp_path / "half", recipe="vae", objective=rest, schedule="constant").run(resume=True)
        assert equal(weights(rest), weights(whole))


class TestMetrics:
    def test_rows(self, tmp_path: Path) -> None:
        seen: list[tuple[int, int]] = []
        one = trainer(tmp_path, progress=lambda row, total: seen.append((row["step"], total)))
        outcome = one.run()
        rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
        assert rows == outcome.metrics
        assert seen == [(row["step"], 12) for row in rows]
        common = {"step", "epoch", "split", "elbo", "distortion", "rate", "loss", "wall_s"}
        for row in rows:
            assert common <= set(row)
            assert row["elbo"] == pytest.approx(-row["distortion"] - row["rate"], rel=1e-5)
        train = [row for row in rows if row["split"] == "train"]
        validation = [row for row in rows if row["split"] == "validation"]
        assert [row["step"] for row in train] == list(range(1, 13))
        assert [row["step"] for row in validation] == [3, 6, 9, 12]
        assert [row["epoch"] for row in validation] == [1, 2, 3, 4]
        assert all({"learning_rate", "samples_per_s"} <= set(row) for row in train)
        assert outcome.best == max(row["elbo"] for row in validation)

    def test_a_line_that_was_cut_off_is_left_out(self, tmp_path: Path) -> None:
        (tmp_path / "metrics.jsonl").write_text('{"step": 1, "split": "train"}\n{"step": 2, "split": "train"}\n{"ste')
        assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2]
        assert read_metrics(tmp_path / "nothing") == []

    def test_validation_judges_the_averaged_weights_without_warmup(self) -> None:
        """The validation rows of a run are what its kept model gives on the validation split."""
        kept: list[dict[str, torch.Tensor]] = []
        one = trainer(recipe="ae", objective=ELBO(warmup=1.0), learning_rate=0.05)
        one.keep = lambda: kept.append(weights(one.model))
        outcome = one.run()
        one.model.load_state_dict(kept[-1])
        x = one.validation.batch(slice(None)).x
        elbo = one.model.eval().trace(x).elbo.mean().item()
        assert outcome.best == pytest.approx(elbo, rel=1e-6)

    @pytest.mark.parametrize(
        ("objective", "judged"),
        [
            (ELBO(), "elbo"),
            (ImportanceBound(samples=4), "importance_bound"),
            (PartialImportanceBound(samples=4, groups=2), "importance_bound"),
            (DoublyReparameterizedBound(samples=4), "importance_bound"),
            (RenyiBound(samples=4), "renyi_bound"),
        ],
    )
    def test_the_best_weights_are_those_of_the_bound_that_is_trained(self, objective: Objective, judged: str) -> None:
        """What an importance-weighted bound gains, the ELBO may lose."""
        one = trainer(objective=objective, learning_rate=0.02, validations=6)
        kept: list[int] = []
        one.keep = lambda: kept.append(one.state.step)
        outcome = one.run()
        rows = [row for row in outcome.metrics if row["split"] == "validation"]
        best = [row["step"] for i, row in enumerate(rows) if all(row[judged] > other[judged] for other in rows[:i])]
        assert kept == best
        assert outcome.best == rows[[row["step"] for row in rows].index(best[-1])][judged]

    def test_a_checkpoint_of_an_earlier_version_is_read(self) -> None:
        kept = asdict(State(step=3, best=-2.5))
        earlier = {("best_elbo" if name == "best" else name): value for name, value in kept.items()}
        assert State.read(earlier) == State.read(kept) == State(step=3, best=-2.5)

    def test_tensorboard_files_are_written_on_request(self, tmp_path: Path) -> None:
        pytest.importorskip("tensorboard")
        with pytest.MonkeyPatch.context() as patch:
            calls: list[tuple[str, int]] = []

            class Writer:
                def __init__(self, folder: str, purge_step: int = 0) -> None:
                    self.folder = folder

                def add_scalar(self, name: str, value: float, step: int) -> None:
                    calls.append((name, step))

                def close(self) -> None:
                    calls.append(("close", 0))

            patch.setattr("reparam.training.log._tensorboard", lambda folder, step: Writer(str(folder), step))
            trainer(tmp_path, tensorboard=True, epochs=1, validations=1).run()
        assert ("train/elbo", 3) in calls
        assert ("validation/elbo", 3) in calls
        assert calls[-1] == ("close", 0)


def test_settings_are_those_of_the_run() -> None:
    one = trainer(batch_size=5)
    assert isinstance(one, Trainer)
    assert one.settings == settings(batch_size=5)
