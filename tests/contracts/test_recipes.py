"""Every recipe, on every kind of data: it builds, trains, and gives the same numbers after save and load."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from reparam.config import parse_config
from reparam.data import Batch, Data, DataSpec, load_data
from reparam.models import Autoencoder
from reparam.recipes import RECIPES, build, resolve
from reparam.recipes.basic import BASIC
from reparam.recipes.games import GAMES
from reparam.rng import reseed
from reparam.runs import Run, train
from reparam.shapes import Shape
from reparam.store import load, load_with_spec, save
from tests.contracts.members import OF_OBSERVATIONS, OF_PICTURES, OF_SEQUENCES, several_data, tiny_data

DATA: dict[str, tuple[str, Shape]] = {
    "binary-image": ("binary", (1, 9, 8)),
    "levels-image": ("levels", (3, 17, 10)),
    "unit-image": ("unit", (1, 16, 16)),
    "real-image": ("real", (2, 5, 7)),
    "signal": ("real", (2, 33)),
    "vector": ("real", (5,)),
    "one-column": ("real", (1,)),
    "binary-table": ("binary", (6,)),
    "counts-table": ("counts", (5,)),
}
OF_REAL_NUMBERS = ("sigma-vae", "laplace-vae")  # whose noise is none of counts
SEVERAL_DATA = "several"
FEW = ("binary-image", "real-image", "vector")


def fitting(recipe: str, turn: int) -> str:
    """Data that a recipe can be trained on."""
    if recipe in OF_OBSERVATIONS:
        return SEVERAL_DATA
    return "signal" if recipe in OF_SEQUENCES else FEW[0 if recipe in OF_PICTURES else turn % len(FEW)]


# the basic ones show that every kind of data works; the others take turns, for their parts have contracts of their own
PAIRS = [
    (recipe, name)
    for turn, recipe in enumerate(RECIPES)
    for name in (DATA if recipe in BASIC else (fitting(recipe, turn),))
    if not (recipe in OF_REAL_NUMBERS and name == "counts-table")
]
SETTINGS = {"train": {"batch_size": 8, "epochs": 1, "validations": 1, "tensorboard": False}, "seed": 3}


@cache
def trained(recipe: str, name: str) -> Run:
    """Three steps of a recipe on some data."""
    data = several_data() if name == SEVERAL_DATA else tiny_data(*DATA[name])
    return train(recipe, SETTINGS, data=data, device="cpu")


def told(model: Autoencoder, batch: Batch) -> Autoencoder:
    """The model, told what it must be told of the examples of a batch."""
    return model.given(**batch.pick(model.conditions))


@pytest.mark.parametrize(("recipe", "name"), PAIRS)
def test_trains_saves_and_loads(recipe: str, name: str, tmp_path: Path) -> None:
    run = trained(recipe, name)
    assert run.data is not None
    data = run.data
    rows = [row for row in run.metrics if row["split"] == "train"]
    assert len(rows) == 3
    assert all(torch.tensor(row["loss"]).isfinite() for row in rows)

    batch = data.test.batch(slice(None))
    x = batch.x
    save(run.model, tmp_path / "model", run.spec)
    again, spec = load_with_spec(tmp_path / "model")
    assert spec == run.spec
    assert repr(again) == repr(run.model)
    assert not again.training
    first, second = told(run.model, batch), told(again, batch)
    if again.amortized:
        assert torch.equal(second.encode(x), first.encode(x))
        assert torch.equal(second.reconstruct(x), first.reconstruct(x))
        assert second.reconstruct(x).shape == x.shape
    if again.prior is not None:
        reseed(0)
        drawn = first.sample(len(x), draw=True)
        reseed(0)
        assert torch.equal(second.sample(len(x), draw=True), drawn)


@pytest.mark.parametrize(("recipe", "name"), PAIRS)
def test_loss_is_in_nats_per_example(recipe: str, name: str) -> None:
    """The loss at the end of the warm-up is the negated bound of the trace: a sum over all values of x."""
    run = trained(recipe, name)
    row = [row for row in run.metrics if row["split"] == "validation"][-1]
    if "elbo" not in row:  # what a model plays for against a critic is no bound
        assert recipe in GAMES
        return
    # a code without noise has no rate; where it pays for its distance from the prior, that stands in its place
    paid = row["loss"] - row["distortion"] if "distance" in row else 0.0
    # one float32 rounding of each term
    assert row["elbo"] == pytest.approx(-row["distortion"] - row.get("rate", paid), rel=1e-5)
    assert run.config.objective is not None
    if run.config.objective.kind == "elbo":
        beta = run.config.objective.settings.get("beta", 1.0)
        loss = row["distortion"] + beta * row["rate"] + row.get("penalty", 0.0)
        assert row["loss"] == pytest.approx(loss, rel=1e-5)


@pytest.mark.unchecked
@pytest.mark.parametrize(
    "recipe",
    [
        *BASIC,
        *(
            pytest.param(recipe, marks=pytest.mark.slow)
            for recipe in RECIPES
            if recipe not in BASIC and recipe not in OF_OBSERVATIONS  # models/test_observations.py trains these longer
        ),
    ],
)
def test_two_hundred_steps_on_digits(recipe: str) -> None:
    """Long enough to reconstruct better than the mean digit does; of a game, to make digits that have that mean."""
    settings: dict[str, Any] = {"train": {"batch_size": 16, "epochs": 10, "validations": 1, "tensorboard": False}}
    digits = load_data("digits", limit=320)
    if recipe in OF_SEQUENCES:  # eight numbers at each of eight steps
        parts = {
            name: digits.split(name).batch(slice(None)).x[:, 0].numpy() for name in ("train", "validation", "test")
        }
        digits = load_data({f"x_{name}": x for name, x in parts.items()}, axes="NCT")
    config = resolve(recipe, digits)
    chosen = config.model
    assert chosen is not None
    if config.train.ema > 0.99:
        settings["train"]["ema"] = 0.95  # an average over few steps, as there are few
    if chosen.kind == "hierarchical":
        settings["model"] = {"hierarchy": {"hidden_dims": [64]}}  # as deep, in a third of the time
    elif chosen.kind == "sequential":
        settings["train"]["learning_rate"] = 3e-3
    elif chosen.prior is not None and chosen.prior.kind == "transformer":
        settings["model"] = {"prior": {"kind": "transformer", "layers": 1, "width": 32}}
    elif (
        chosen.kind != "implicit"
        and chosen.posterior is not None
        and chosen.posterior.settings.get("direction") == "density"
    ):
        settings["model"] = {"latent_dim": 8}  # each draw takes a pass for each dimension
    run = train(recipe, settings, data=digits, device="cpu")
    assert run.metrics[-1]["step"] == 200
    batch = digits.test.batch(slice(None))
    if recipe in GAMES:
        made = told(run.model, batch).sample(len(batch.x)).mean(0)
        mean = batch.x.mean(0)
        assert (made - mean).square().mean() < 0.2 * mean.square().mean()  # of no picture at all it is 1
        return
    error = (told(run.model, batch).reconstruct(batch.x) - batch.x).square().mean()
    assert error < 0.9 * batch.x.var(0).mean()


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


@pytest.mark.parametrize("recipe", ["gan", "vae", "cvae-gan"])
def test_one_network_is_that_of_all_networks(recipe: str) -> None:
    """Of a model without an encoder, that of the decoder."""
    given = {"model": {"network": {"kind": "mlp", "hidden_dims": [5]}}}
    model = resolve(recipe, tiny_data("levels", (1, 16, 16)), given).model
    assert model is not None
    assert model.decoder.settings == {"hidden_dims": [5]}
    assert getattr(model, "encoder", model.decoder) == model.decoder
