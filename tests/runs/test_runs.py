"""Runs: training into a folder, going on, opening again, judging."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from reparam.config import parse_config
from reparam.data import Data, Split, load_data
from reparam.errors import (
    ConfigError,
    DataError,
    NotFiniteError,
    ReparamError,
    RunError,
    RunNotFoundError,
    ShapeError,
    UnknownNameError,
)
from reparam.evaluation import evaluate, log_likelihood
from reparam.models import VAE
from reparam.objectives import ELBO
from reparam.priors import LaplacePrior, NormalPrior
from reparam.recipes import RECIPES, build
from reparam.recipes.basic import BASIC
from reparam.rng import reseed
from reparam.runs import Run, choose_device, fit, open_run, resume, train
from reparam.store import load, save
from reparam.trace import Bound, Progress, Trace
from tests.contracts.members import OF_OBSERVATIONS, OF_PICTURES, OF_SEQUENCES, tiny_data, tiny_spec
from tests.training.trained import equal, timeless, weights

TRAIN = {"batch_size": 8, "epochs": 2, "validations": 2, "tensorboard": False}


def run(folder: Path | None = None, recipe: str = "vae", data: Data | None = None, **over: Any) -> Run:
    settings = {"train": TRAIN | over.pop("train", {}), "seed": 3} | over
    return train(recipe, settings, out=folder, data=data or tiny_data("real", (4,)), device="cpu")


def small(seed: int = 0) -> VAE:
    reseed(seed)
    return build("vae", tiny_data("real", (4,)))


def test_frozen_weights_stay(tmp_path: Path) -> None:
    """Whatever the weight decay; also those of a whole part, and where the run goes on."""
    data = tiny_data("real", (4,))
    mine = small()
    for weight in mine.encoder.parameters():
        weight.requires_grad_(False)
    frozen, rest = weights(mine.encoder), weights(mine.decoder)
    again = small()
    again.load_state_dict(weights(mine))
    again.encoder.requires_grad_(False)
    fit(mine, data, device="cpu", optimizer="adamw", weight_decay=0.5, **TRAIN | {"epochs": 3})  # type: ignore[arg-type]
    folder = tmp_path / "run"
    fit(again, data, out=folder, device="cpu", optimizer="adamw", weight_decay=0.5, **TRAIN)  # type: ignore[arg-type]
    longer = resume(folder, epochs=3, data=data, device="cpu")
    assert equal(weights(longer.model.encoder), frozen)  # type: ignore[arg-type]
    assert not equal(weights(longer.model.decoder), weights(again.decoder))  # type: ignore[arg-type]
    assert equal(weights(mine.encoder), frozen)
    assert not equal(weights(mine.decoder), rest)


def test_a_run_folder_has_its_files(tmp_path: Path) -> None:
    done = run(tmp_path / "run")
    assert {path.name for path in done.folder.iterdir()} == {
        ".lock",
        "config.yaml",
        "metrics.jsonl",
        "checkpoints",
        "model",
    }  # type: ignore[union-attr]
    config = parse_config(yaml.safe_load((tmp_path / "run" / "config.yaml").read_text()))
    assert config == done.config
    assert (config.recipe, config.seed, config.train.epochs) == ("vae", 3, 2)
    assert not done.model.training


def test_opening_gives_the_same_numbers(tmp_path: Path) -> None:
    done = run(tmp_path / "run", "sigma-vae")
    opened = open_run(tmp_path / "run", device="cpu")
    assert equal(weights(opened.model), weights(done.model))
    assert (opened.config, opened.spec, opened.metrics) == (done.config, done.spec, done.metrics)


def test_a_run_is_repeatable(tmp_path: Path) -> None:
    first = run(tmp_path / "a")
    reseed(99)
    second = run(tmp_path / "b")
    assert equal(weights(first.model), weights(second.model))
    assert timeless(first.metrics) == timeless(second.metrics)
    assert not equal(weights(first.model), weights(run(seed=4).model))


def test_a_folder_changes_nothing(tmp_path: Path) -> None:
    assert equal(weights(run().model), weights(run(tmp_path / "run").model))


def test_global_state_is_untouched(tmp_path: Path) -> None:
    data, model = tiny_data("unit", (1, 8, 8)), small()
    before = torch.get_rng_state()
    done = run(tmp_path / "a", "dae", data)
    done.evaluate(samples=3)
    fit(model, tiny_data("real", (4,)), device="cpu", **TRAIN)
    open_run(tmp_path / "a", device="cpu")
    assert torch.equal(torch.get_rng_state(), before)


class Peak(ELBO):
    """Validation is best at the step it is told."""

    def __init__(self, best: int) -> None:
        super().__init__()
        self.best, self.seen = best, 0

    def bound(self, trace: Trace, progress: Progress) -> Bound:
        found = super().bound(trace, progress)
        if progress.total_steps:
            return found
        self.seen += 1
        elbo = torch.full_like(found.value, -abs(self.seen - self.best))
        return Bound(elbo, found.terms | {"elbo": elbo})


def test_the_best_model_is_kept_not_the_last() -> None:
    data, settings = tiny_data("real", (4,)), TRAIN | {"epochs": 4, "validations": 4, "schedule": "constant"}
    found = [fit(small(), data, Peak(best), device="cpu", **settings) for best in (2, 4)]
    short = fit(small(), data, Peak(2), device="cpu", **(settings | {"epochs": 2, "validations": 2}))
    assert equal(weights(found[0].model), weights(short.model))
    assert not equal(weights(found[0].model), weights(found[1].model))


class TestFolder:
    def test_a_run_is_not_overwritten(self, tmp_path: Path) -> None:
        run(tmp_path / "run")
        before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
        with pytest.raises(
            RunError, match=r"already holds a run. Go on with 'reparam resume .*', or give another --out"
        ):
            run(tmp_path / "run")
        with pytest.raises(RunError, match="already holds a run"):
            fit(small(), tiny_data("real", (4,)), out=tmp_path / "run", device="cpu", **TRAIN)
        assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(RunError, match=r"cannot be written.*Give another --out"):
            run(tmp_path / "file" / "run")

    @pytest.mark.parametrize("call", [open_run, resume])
    def test_nothing_there(self, tmp_path: Path, call: Any) -> None:
        with pytest.raises(RunNotFoundError):
            call(tmp_path / "nothing", device="cpu")


class TestResume:
    def test_more_epochs_equal_one_long_run(self, tmp_path: Path) -> None:
        constant = {"schedule": "constant", "validations": 2}
        whole = run(tmp_path / "whole", train=constant | {"epochs": 4}, objective={"warmup": 0.0})
        half = run(tmp_path / "half", train=constant | {"epochs": 2}, objective={"warmup": 0.0})
        assert not equal(weights(half.model), weights(whole.model))
        done = resume(tmp_path / "half", epochs=4, data=tiny_data("real", (4,)), device="cpu")
        steps = [row["step"] for row in done.metrics if row["split"] == "train"]
        assert steps == list(range(1, 13))
        assert done.config.train.epochs == 4
        assert open_run(tmp_path / "half", device="cpu").config.train.epochs == 4
        last = [timeless(r.metrics)[-1] for r in (done, whole)]
        assert last[0] == last[1]

    def test_a_finished_run_stays_as_it_is(self, tmp_path: Path) -> None:
        done = run(tmp_path / "run")
        again = resume(tmp_path / "run", data=tiny_data("real", (4,)), device="cpu")
        assert equal(weights(again.model), weights(done.model))
        assert again.metrics == done.metrics

    def test_more_minutes_train_on(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        run(tmp_path / "run")
        clock = iter(range(10**9))
        monkeypatch.setattr("time.perf_counter", lambda: 0.05 * next(clock))
        done = resume(tmp_path / "run", max_minutes=0.1, data=tiny_data("real", (4,)), device="cpu")
        assert done.metrics[-1]["step"] > 6

    def test_after_a_crash_the_checkpoint_before_is_used(self, tmp_path: Path) -> None:
        data = tiny_data("real", (4,))
        bad = data.train.stored.clone()
        whole = run(tmp_path / "whole", data=data, train={"validations": 6})
        bad[:] = float("nan")
        with pytest.raises(NotFiniteError, match="Step 0"):
            run(tmp_path / "bad", data=Data(Split(bad, data.spec), data.validation, data.test))
        assert resume(tmp_path / "bad", data=data, device="cpu").metrics  # from the first checkpoint, with better data
        newest = sorted((tmp_path / "whole" / "checkpoints").iterdir())[-1]
        (newest / "weights.safetensors").write_bytes(b"")
        with pytest.warns(UserWarning, match="is damaged"):
            again = resume(tmp_path / "whole", data=data, device="cpu")
        assert timeless(again.metrics) == timeless(whole.metrics)
        assert equal(weights(again.model), weights(whole.model))

    def test_a_run_that_diverged_goes_on_with_other_settings(self, tmp_path: Path) -> None:
        """The message says with which, and nothing but those is changed."""
        data, folder = tiny_data("real", (4,)), tmp_path / "run"
        steep = {"learning_rate": 1e30, "learning_rate_warmup": 0.0, "clip": None}
        with pytest.raises(NotFiniteError, match=rf"reparam resume {folder} --train.learning_rate 0.002 \(or "):
            run(folder, data=data, train=steep)
        with pytest.raises(NotFiniteError, match="Step 1"):
            resume(folder, data=data, device="cpu")
        before = open_run_config(folder)
        done = resume(folder, {"train": {"learning_rate": 1e-3, "clip": 5.0}}, data=data, device="cpu")
        assert done.metrics[-1]["step"] == 6
        before["train"] |= {"learning_rate": 1e-3, "clip": 5.0}
        assert open_run_config(folder) == before

    def test_a_change_goes_on_exactly_too(self, tmp_path: Path) -> None:
        """From the checkpoint on, the run is a function of it, the seed and the new settings."""
        data = tiny_data("real", (4,))
        over = {"train": {"learning_rate": 1e-2, "weight_decay": 0.1}}
        for name in ("whole", "cut"):
            run(tmp_path / name, data=data, train={"schedule": "constant"}, objective={"warmup": 0.0})
        whole = resume(tmp_path / "whole", over, epochs=4, data=data, device="cpu")
        resume(tmp_path / "cut", over, epochs=3, data=data, device="cpu")
        again = resume(tmp_path / "cut", epochs=4, data=data, device="cpu")
        steps = [[row for row in timeless(one.metrics) if row["split"] == "train"] for one in (whole, again)]
        assert steps[0] == steps[1]
        assert [row["learning_rate"] for row in steps[0]] == [2e-3] * 6 + [1e-2] * 6

    @pytest.mark.parametrize(
        ("over", "sentence"),
        [
            (
                {"train": {"batch_size": 4}},
                r"resume: train.batch_size: the run keeps the value .* may change: learning_",
            ),
            ({"model": {"latent_dim": 3}}, r"resume: model.latent_dim: the run keeps"),
            ({"seed": 1}, r"resume: seed: the run keeps"),
            ({"train": {"clipp": 1}}, r"resume: train.clipp: there is no such key. Did you mean 'clip'"),
            ({"train": {"clip": -1}}, r"resume: train.clip: input should be greater than 0"),
        ],
    )
    def test_what_may_not_change_changes_nothing(self, tmp_path: Path, over: dict[str, Any], sentence: str) -> None:
        run(tmp_path / "run")
        before = (tmp_path / "run" / "config.yaml").read_text()
        with pytest.raises(ConfigError, match=sentence):
            resume(tmp_path / "run", over, data=tiny_data("real", (4,)), device="cpu")
        assert (tmp_path / "run" / "config.yaml").read_text() == before

    def test_convolutions_go_on_exactly(self, tmp_path: Path) -> None:
        """Their weights lie channels last; the optimiser's moments must come back in the same order."""
        data = tiny_data("unit", (1, 16, 16))
        over = {"model": {"network": "conv", "latent_dim": 2}, "objective": {"warmup": 0.0}}
        constant = {"schedule": "constant", "learning_rate": 1e-3}
        whole = run(tmp_path / "whole", data=data, train=constant | {"epochs": 2, "validations": 2}, **over)
        run(tmp_path / "cut", data=data, train=constant | {"epochs": 1, "validations": 1}, **over)
        done = resume(tmp_path / "cut", epochs=2, data=data, device="cpu")
        assert equal(weights(done.model), weights(whole.model))

    @pytest.mark.parametrize("longer", [{"epochs": 0}, {"max_minutes": -1.0}])
    def test_wrong_lengths_change_nothing(self, tmp_path: Path, longer: dict[str, Any]) -> None:
        run(tmp_path / "run")
        before = (tmp_path / "run" / "config.yaml").read_text()
        with pytest.raises(ConfigError, match=r"resume: train\.\w+: input should be greater than"):
            resume(tmp_path / "run", data=tiny_data("real", (4,)), device="cpu", **longer)
        assert (tmp_path / "run" / "config.yaml").read_text() == before

    def test_grey_data_are_binarised_as_before(self, tmp_path: Path) -> None:
        data = tiny_data("levels", (1, 4, 4))
        fit(build("vae", data, likelihood="bernoulli"), data, out=tmp_path / "run", device="cpu", **TRAIN)
        done = resume(tmp_path / "run", epochs=3, data=data, device="cpu")
        assert done.spec.binarize == "dynamic"

    def test_an_objective_of_ones_own_is_asked_for(self, tmp_path: Path) -> None:
        data = tiny_data("real", (4,))
        fit(small(), data, Peak(1), out=tmp_path / "run", device="cpu", **TRAIN)
        with pytest.raises(RunError, match=r"an objective of your own. Go on with reparam.resume"):
            resume(tmp_path / "run", data=data, device="cpu")
        assert resume(tmp_path / "run", data=data, objective=Peak(1), device="cpu").metrics

    def test_a_damaged_configuration_is_one_line(self, tmp_path: Path) -> None:
        run(tmp_path / "run")
        path = tmp_path / "run" / "config.yaml"
        path.write_text(path.read_text().replace("batch_size", "batchsize"))
        with pytest.raises(ConfigError, match=r"config.yaml: train.batchsize: there is no such key"):
            resume(tmp_path / "run", device="cpu")


def open_run_config(folder: Path) -> dict[str, Any]:
    """What config.yaml says."""
    found: dict[str, Any] = yaml.safe_load((folder / "config.yaml").read_text())
    return found


def by_hand() -> VAE:
    """The same, put together from its parts."""
    one = small()
    return VAE(one.encoder, one.posterior, one.prior, one.decoder, one.likelihood)


class TestFit:
    @pytest.mark.parametrize(
        ("recipe", "kind"), [("iwae", "iwae"), ("rae-l2", "rae"), ("beta-vae", "elbo"), ("aae", "adversarial")]
    )
    def test_a_built_model_is_trained_as_its_recipe_says(self, recipe: str, kind: str) -> None:
        """Step for step as ``train`` does it, from the same first weights."""
        data = tiny_data("real", (4,))
        reseed(0)
        model = build(recipe, data, latent_dim=3)
        before = weights(model)
        done = fit(model, data, device="cpu", **TRAIN)  # type: ignore[arg-type]
        whole = train(recipe, {"model": {"latent_dim": 3}, "train": TRAIN}, data=data, device="cpu")
        assert (done.config.recipe, done.config.model) == (recipe, None)  # its first weights are no recipe's
        assert (done.config.objective, done.config.train) == (whole.config.objective, whole.config.train)
        assert done.config.objective.kind == kind  # type: ignore[union-attr]
        again = build(recipe, data, latent_dim=3)
        again.load_state_dict(before)
        other = fit(again, data, done.config.objective.model_dump(), device="cpu", **TRAIN)  # type: ignore[arg-type, union-attr]
        assert equal(weights(other.model), weights(done.model))

    def test_a_name_is_that_objective_and_not_the_recipes(self) -> None:
        data = tiny_data("real", (4,))
        done = fit(build("beta-vae", data), data, "elbo", device="cpu", **TRAIN)  # type: ignore[arg-type]
        assert done.config.objective.settings == {}  # type: ignore[union-attr]

    def test_nothing_is_kept_of_an_objective_of_ones_own(self, tmp_path: Path) -> None:
        class Mine(ELBO):
            pass

        data = tiny_data("real", (4,))
        done = fit(build("iwae", data), data, Mine(), out=tmp_path / "run", device="cpu", **TRAIN)  # type: ignore[arg-type]
        assert done.config.objective is None
        assert load(tmp_path / "run").built is None

    def test_names_of_classes_are_those_of_the_last_data(self) -> None:
        """Of a model that is told none; one that is told them keeps its own."""
        x = torch.rand(40, 4).numpy()
        first, second = (load_data((x, list(names) * 20)) for names in ("ab", "bc"))
        model = build("vae", first)
        for data in (first, second):
            done = fit(model, data, device="cpu", **TRAIN)  # type: ignore[arg-type]
            assert done.class_names == model.class_names == data.spec.classes

    def test_a_model_goes_on_as_it_was_last_trained(self, tmp_path: Path) -> None:
        """Also one that was loaded from a run folder or a model folder; only the length is told anew."""
        data = tiny_data("real", (4,))
        settings = TRAIN | {"optimizer": "adamw", "weight_decay": 0.1, "learning_rate": 1e-3}
        done = fit(by_hand(), data, "iwae", out=tmp_path / "run", device="cpu", **settings)  # type: ignore[arg-type]
        own = build("wae-mmd", data)
        for model, kind, rate in (
            (done.model, "iwae", 1e-3),
            (load(tmp_path / "run"), "iwae", 1e-3),
            (open_run(tmp_path / "run", device="cpu").model, "iwae", 1e-3),
            (load(save(own, tmp_path / "own")), "mmd", 2e-3),
            (run(recipe="beta-vae", objective={"beta": 9.0}).model, "elbo", 2e-3),
        ):
            again = fit(model, data, device="cpu", batch_size=8, epochs=1).config
            assert again.objective.kind == kind  # type: ignore[union-attr]
            assert (again.train.learning_rate, again.train.epochs) == (rate, 1)
            assert again.train.optimizer == ("adamw" if kind == "iwae" else "adam")
            assert again.recipe == {"iwae": "custom", "mmd": "wae-mmd", "elbo": "beta-vae"}[kind]
        assert again.objective.settings["beta"] == 9  # type: ignore[union-attr]
        assert fit(done.model, data, "elbo", device="cpu", optimizer="sgd", epochs=1).config.train.weight_decay == 0

    @pytest.mark.parametrize(
        ("recipe", "settings"),
        [
            ("vamp-vae", {}),
            ("exemplar-vae", {}),
            ("vae", {"posterior": {"kind": "riemannian-hamiltonian", "leapfrogs": 1, "iterations": 1}}),
            ("cvae", {}),
        ],
    )
    def test_what_began_from_data_is_not_thrown_away(
        self, recipe: str, settings: dict[str, Any], tmp_path: Path
    ) -> None:
        """A second training, also of a model that was loaded, goes on from where the first one left the model."""
        reseed(0)
        spec = replace(tiny_spec("real", (4,)), widths={"attributes": 2})
        data = Data(*(Split(torch.randn(n, 4), spec, {"attributes": torch.randn(n, 2)}) for n in (16, 8, 8)))
        model = build(recipe, data, **settings)
        assert model.starts
        first = fit(model, data, out=tmp_path / "run", device="cpu", **TRAIN)  # type: ignore[arg-type]
        found = weights(first.model)
        still = TRAIN | {"learning_rate": 1e-12, "ema": 0.0}
        for model in (first.model, load(tmp_path / "run")):
            assert not model.starts
            again = fit(model, data, device="cpu", seed=1, **still)  # type: ignore[arg-type]
            pairs = zip(found.values(), weights(again.model).values(), strict=True)
            assert all((before - after).abs().max() < 1e-6 for before, after in pairs)

    def test_an_older_model_folder_is_trained_by_the_elbo(self, tmp_path: Path) -> None:
        data = tiny_data("real", (4,))
        written = save(build("iwae", data), tmp_path / "model") / "config.json"
        content = json.loads(written.read_text())
        del content["training"]
        written.write_text(json.dumps(content))
        model = load(tmp_path / "model")
        assert fit(model, data, device="cpu", **TRAIN).config.objective.kind == "elbo"  # type: ignore[arg-type, union-attr]

    def test_its_configuration_trains_no_recipe(self, tmp_path: Path) -> None:
        data = tiny_data("real", (4,))
        fit(small(), data, out=tmp_path / "run", device="cpu", **TRAIN)  # type: ignore[arg-type]
        read = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
        with pytest.raises(ConfigError, match="model: null is a model that was built in Python"):
            train(read.pop("recipe"), {"model": read["model"]}, data=data, device="cpu")
        for name in ("checkpoints", "model"):
            shutil.rmtree(tmp_path / "run" / name)
        with pytest.raises(RunError, match="no readable checkpoint"):
            resume(tmp_path / "run", data=data, device="cpu")

    def test_a_model_that_was_changed_since_has_no_recipe(self) -> None:
        """It keeps the objective and the settings of the one it had."""
        data = tiny_data("real", (4,))
        model = build("beta-vae", data, latent_dim=3)
        model.prior = NormalPrior(3)
        assert fit(model, data, device="cpu", **TRAIN).config.recipe == "beta-vae"  # type: ignore[arg-type]
        model.prior = LaplacePrior(3)
        done = fit(model, data, device="cpu", **TRAIN)  # type: ignore[arg-type]
        assert (done.config.recipe, done.config.model) == ("custom", None)
        assert done.config.objective.settings["beta"] == 4  # type: ignore[union-attr]

    def test_trains_in_place(self) -> None:
        model = by_hand()
        before = weights(model)
        done = fit(model, tiny_data("real", (4,)), device="cpu", **TRAIN)
        assert done.model is model
        assert not equal(before, weights(model))
        assert not model.training
        assert (done.config.recipe, done.config.model) == ("custom", None)

    def test_by_an_objective(self) -> None:
        done = fit(small(), tiny_data("real", (4,)), ELBO(beta=7.0, warmup=0.25), device="cpu", **TRAIN)
        assert done.config.objective.kind == "elbo"
        assert done.config.objective.settings["beta"] == 7

    def test_by_the_name_of_an_objective(self) -> None:
        for given in ("iwae", {"kind": "iwae", "samples": 3}):
            done = fit(small(), tiny_data("real", (4,)), given, device="cpu", **TRAIN)
            assert done.config.objective.kind == "iwae"
        assert done.config.objective.settings["samples"] == 3
        with pytest.raises(ConfigError, match="fit: objective: there is no objective 'iwe'"):
            fit(small(), tiny_data("real", (4,)), "iwe", device="cpu")
        with pytest.raises(ConfigError, match="expected an objective such as ELBO"):
            fit(small(), tiny_data("real", (4,)), ELBO, device="cpu")  # type: ignore[arg-type]

    def test_no_recipe_trains_it_again(self, tmp_path: Path) -> None:
        done = fit(by_hand(), tiny_data("real", (4,)), out=tmp_path / "run", device="cpu", **TRAIN)
        with pytest.raises(UnknownNameError, match="'custom' is a model that was put together in Python"):
            train(done.config.recipe, device="cpu")

    def test_by_a_source_of_data(self) -> None:
        x = np.random.default_rng(0).normal(size=(30, 4))
        done = fit(build("vae", x), x, device="cpu", **TRAIN)
        assert torch.equal(done.data.train.stored, load_data(x).train.stored)
        assert train("vae", {"train": TRAIN}, data=x, device="cpu").spec == done.spec

    @pytest.mark.parametrize(
        ("settings", "sentence"),
        [
            ({"epoch": 3}, "fit: there is no setting 'epoch'. Did you mean 'epochs'"),
            ({"epochs": 0}, "fit: train.epochs: input should be greater than or equal to 1"),
            ({"schedule": "cosin"}, "fit: train.schedule: "),
        ],
    )
    def test_refuses_wrong_settings(self, settings: dict[str, Any], sentence: str) -> None:
        with pytest.raises(ConfigError, match=sentence):
            fit(small(), tiny_data("real", (4,)), device="cpu", **settings)

    def test_grey_data_are_binarised_where_the_likelihood_needs_it(self) -> None:
        data = tiny_data("unit", (4,))
        done = fit(build("vae", data, likelihood="bernoulli"), data, device="cpu", **TRAIN)
        assert (done.spec.binarize, done.config.data.binarize) == ("dynamic", "dynamic")
        assert done.evaluate(metrics=["elbo"])["binarize"] == "dynamic"
        grey = fit(build("vae", data), data, device="cpu", **TRAIN)
        assert grey.spec.binarize == "none"

    def test_data_of_another_shape(self) -> None:
        with pytest.raises(ShapeError, match=r"x is \(8, 5\), expected one item \(4,\)"):
            fit(small(), tiny_data("real", (5,)), device="cpu", **TRAIN)

    @pytest.mark.parametrize(
        ("recipes", "counts"),
        [
            (BASIC, (1, 1, 1)),
            pytest.param(RECIPES, (1, 1, 1), marks=pytest.mark.slow),
            pytest.param(RECIPES, (2, 2, 2), marks=pytest.mark.slow),
        ],
        ids=["basic-1", "all-1", "all-2"],
    )
    def test_very_few_examples(self, recipes: dict[str, Any], counts: tuple[int, int, int]) -> None:
        for recipe in recipes:
            shape = (1, 2, 2) if recipe in OF_PICTURES else (4, 3) if recipe in OF_SEQUENCES else (4,)
            kind = "unit" if recipe in OF_PICTURES else "real"
            data = few_of_several(counts) if recipe in OF_OBSERVATIONS else tiny_data(kind, shape, counts)
            done = run(recipe=recipe, data=data)
            assert done.evaluate(samples=3)["n"] == counts[2]


def few_of_several(counts: tuple[int, int, int]) -> Data:
    """Two observations of so many examples."""
    arrays = {}
    for split, count in zip(("train", "validation", "test"), counts, strict=True):
        arrays |= {f"a_{split}": torch.arange(count * 3.0).reshape(count, 3), f"b_{split}": torch.full((count, 2), 5.5)}
    return load_data(arrays, observations=("a", "b"))


class TestEvaluate:
    def test_is_kept_and_merged(self, tmp_path: Path) -> None:
        done = run(tmp_path / "run")
        first = done.evaluate(metrics=("elbo",))
        second = done.evaluate(metrics=("nll",), samples=5)
        kept = json.loads((tmp_path / "run" / "evaluation.json").read_text())
        assert kept == first | second == done.evaluation
        assert (kept["split"], kept["n"], kept["data"]) == ("test", 8, "tiny")

    def test_numbers_of_other_items_are_not_kept_beside(self, tmp_path: Path) -> None:
        done = run(tmp_path / "run")
        done.evaluate(metrics=("elbo",), limit=4)
        done.evaluate(metrics=("nll",), samples=5)
        assert "elbo" not in done.evaluation
        assert done.evaluation["n"] == 8
        fewer = done.evaluate(metrics=("elbo",), limit=4)
        assert "elbo" not in done.evaluation
        assert done.evaluation["subsets"] == {"4 items, seed 0": fewer}

    def test_other_splits_and_sources_are_not_kept(self, tmp_path: Path) -> None:
        done = run(tmp_path / "run")
        done.evaluate("validation", samples=3)
        done.evaluate(source=torch.randn(30, 4, generator=torch.Generator().manual_seed(0)), samples=3)
        assert done.evaluation == {}

    def test_is_repeatable(self) -> None:
        done = run()
        assert done.evaluate(samples=7, seed=1) == done.evaluate(samples=7, seed=1)
        assert done.evaluate(samples=7, seed=1)["nll"] != done.evaluate(samples=7, seed=2)["nll"]

    def test_a_run_in_memory_keeps_its_numbers_too(self) -> None:
        done = run()
        first = done.evaluate(metrics=["elbo"])
        assert done.evaluation == first
        assert done.evaluation | done.evaluate(metrics=["nll"], samples=3) == done.evaluation

    def test_unknown_split(self) -> None:
        with pytest.raises(DataError, match="no split 'tset'"):
            run().evaluate("tset")


class TestDevice:
    def test_cpu_is_always_here(self) -> None:
        assert choose_device("cpu").type == "cpu"
        assert choose_device("auto").type in ("cpu", "cuda", "mps")

    def test_misspelt(self) -> None:
        with pytest.raises(UnknownNameError, match=r"no device 'cuda0'. Did you mean 'cuda'"):
            choose_device("cuda0")

        for name in ("cuda:one", "cpu:", "auto:0"):
            with pytest.raises(UnknownNameError, match=f"no device '{name}'"):
                choose_device(name)

    @pytest.mark.parametrize(("name", "count"), [("cuda", 0), ("cuda:0", 0), ("cuda:2", 2), ("cpu:1", 0)])
    def test_not_here(self, name: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        with pytest.raises(RunError, match=f"no {name} device that PyTorch can use. Use --device cpu or auto"):
            choose_device(name)

    def test_one_of_several(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        assert choose_device("cuda:1") == choose_device(torch.device("cuda", 1)) == torch.device("cuda:1")
        assert choose_device("cuda") == torch.device("cuda")
        assert choose_device(torch.device("cpu:0")) == torch.device("cpu")


def test_source_in_the_configuration_is_that_of_the_data(tmp_path: Path) -> None:
    """Data given from Python are not taken for the default data set when the run is opened again."""
    assert run(tmp_path / "run").config.data.source == ""
    assert run(data=tiny_data("real", (4,))).data is not None
    with pytest.raises(RunError, match=r"trained on data given from Python"):
        open_run(tmp_path / "run", device="cpu").load_data()


def test_settings_of_data_that_are_given_already_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"data.limit: the data are given already"):
        train("vae", {"data": {"limit": 5}}, data=tiny_data("real", (4,)), device="cpu")


def test_data_by_name_are_found_again(tmp_path: Path) -> None:
    """Also where they were loaded in Python with settings of their own."""
    data = load_data("digits", limit=30, seed=5)
    fit(build("vae", data), data, out=tmp_path / "run", device="cpu", **TRAIN)
    again = open_run(tmp_path / "run", device="cpu").load_data()
    assert torch.equal(again.test.stored, data.test.stored)


def test_what_is_printed_fits_a_line(tmp_path: Path) -> None:
    done = run(tmp_path / "run")
    assert repr(done) == f"Run(vae on tiny, 6 steps, {tmp_path / 'run'})"
    assert repr(done.data).startswith("Data('tiny', train=Split(24 items of 4 with labels), ")


def test_one_metric_by_its_name() -> None:
    assert run().evaluate(metrics="elbo")["n"] == 8


@pytest.mark.parametrize("call", [evaluate, log_likelihood])
def test_only_one_split_is_judged(call: Any) -> None:
    with pytest.raises(ReparamError, match=r"expected (one split of the data, such as data.test|a tensor of examples)"):
        call(small(), tiny_data("real", (4,)))


def test_the_training_split_of_a_judgement_is_one_split() -> None:
    data = tiny_data("real", (4,))
    with pytest.raises(DataError, match="got a Data, expected one split"):
        evaluate(small(), data.test, ["probe"], train=data)  # type: ignore[arg-type]


def test_a_misspelt_recipe_is_said_before_data_are_read() -> None:
    for call in (lambda: build("vea", "nowhere.npz"), lambda: train("vea", data="nowhere.npz", device="cpu")):
        with pytest.raises(UnknownNameError, match="There is no recipe 'vea'"):
            call()


def test_arrays_are_refused_with_a_sentence() -> None:
    with pytest.raises(ShapeError, match=r"x is a ndarray, expected a tensor. Use torch.as_tensor."):
        small().encode(np.zeros((2, 4)))  # type: ignore[arg-type]
