"""Every recipe, on every kind of data: it builds, trains, and gives the same numbers after save and load."""

from pathlib import Path

import pytest
import torch
import yaml

from reparam.config import parse_config
from reparam.data import Data, DataSpec
from reparam.recipes import RECIPES, build, resolve
from reparam.runs import train
from reparam.shapes import Shape
from reparam.store import load, load_with_spec, save
from tests.contracts.members import tiny_data

DATA: dict[str, tuple[str, Shape]] = {
    "binary-image": ("binary", (1, 9, 8)),
    "levels-image": ("levels", (3, 17, 10)),
    "unit-image": ("unit", (1, 16, 16)),
    "real-image": ("real", (2, 5, 7)),
    "signal": ("real", (2, 33)),
    "vector": ("real", (5,)),
    "one-column": ("real", (1,)),
    "binary-table": ("binary", (6,)),
}
SETTINGS = {"train": {"batch_size": 8, "epochs": 1, "validations": 1, "tensorboard": False}, "seed": 3}


@pytest.mark.parametrize("recipe", list(RECIPES))
@pytest.mark.parametrize("name", list(DATA))
def test_trains_saves_and_loads(recipe: str, name: str, tmp_path: Path) -> None:
    data = tiny_data(*DATA[name])
    run = train(recipe, SETTINGS, data=data, device="cpu")
    rows = [row for row in run.metrics if row["split"] == "train"]
    assert len(rows) == 3
    assert all(torch.tensor(row["loss"]).isfinite() for row in rows)

    x = data.test.batch(slice(None)).x
    save(run.model, tmp_path / "model", run.spec)
    again, spec = load_with_spec(tmp_path / "model")
    assert spec == run.spec
    assert repr(again) == repr(run.model)
    assert not again.training
    assert torch.equal(again.encode(x), run.model.encode(x))
    assert torch.equal(again.reconstruct(x), run.model.reconstruct(x))
    assert again.reconstruct(x).shape == x.shape
    if again.prior is not None:
        torch.manual_seed(0)
        first = run.model.sample(3, draw=True)
        torch.manual_seed(0)
        assert torch.equal(again.sample(3, draw=True), first)


@pytest.mark.parametrize("recipe", list(RECIPES))
@pytest.mark.parametrize("name", list(DATA))
def test_loss_is_in_nats_per_example(recipe: str, name: str) -> None:
    """The loss at the end of the warm-up is the negated bound of the trace: a sum over all values of x."""
    data = tiny_data(*DATA[name])
    run = train(recipe, SETTINGS, data=data, device="cpu")
    row = [row for row in run.metrics if row["split"] == "validation"][-1]
    beta = run.config.objective.settings.get("beta", 1.0)
    # one float32 rounding of each term
    assert row["loss"] == pytest.approx(row["distortion"] + beta * row["rate"] + row.get("penalty", 0.0), rel=1e-5)
    assert row["elbo"] == pytest.approx(-row["distortion"] - row["rate"], rel=1e-5)


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_configuration_is_yaml_and_back(recipe: str) -> None:
    config = resolve(recipe, tiny_data("levels", (1, 8, 8)))
    assert parse_config(yaml.safe_load(config.to_yaml())) == config


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_names_its_source(recipe: str) -> None:
    documentation = RECIPES[recipe].__doc__
    assert documentation is not None
    assert "Source:" in documentation


def kinds(recipe: str, data: Data) -> tuple[str, str, str]:
    model = resolve(recipe, data).model
    assert model is not None
    return model.encoder.kind, model.posterior.kind, model.likelihood.kind


def test_parts_follow_the_data() -> None:
    assert kinds("vae", tiny_data("binary", (1, 28, 20))) == ("conv", "normal", "bernoulli")
    assert kinds("vae", tiny_data("levels", (1, 28, 20))) == ("conv", "normal", "normal")
    assert kinds("vae", tiny_data("real", (2, 33))) == ("conv", "normal", "normal")
    assert kinds("vae", tiny_data("real", (17,))) == ("mlp", "normal", "normal")
    assert kinds("ae", tiny_data("binary", (1, 28, 20))) == ("conv", "point", "reconstruction")
    assert kinds("laplace-vae", tiny_data("unit", (5,))) == ("mlp", "normal", "laplace")


def test_wrapped_in_the_units_of_real_data() -> None:
    data = tiny_data("real", (3,))
    model = build("dae", data)
    assert [type(part).__name__ for part in (model.encoder, model.likelihood, model.corruption)] == [
        "StandardizedEncoder",
        "StandardizedLikelihood",
        "StandardizedCorruption",
    ]
    assert isinstance(data.spec, DataSpec)
    assert model.likelihood.shift == data.spec.shift


def test_load_gives_the_model_alone(tmp_path: Path) -> None:
    model = build("vae", tiny_data("real", (3,)))
    save(model, tmp_path / "model")
    assert load_with_spec(tmp_path / "model")[1] is None
    assert repr(load(tmp_path / "model")) == repr(model)
